"""``xbench run``: plan, compute what is missing, show the table."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from xbench.cli.options import STORE, spec_from, spec_options
from xbench.store import Store


@click.command("run")
@spec_options
@STORE
@click.option(
    "--jobs", type=click.IntRange(1), help="Worker processes (default: one per core; 1 on a GPU)."
)
@click.option("--keep", is_flag=True, help="Keep the weights of full fine-tunings.")
@click.option("--deterministic", is_flag=True, help="Bitwise repeatable on a GPU, and slower.")
@click.option(
    "--save-state", type=float, default=60.0, help="Seconds between saved training states."
)
@click.option("--offline", is_flag=True, help="Never touch the network.")
def command(store: Path, jobs: int | None, keep: bool, deterministic: bool, **values: Any) -> int:
    """Compute the cells of a matrix and show the table.

    Everything that is already in the store is reused; run the same command again to go on after an
    interruption. Exit code 0: all cells; 1: some failed; 2: usage; 130: interrupted.
    """
    from xbench.cli.preflight import check_inputs
    from xbench.cli.progress import observer
    from xbench.cli.session import context, open_session
    from xbench.engine.local import LocalLauncher, default_settings
    from xbench.results import record_run

    offline, interval = values.pop("offline"), values.pop("save_state")
    place = Store(store)
    session = open_session(spec_from(values), place, offline)
    place.prepare()
    check_inputs(session.plan, session.work, context(), place)
    folder = record_run(session.plan, place)
    device = _device(session.plan)
    settings = replace(
        default_settings(device, jobs),
        keep=keep,
        deterministic=deterministic,
        state_interval=interval,
    )
    lost: set[str] = set()
    if session.work.todo:
        with observer(session.plan, session.work) as watch:
            launcher = LocalLauncher(session.plan, place, settings, watch)
            lost = launcher.run(session.work, folder / "workers.log")
    else:
        click.echo("Everything is in the store; nothing to compute.", err=True)
    return _finish(place, folder, lost)


def _device(plan: Any) -> str:
    for stage in plan.stages.values():
        return str(stage.recipe["device"])
    return "cpu"


def _finish(store: Store, folder: Path, lost: set[str]) -> int:
    from xbench.cli.tables import show_tables, write_tables

    show_tables(store, folder)
    written = write_tables(
        store, folder, folder / "report", ("markdown", "latex"), allow_partial=False
    )
    report = next((path for path in written if path.name == "report.md"), folder / "report")
    click.echo(f"Report: {report}")
    click.echo(f"Repeat: xbench run {folder / 'spec.yaml'} --store {store.root}")
    if lost:
        _list_failures(store, folder)
        return 1
    return 0


def _list_failures(store: Store, folder: Path) -> None:
    from xbench.results import failures, read_run

    click.echo("\nSome cells have no value:", err=True)
    for line in failures(store, read_run(folder)):
        click.echo(f"  {line}", err=True)
    click.echo("The same command tries them again; the rest is kept.", err=True)
    sys.stderr.flush()

"""``xbench run``: plan, compute what is missing, show the table."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from xbench.cli.options import STORE, spec_from, spec_options
from xbench.errors import XbenchError
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
    "--save-state",
    type=click.FloatRange(0),
    default=60.0,
    show_default=True,
    help="Seconds between saved training states.",
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
    if session.work.todo:
        with observer(session.plan, session.work) as watch:
            LocalLauncher(session.plan, place, settings, watch).run(session.work, folder)
    else:
        click.echo("Everything is in the store; nothing to compute.", err=True)
    return _finish(place, folder)


def _device(plan: Any) -> str:
    for stage in plan.stages.values():
        return str(stage.recipe["device"])
    return "cpu"


def _finish(store: Store, folder: Path) -> int:
    """Show and write the tables; the exit code says whether every cell has its value."""
    from xbench.cli.tables import settings_tables, show_tables, tables_of
    from xbench.report.build import write_report
    from xbench.results import SPEC, read_run, results

    run = read_run(folder)
    frame = results(store, run)
    try:
        tables = tables_of(folder, run, frame)
    except XbenchError as error:  # where everything failed there is nothing to show
        click.echo(str(error), err=True)
    else:
        show_tables(tables[:1])
        whole = [*tables, *settings_tables(folder)]
        written = write_report(whole, folder / "report", ("markdown", "latex"))
        report = next((path for path in written if path.name == "report.md"), folder / "report")
        click.echo(f"Report: {report}")
    again = shlex.join(["xbench", "run", str(folder / SPEC), "--store", str(store.root)])
    click.echo(f"Repeat: {again}")
    if frame["status"].isin(["done", "unavailable"]).all():
        return 0
    _list_failures(store, run)
    return 1


def _list_failures(store: Store, run: Mapping[str, Any]) -> None:
    from xbench.results import failures

    click.echo("\nSome cells have no value:", err=True)
    for line in failures(store, run):
        click.echo(f"  {line}", err=True)
    click.echo("The same command tries them again; the rest is kept.", err=True)

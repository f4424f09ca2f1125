"""``xbench run``: plan, compute what is missing, show the table."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from xbench.cli.options import COMPUTE, REPORT, STORE, compute_options, spec_from, spec_options
from xbench.errors import XbenchError
from xbench.store import Store

if TYPE_CHECKING:
    from xbench.cli.session import Session
    from xbench.engine.launcher import WorkerSettings
    from xbench.report.run.stored import StoredRun


@click.command("run")
@spec_options
@STORE
@compute_options
@REPORT
@click.option("--dry-run", is_flag=True, help="Write the launcher's scripts, and submit nothing.")
def command(store: Store, report: bool, dry_run: bool, **values: Any) -> int:
    """Compute the cells of a matrix and show the table.

    Everything that is already in the store is reused; run the same command again to go on after an
    interruption. Exit code 0: all cells; 1: some failed; 2: usage; 130: interrupted.
    """
    from xbench.cli.session import open_session

    how = {name: values.pop(name) for name in COMPUTE}
    session = open_session(spec_from(values), store, how["offline"])
    if dry_run:
        from xbench.cli.cluster import write_scripts

        return write_scripts(session, store, settings_of(session, how))
    return compute(session, store, how, report)


def compute(session: "Session", store: Store, how: Mapping[str, Any], report: bool) -> int:
    """Compute what a session lacks, then show its tables; the exit code of the command."""
    return finish(compute_cells(session, store, how), report)


def compute_cells(session: "Session", store: Store, how: Mapping[str, Any]) -> "StoredRun":
    """Compute what a session lacks; returns the run as the store then holds it."""
    from xbench.cli.cluster import jobs_that_go_on
    from xbench.cli.missing import require_cells
    from xbench.cli.progress import observer
    from xbench.engine.estimate import rates_of
    from xbench.engine.events import telling
    from xbench.engine.preflight import check_inputs
    from xbench.engine.remaining import Remaining
    from xbench.engine.todo import free_alignments, stacked
    from xbench.report.run.stored import StoredRun
    from xbench.store.runs import add_notes, record_run

    require_cells(session.plan)
    store.prepare()
    notes = check_inputs(session.plan, session.work, session.catalogue, store)
    for note in notes:
        click.echo(f"Note: {note}", err=True)
    folder = record_run(session.plan, store)
    add_notes(folder, notes, store)
    settings = settings_of(session, how)
    if session.work.todo:
        work = stacked(session.work, session.plan, settings.stack, settings.jobs or 1)
        rates = rates_of(session.plan, session.work, [store])
        left = Remaining(session.plan, session.work, settings.jobs or len(work.jobs), rates)
        with observer(session.plan, session.work, left) as display, telling(display) as watch:
            watch.tell("xbench_run_started", plan=session.plan, folder=folder)
            with jobs_that_go_on(session, folder.name, store):
                _launcher(session, store, settings, watch).run(work, folder)
    else:
        click.echo("Everything is in the store; nothing to compute.", err=True)
    store.flush()
    if how["keep"] == "none":
        free_alignments(session.plan, store)
    return StoredRun(folder, store)


def _launcher(session: "Session", store: Store, settings: "WorkerSettings", watch: Any) -> Any:
    """What computes the jobs: a hook's, the spec's launcher, or worker processes on this machine."""
    from xbench.cli.cluster import cluster_launcher
    from xbench.engine import hooks
    from xbench.engine.launcher import LocalLauncher

    given = {"plan": session.plan, "store": store, "settings": settings, "observer": watch}
    found = hooks.call("xbench_make_launcher", **given)
    return found or cluster_launcher(session, **given) or LocalLauncher(**given)


def settings_of(session: "Session", how: Mapping[str, Any]) -> "WorkerSettings":
    """How workers compute."""
    from xbench.engine.launcher import default_settings

    settings = default_settings(session.plan.device, how["jobs"])
    wanted = settings.stack if how["stack"] is None else how["stack"]
    elsewhere = session.spec.launcher is not None
    ranks = how["ranks"]
    parts = session.spec.align.accumulate
    if ranks > 1 and parts < ranks:
        raise XbenchError(
            f"--ranks {ranks}: a batch of an alignment has {parts} parts to share out. "
            f"-O align.accumulate={ranks} makes more (same gradients, other dropout)."
        )
    there = len(settings.gpus)
    if ranks > 1 and not elsewhere and session.plan.device != "cpu" and ranks > there:
        raise XbenchError(
            f"--ranks {ranks}: each process needs a GPU of its own, and --device "
            f"{session.plan.device} has {there or 1}."
        )
    jobs = how["jobs"] or 0 if elsewhere else settings.jobs
    return replace(
        settings,
        jobs=jobs if how["jobs"] or elsewhere else max(1, jobs // ranks),
        ranks=ranks,
        keep=how["keep"] == "all",
        deterministic=how["deterministic"],
        state_interval=how["save_state"],
        # which sums a product of several matrices makes depends on how many there are
        stack=0 if how["deterministic"] else wanted,
    )


def finish(run: "StoredRun", with_report: bool = True) -> int:
    """Show and write the tables; the exit code says whether every cell has its value."""
    from xbench.engine.hooks import Observers
    from xbench.store.runs import SPEC

    ended = Observers()
    ended.tell("xbench_run_finished", folder=run.folder, frame=run.rows.copy())
    if with_report:
        _report(run)
    else:
        later = ["xbench", "report", "--store", str(run.store), "--run", run.name]
        click.echo(f"Tables and figures: {shlex.join(later)}")
    ended.close()
    again = ["xbench", "run", str(run.folder / SPEC), "--store", str(run.store)]
    click.echo(f"Repeat: {shlex.join(again)}")
    if run.is_complete:
        return 0
    _list_failures(run)
    return 1


def _report(run: "StoredRun") -> None:
    from xbench.cli.options import show_tables
    from xbench.cli.session import plugin_tables
    from xbench.report.run.extras import costs_of, extras_of
    from xbench.report.run.settings import settings_tables
    from xbench.report.run.tables import tables_of
    from xbench.report.write import FILES, write_report

    try:
        tables = [*tables_of(run), *plugin_tables(run)]
    except XbenchError as error:  # where everything failed there is nothing to show
        click.echo(str(error), err=True)
    else:
        try:
            extras = extras_of(run, [*FILES], keep=True)
            whole = [*tables, *settings_tables(run), *costs_of(run)]
            paths = write_report(whole, run.folder / "report", [*FILES], extras)
        finally:  # a full disk keeps nobody from seeing the table
            show_tables(tables[:1])
        written = {path.name: path for path in paths}
        click.echo(f"Report: {written['report.md']}")
        click.echo(f"Page: {written['report.html']}")


def _list_failures(run: "StoredRun") -> None:
    click.echo("\nSome cells have no value:", err=True)
    for failure in run.failures:
        click.echo(f"  {failure}", err=True)
    click.echo("The same command tries them again; the rest is kept.", err=True)
    again = shlex.join(["xbench", "retry", "--failed", "--store", str(run.store)])
    click.echo(f"Only what failed: {again}", err=True)

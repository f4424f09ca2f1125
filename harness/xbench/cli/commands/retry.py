"""``xbench retry``: try again what failed in a run."""

from dataclasses import replace
from typing import Any

import click

from xbench.cli.options import COMPUTE, REPORT, STORE, compute_options
from xbench.store import Store


@click.command("retry")
@STORE
@click.option("--run", "run", help="A run's id, or its beginning (default: the last one).")
@click.option("--failed", is_flag=True, help="Only what failed, and what waits for it.")
@compute_options
@REPORT
def command(store: Store, run: str | None, failed: bool, report: bool, **values: Any) -> int:
    """Go on with a run from its written spec: what failed is tried again, and what is missing.

    Exit code 0 when all cells have their value, else 1 with a list.
    """
    from xbench.cli.commands.run import compute
    from xbench.cli.session import open_session
    from xbench.engine.todo import only_failed
    from xbench.report.run.stored import StoredRun

    how = {name: values[name] for name in COMPUTE}
    found = StoredRun.find(store, run)
    session = open_session(found.spec, store, how["offline"])
    if failed:
        missing = len(session.work.todo)
        session = replace(session, work=only_failed(session.work, session.plan, store))
        if not session.work.todo:
            more = f" {missing} stages are missing: xbench retry computes them." if missing else ""
            click.echo(f"Nothing failed in the run {found.name}.{more}", err=True)
            return 0
    return compute(session, store, how, report)

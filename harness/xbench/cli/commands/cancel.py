"""``xbench cancel``: end the jobs of a run that a scheduler has."""

import shlex

import click

from xbench.cli.options import STORE
from xbench.store import Store


@click.command("cancel")
@click.argument("run", required=False)
@click.option("--run", "named", help="The same, as an option.", hidden=True)
@STORE
def command(store: Store, run: str | None, named: str | None) -> int:
    """End the jobs that a scheduler has of RUN: a run's id or its beginning; by default the last one.

    What they have finished is kept, and so is the training state that was saved last.
    """
    from xbench.catalogue.catalogue import Catalogue
    from xbench.engine.cluster.queue import cancel
    from xbench.store.runs import find_run

    folder = find_run(store, run or named)
    count = cancel(folder, Catalogue.installed())
    if not count:
        click.echo(f"No scheduler has jobs of the run {folder.name}.")
        return 0
    again = shlex.join(["xbench", "retry", "--run", folder.name, "--store", str(store)])
    click.echo(f"{count} jobs of the run {folder.name} end. To go on with it: {again}")
    return 0

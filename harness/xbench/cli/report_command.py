"""``xbench report``: tables for a paper, from the store alone."""

from pathlib import Path

import click

from xbench.cli.options import STORE
from xbench.store import Store


@click.command("report")
@STORE
@click.option("--run", "run", help="A run's id, or its beginning (default: the last one).")
@click.option(
    "--format",
    "forms",
    multiple=True,
    type=click.Choice(["markdown", "latex"]),
    help="Default: both.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder (default: the run's own).")
@click.option(
    "--table", "only", help="Which tables, comma-separated (default: all): 1, settings, ..."
)
@click.option("--allow-partial", is_flag=True, help="Average over gaps, and mark where.")
def command(
    store: Path,
    run: str | None,
    forms: tuple[str, ...],
    out: Path | None,
    only: str | None,
    allow_partial: bool,
) -> int:
    """Render the tables of a run in Markdown and LaTeX. Computes nothing."""
    from xbench.cli.tables import chosen, settings_tables, tables_of
    from xbench.report.build import write_report
    from xbench.results import find_run, read_run, results

    place = Store(store)
    place.check_format()
    folder = find_run(place, run)
    content = read_run(folder)
    tables = tables_of(folder, content, results(place, content), allow_partial)
    tables = chosen([*tables, *settings_tables(folder)], only)
    for path in write_report(tables, out or folder / "report", forms or ("markdown", "latex")):
        click.echo(str(path))
    return 0

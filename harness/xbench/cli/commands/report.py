"""``xbench report``: tables, figures and claims for a paper, from the store alone."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xbench.cli.options import STORE
from xbench.errors import UnknownName, XbenchError
from xbench.store import Store

if TYPE_CHECKING:
    from xbench.report.run.stored import StoredRun
    from xbench.report.table import Table
    from xbench.report.write import Extras


@click.command("report")
@STORE
@click.option("--run", "run", help="A run's id, or its beginning (default: the last one).")
@click.option(
    "--format",
    "forms",
    multiple=True,
    help="Of: markdown, latex, html, csv; comma-separated (default: all).",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder (default: the run's own).")
@click.option(
    "--table", "only", help="Which tables, comma-separated (default: all): 1, settings, ..."
)
@click.option("--allow-partial", is_flag=True, help="Average over gaps, and mark where.")
@click.option(
    "--items", is_flag=True, help="Intervals over test items too: reads every prediction."
)
@click.option(
    "--compare",
    "pair",
    nargs=2,
    metavar="RUN_A RUN_B",
    help="Two runs side by side: ids, or folders of runs in other stores.",
)
def command(
    store: Store,
    run: str | None,
    forms: tuple[str, ...],
    out: Path | None,
    only: str | None,
    allow_partial: bool,
    items: bool,
    pair: tuple[str, str] | None,
) -> int:
    """Render what a run holds in Markdown, LaTeX, HTML and CSV. Computes nothing."""
    from xbench.report.run.comparison import compared
    from xbench.report.run.stored import StoredRun
    from xbench.report.run.tables import chosen
    from xbench.report.write import write_report

    if run and pair:
        raise XbenchError("--run and --compare exclude each other: --compare names both runs.")
    formats = formats_of(forms)
    if pair:
        first, second = (_found(store, name) for name in pair)
        tables, extras = compared(first, second, allow_partial)
        own = first.folder / f"compare-{second.name}"
    else:
        of_run = StoredRun.find(store, run)
        tables, extras = _of_one(of_run, allow_partial, formats if only is None else (), items)
        own = of_run.folder / "report"
    if only is not None:
        tables, extras = chosen(tables, only), replace(extras, claims=())
    for path in write_report(tables, out or own, formats, extras):
        click.echo(str(path))
    return 0


def formats_of(given: tuple[str, ...]) -> tuple[str, ...]:
    """Comma-separated names of formats; all where none is given. Raises :class:`UnknownName`."""
    from xbench.report.write import FILES

    names = [name.strip() for text in given for name in text.split(",") if name.strip()]
    for name in names:
        if name not in FILES:
            raise UnknownName("format", name, FILES)
    return tuple(dict.fromkeys(names or FILES))


def _of_one(
    run: "StoredRun", allow_partial: bool, drawn: Sequence[str], items: bool
) -> "tuple[list[Table], Extras]":
    """The tables of a run, and what is shown beside them: figures of the formats ``drawn``."""
    from xbench.cli.session import plugin_tables
    from xbench.report.run.extras import costs_of, extras_of
    from xbench.report.run.items import items_of
    from xbench.report.run.settings import settings_tables
    from xbench.report.run.tables import tables_of

    tables = [*tables_of(run, allow_partial), *plugin_tables(run)]
    tables += items_of(run) if items else []
    extras = extras_of(run, drawn, allow_partial)
    return [*tables, *settings_tables(run), *costs_of(run)], extras


def _found(store: Store, name: str) -> "StoredRun":
    """A run by its folder, in whatever store, or by the beginning of its id."""
    from xbench.report.run.stored import StoredRun
    from xbench.store.runs import PLAN

    folder = Path(name)
    if (folder / PLAN).is_file():
        run = StoredRun(folder.resolve())
        run.store.check_format()
        return run
    return StoredRun.find(store, name)

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
    from xbench.report.build import Extras
    from xbench.report.table import Table


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
    store: Path,
    run: str | None,
    forms: tuple[str, ...],
    out: Path | None,
    only: str | None,
    allow_partial: bool,
    items: bool,
    pair: tuple[str, str] | None,
) -> int:
    """Render what a run holds in Markdown, LaTeX, HTML and CSV. Computes nothing."""
    from xbench.cli.tables import chosen
    from xbench.report.build import write_report

    if run and pair:
        raise XbenchError("--run and --compare exclude each other: --compare names both runs.")
    formats = formats_of(forms)
    if pair:
        tables, extras, own = _of_two(store, pair, allow_partial)
    else:
        drawn = formats if only is None else ()
        tables, extras, own = _of_one(store, run, allow_partial, drawn, items)
    if only is not None:
        tables, extras = chosen(tables, only), replace(extras, claims=())
    for path in write_report(tables, out or own, formats, extras):
        click.echo(str(path))
    return 0


def formats_of(given: tuple[str, ...]) -> tuple[str, ...]:
    """Comma-separated names of formats; all where none is given. Raises :class:`UnknownName`."""
    from xbench.report.build import FILES

    names = [name.strip() for text in given for name in text.split(",") if name.strip()]
    for name in names:
        if name not in FILES:
            raise UnknownName("format", name, FILES)
    return tuple(dict.fromkeys(names or FILES))


def _of_one(
    store: Path, run: str | None, allow_partial: bool, drawn: Sequence[str], items: bool
) -> "tuple[list[Table], Extras, Path]":
    """The tables of a run, what is shown beside them, and the folder for both.

    Figures are those of the formats ``drawn``.
    """
    from xbench.cli.extras import costs_of, extras_of
    from xbench.cli.items import items_of
    from xbench.cli.tables import settings_tables, tables_of
    from xbench.results import find_run, read_run, results

    place = Store(store)
    place.check_format()
    folder = find_run(place, run)
    content = read_run(folder)
    frame = results(place, content)
    tables = tables_of(folder, content, frame, allow_partial)
    tables += items_of(folder, content, frame) if items else []
    extras = extras_of(folder, content, frame, drawn, allow_partial)
    tables = [*tables, *settings_tables(folder), *costs_of(extras, frame)]
    return tables, extras, folder / "report"


def _of_two(
    store: Path, pair: tuple[str, str], allow_partial: bool
) -> "tuple[list[Table], Extras, Path]":
    """The same of a comparison; its folder is in the first run's."""
    from xbench.cli.comparison import compared

    first, second = (_folder(store, name) for name in pair)
    tables, extras = compared((first, second), allow_partial)
    return tables, extras, first / f"compare-{second.name}"


def _folder(store: Path, name: str) -> Path:
    """A run by its folder, in whatever store, or by the beginning of its id."""
    from xbench.results import PLAN, find_run

    place, folder = Store(store), Path(name)
    if (folder / PLAN).is_file():
        place = Store(folder.resolve().parent.parent)
        place.check_format()
        return folder.resolve()
    place.check_format()
    return find_run(place, name)

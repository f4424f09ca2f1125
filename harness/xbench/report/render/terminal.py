"""Tables on a terminal: one per task and mode, turned or cut so that they fit its width."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from xbench.report.render.escape import clean
from xbench.report.table import (
    Header,
    Table,
    TableCell,
    column_panels,
    row_panels,
    take_columns,
    transpose,
    varying_labels,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

PADDING = 2
"""Columns of a terminal between two columns of a table."""


def print_tables(tables: Iterable[Table], console: "Console | None" = None) -> None:
    """Prints each table with its caption and notes."""
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    for table in tables:
        console.print(Text(clean(table.title), style="bold"))
        console.print(Text(clean(table.caption)))
        for rich_table in rich_tables(table, console.width):
            console.print(rich_table)
        for note in table.notes:
            console.print(Text(f"- {clean(note)}", style="dim"))
        console.print()


def render(tables: Iterable[Table], width: int = 100) -> str:
    """The same as plain text without colours."""
    from io import StringIO

    from rich.console import Console

    file = StringIO()
    print_tables(tables, Console(file=file, width=width, color_system=None, legacy_windows=False))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def rich_tables(table: Table, width: int) -> "list[RichTable]":
    """One rich table per panel; a panel that does not fit is turned, else cut by columns."""
    has_levels = any(len(column.group) > 1 for column in table.columns)
    cuts = column_panels(table) if has_levels else [table]
    panels = [panel for cut in cuts for panel in row_panels(cut)]
    return [_rich(part) for panel in panels for part in fit(panel, width)]


def fit(table: Table, width: int) -> list[Table]:
    """The table as it is or turned, details in one line or several: the first that fits.

    Where none does, the narrowest is cut into pieces by its columns.
    """
    low, turned = _with_one_line_of_details(table), transpose(table)
    candidates = (low, _with_one_line_of_details(turned), table, turned)
    for candidate in candidates:
        if sum(_widths(candidate)) <= width:
            return [candidate]
    narrow = min(candidates, key=lambda t: sum(_widths(t)))
    stub, *columns = _widths(narrow)
    pieces: list[list[int]] = [[]]
    used = stub
    for index, size in enumerate(columns):
        if pieces[-1] and used + size > width:
            pieces.append([])
            used = stub
        pieces[-1].append(index)
        used += size
    return [take_columns(narrow, piece) for piece in pieces]


def _with_one_line_of_details(table: Table) -> Table:
    cells = tuple(
        tuple(
            replace(cell, details=(" ".join(cell.details),) if cell.details else ()) for cell in row
        )
        for row in table.cells
    )
    return replace(table, cells=cells)


def _widths(table: Table) -> list[int]:
    """How wide the stub and each column are; headers may break between words."""
    stub = [*_labels(table.rows), table.stub]
    widths = [_longest(stub)]
    for index, label in enumerate(_labels(table.columns)):
        lines = [line for cells in table.cells for line in _lines(cells[index])]
        widths.append(_longest([*lines, *label.split()]))
    return [width + PADDING for width in widths]


def _longest(lines: Iterable[str]) -> int:
    from rich.cells import cell_len

    return max((cell_len(line) for line in lines), default=0)


def _labels(headers: Iterable[Header]) -> list[str]:
    return [clean(label) for label in varying_labels(tuple(headers))[1]]


def _lines(cell: TableCell) -> list[str]:
    return [clean(line) for line in (cell.text, *cell.details)]


def _rich(table: Table) -> "RichTable":
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shared = (
        level for headers in (table.columns, table.rows) for level in varying_labels(headers)[0]
    )
    title = " ".join((table.title, *(f"({level})" for level in shared if level)))
    rich_table = RichTable(
        title=Text(clean(title)), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    rich_table.add_column(Text(clean(table.stub)), no_wrap=True)
    for header, label in zip(table.columns, _labels(table.columns), strict=True):
        text = Text(label, style="italic" if header.control else "")
        rich_table.add_column(text, justify="right")
    for row, label, cells in zip(table.rows, _labels(table.rows), table.cells, strict=True):
        name = Text(label, style="italic" if row.control else "")
        rich_table.add_row(name, *map(_text, cells))
    return rich_table


def _text(cell: TableCell) -> "Text":
    from rich.text import Text

    first, *details = _lines(cell)
    style = "bold" if cell.best else "red" if cell.status in ("failed", "blocked") else ""
    text = Text(first, style=style)
    for line in details:
        text.append(f"\n{line}", style="dim not bold")
    return text

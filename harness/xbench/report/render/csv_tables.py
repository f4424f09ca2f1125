"""CSV for machines: a line for each cell, numbers as they are (fractions, not percent).

Equal columns for every table, so that files can be put under each other. Texts are as a reader of
the other formats sees them; a cell that spans columns is one line without a column.
"""

import csv
import io
from collections.abc import Iterable, Iterator

from xbench.report.render.escape import clean
from xbench.report.table import Column, Table, TableCell, TableRow, column_of

COLUMNS = (
    *("table", "row_group", "row", "column_group", "column", "control"),
    *("text", "details", "value", "spread", "n", "status", "best"),
    *("difference", "difference_low", "difference_high", "difference_n"),
    *("keys", "compared_with", "lacking"),
)
"""``keys`` and what follows are store keys, parted by blanks."""


def render(tables: Iterable[Table]) -> str:
    """The cells of all tables under one header; null is an empty field."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for table in tables:
        writer.writerows(_lines(table))
    return file.getvalue()


def _lines(table: Table) -> Iterator[list[str]]:
    for row, cells in zip(table.rows, table.cells, strict=True):
        for place, cell in enumerate(cells):
            if cell.status != "covered":
                header = column_of(table, place, cell)
                yield [clean(field) for field in _fields(table, row, header, cell)]


def _fields(table: Table, row: TableRow, column: Column, cell: TableCell) -> list[str]:
    change = cell.difference
    numbers = (change.mean, change.low, change.high, change.n) if change else (None,) * 4
    return [
        table.title,
        *(_group(row.group), row.label, _group(column.group), column.label),
        _flag(row.control or column.control),
        *(cell.text, " ".join(cell.details)),
        *(_number(cell.value), _number(cell.spread), _number(cell.n)),
        *(cell.status, _flag(cell.best)),
        *map(_number, numbers),
        *(" ".join(cell.keys), " ".join(cell.against), " ".join(cell.gaps)),
    ]


def _group(levels: Iterable[str]) -> str:
    return ", ".join(level for level in levels if level)


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _number(value: float | None) -> str:
    """The shortest text that reads back as the same number."""
    return "" if value is None else repr(value)

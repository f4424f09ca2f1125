"""One model of a table, which every renderer shows: headers in levels, cells, notes.

Cells carry their numbers (fractions, not percent) and the text that readers see, so that a
renderer only escapes and arranges.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Literal

Status = Literal[
    "done", "partial", "failed", "blocked", "missing", "incomplete", "absent", "covered"
]


@dataclass(frozen=True)
class Difference:
    """A mean of ``n`` paired differences, with its 95% t interval of ``freedom``; none where n < 2.

    ``adjusted`` is the p value after correction for what is shown beside it, where there is one.
    ``alignments`` is how many alignment seeds it rests on; 0 where nothing was aligned before.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    adjusted: float | None = None
    freedom: float | None = None
    alignments: int = 0


@dataclass(frozen=True)
class TableCell:
    """One place of a table.

    ``status``: ``done`` and ``partial`` (an average over a part, asked for) have a ``value``;
    ``absent`` was never asked for; ``covered`` lies under the ``span`` of a cell to its left.
    ``n`` counts the seeds, ``spread`` is the standard deviation over them. ``text`` is the main line,
    ``details`` are further lines. Store keys: ``keys`` of what is behind the value, ``against`` of
    what ``difference`` is to, ``gaps`` of what is lacking. ``where`` (column, its values) tells the
    rows of the results table that are meant from other rows of the same keys.
    """

    text: str
    status: Status = "done"
    value: float | None = None
    n: int | None = None
    spread: float | None = None
    difference: Difference | None = None
    best: bool = False
    keys: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    span: int = 1
    against: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    where: tuple[tuple[str, tuple[Any, ...]], ...] = ()


COVERED = TableCell("", status="covered")


@dataclass(frozen=True)
class Header:
    """The header of a row or column: its ``label``, and above it the levels of ``group``."""

    label: str
    group: tuple[str, ...] = ()
    control: bool = False


class Column(Header):
    """A column's header."""


class TableRow(Header):
    """A row's header."""


@dataclass(frozen=True)
class Table:
    """A rectangle of cells, ``cells[row][column]``, with headers and words around it.

    ``name`` is the stem of the file it is written to (tables of one name share a file), ``label``
    what LaTeX refers to; ``stub`` is the header over the row labels, and ``column_stub`` says the
    same of the columns, for renderers that turn the table.
    """

    name: str
    label: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    cells: tuple[tuple[TableCell, ...], ...]
    stub: str = ""
    column_stub: str = ""
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", self.name):
            raise ValueError(f"table name {self.name!r} must be letters, digits, '-' and '_'")
        if len(self.cells) != len(self.rows):
            raise ValueError(f"{self.name}: {len(self.rows)} rows, {len(self.cells)} of cells")
        for row, cells in zip(self.rows, self.cells, strict=True):
            if len(cells) != len(self.columns):
                raise ValueError(
                    f"{self.name}, row {row.label!r}: {len(self.columns)} columns, "
                    f"{len(cells)} cells"
                )
        for headers in (self.columns, self.rows):
            if len({len(header.group) for header in headers}) > 1:
                raise ValueError(f"{self.name}: headers must all have the same number of levels")


def row_panels(table: Table) -> list[Table]:
    """The table cut at its row groups, one table per run of equal groups."""
    panels = []
    for group, members in groupby(range(len(table.rows)), key=lambda i: table.rows[i].group):
        indices = list(members)
        title = ", ".join(group) or table.title
        panels.append(
            replace(
                table,
                title=title,
                rows=tuple(
                    TableRow(table.rows[i].label, (), table.rows[i].control) for i in indices
                ),
                cells=tuple(table.cells[i] for i in indices),
            )
        )
    return panels


def column_panels(table: Table) -> list[Table]:
    """The table cut at the outermost level of its column groups."""
    runs = groupby(range(len(table.columns)), key=lambda i: table.columns[i].group[:1])
    panels = []
    for group, members in runs:
        panel = take_columns(table, list(members))
        columns = tuple(Column(c.label, c.group[1:], c.control) for c in panel.columns)
        panels.append(replace(panel, title=", ".join(group) or table.title, columns=columns))
    return panels


def varying_labels(headers: Sequence[Header]) -> tuple[tuple[str, ...], list[str]]:
    """Headers for renderers that have one line for them: (what all share, label of each).

    A level that is the same everywhere is said once; the others are joined to the labels.
    """
    levels = list(zip(*(header.group for header in headers), strict=True))
    varying = [level for level, names in enumerate(levels) if len(set(names)) > 1]
    shared = tuple(names[0] for names in levels if len(set(names)) == 1)
    labels = [
        " ".join((*(header.group[level] for level in varying), header.label)) for header in headers
    ]
    return shared, labels


def column_of(table: Table, place: int, cell: TableCell) -> Column:
    """The header of a cell: its column, or what the columns that it spans have in common."""
    if cell.span == 1:
        return table.columns[place]
    return Column("", varying_labels(table.columns[place : place + cell.span])[0])


def stub_text(table: Table) -> str:
    """The header over the row labels, with the levels that all columns share."""
    shared, _ = varying_labels(table.columns)
    return " ".join((table.stub, *(f"({level})" for level in shared if level)))


def take_columns(table: Table, indices: Sequence[int]) -> Table:
    """The table with these columns only; a spanning cell is cut to what is left of it."""
    return replace(
        table,
        columns=tuple(table.columns[i] for i in indices),
        cells=tuple(_take(cells, indices) for cells in table.cells),
    )


def _take(cells: tuple[TableCell, ...], indices: Sequence[int]) -> tuple[TableCell, ...]:
    owners = _owners(cells)
    kept: list[TableCell] = []
    for owner, run in groupby(indices, key=lambda i: owners[i]):
        width = len(list(run))
        kept += [replace(cells[owner], span=width), *[COVERED] * (width - 1)]
    return tuple(kept)


def _owners(cells: tuple[TableCell, ...]) -> list[int]:
    """For each place the place of the cell that is shown there."""
    owners: list[int] = []
    for place, cell in enumerate(cells):
        owners.append(owners[-1] if cell.status == "covered" and owners else place)
    return owners


def transpose(table: Table) -> Table:
    """Rows as columns. A spanning cell keeps its first place."""
    return replace(
        table,
        stub=table.column_stub,
        column_stub=table.stub,
        columns=tuple(Column(row.label, row.group, row.control) for row in table.rows),
        rows=tuple(
            TableRow(column.label, column.group, column.control) for column in table.columns
        ),
        cells=tuple(
            tuple(replace(cells[i], span=1) for cells in table.cells)
            for i in range(len(table.columns))
        ),
    )

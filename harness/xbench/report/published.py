"""Rows of the literature that may stand beside ours: the same task and the same metric, or none."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from xbench.report.table import Cell, Column, Row, Table


@dataclass(frozen=True)
class Published:
    """One value as printed: ``value`` is a fraction, ``remark`` says what is doubtful about it."""

    name: str
    size: str
    value: float
    column: str
    table: str
    source: str
    remark: str = ""


def matching(tables: Mapping[str, Any], task: str, metric: str) -> list[Published]:
    """All published values of this task in exactly this metric.

    UD accuracy is never put beside the span F1 that XTREME calls udpos: they are two metrics.
    """
    return [
        value
        for name, table in tables.items()
        for column, (its_task, its_metric) in table.columns.items()
        if (its_task, its_metric) == (task, metric)
        for value in _column(name, table, column)
    ]


def _column(name: str, table: Any, column: str) -> Iterable[Published]:
    place = 2 + list(table.columns).index(column)
    remarks = {(flag.row, flag.column): flag.remark for flag in table.flags}
    for row in table.rows:
        if row[place] is not None:
            remark = remarks.get((row[0], column), "")
            value = row[place] / table.scale
            yield Published(row[0], str(row[1] or ""), value, column, name, table.source, remark)


def published_table(values: list[Published], task: str, metric: str) -> Table:
    """The values as a table of their own, with remarks as notes."""
    flagged = [value for value in values if value.remark]
    return Table(
        name="published",
        label=f"tab:published-{task}-{metric.replace('_', '-')}",
        title=f"Published: {task}, {metric}",
        caption=(
            f"Published results on {task} in {metric}, in percent, as printed in "
            f"{'; '.join(sorted({value.source for value in values}))}."
        ),
        columns=(Column("size"), Column("value"), Column("column"), Column("source")),
        rows=tuple(Row(value.name) for value in values),
        cells=tuple(_cells(value) for value in values),
        stub="model",
        notes=tuple(f"† {value.name}: {value.remark}." for value in flagged),
    )


def _cells(value: Published) -> tuple[Cell, ...]:
    mark = "†" if value.remark else ""
    number = Cell(f"{100 * value.value:.1f}{mark}", value=value.value)
    return Cell(value.size), number, Cell(value.column), Cell(value.source)

"""Rows of the literature that may stand beside ours: the same task and the same metric, or none."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xbench.report.table import Column, Table, TableCell, TableRow


@dataclass(frozen=True)
class Published:
    """One value as printed: ``value`` is a fraction, ``remark`` says what is doubtful about it.

    ``table`` is the registry's name for where it stands, ``title`` what that table is about.
    """

    name: str
    size: str
    value: float
    column: str
    table: str
    title: str
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
            size = str(row[1] or "")
            origin = (name, table.title, table.source)
            yield Published(row[0], size, value, column, *origin, remark)


def published_tables(
    tables: Mapping[str, Any], metrics: Mapping[str, Sequence[str]]
) -> list[Table]:
    """What the literature has for each task in each of the metrics that were measured for it.

    ``metrics`` maps a task to the names of its metrics, of which our tables show the first.
    """
    found = []
    for task, names in metrics.items():
        for metric in names:
            values = matching(tables, task, metric)
            if values:
                notes = [
                    f"{tables[name].title}: {_about(tables[name])}."
                    for name in dict.fromkeys(value.table for value in values)
                ]
                if metric != names[0]:
                    notes.append(
                        f"The other tables show {task} in {names[0]}, which is not comparable; "
                        f"xbench results has this run's values in {metric}."
                    )
                found.append(published_table(values, task, metric, notes))
    return found


def published_table(
    values: Sequence[Published], task: str, metric: str, notes: Sequence[str] = ()
) -> Table:
    """The values as a table of their own, with ``notes`` and the remarks under it."""
    flagged = [value for value in values if value.remark]
    return Table(
        name="published",
        label=f"tab:published-{task}-{metric.replace('_', '-')}",
        title=f"Published, not measured here: {task}, {metric}",
        caption=(
            f"Published, not measured here: results on {task} in {metric}, in percent, as printed. "
            f"Protocol and data may differ from ours."
        ),
        columns=(Column("size"), Column("value"), Column("column"), Column("source")),
        rows=tuple(TableRow(value.name, (value.title,)) for value in values),
        cells=tuple(_cells(value) for value in values),
        stub="model",
        notes=(*notes, *(f"† {value.name}: {value.remark}." for value in flagged)),
    )


def _about(table: Any) -> str:
    return ". ".join(part.rstrip(".") for part in (table.protocol, table.note) if part)


def _cells(value: Published) -> tuple[TableCell, ...]:
    mark = "†" if value.remark else ""
    number = TableCell(f"{100 * value.value:.1f}{mark}", value=value.value)
    return TableCell(value.size), number, TableCell(value.column), TableCell(value.source)

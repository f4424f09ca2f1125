"""The tables of a run: a pure function of the store."""

from collections.abc import Sequence

from xbench.errors import UnknownName, XbenchError
from xbench.report.claims.section import claim_tables
from xbench.report.run.stored import StoredRun
from xbench.report.run.style import style_of
from xbench.report.table import Table
from xbench.report.tables.published import published_tables
from xbench.report.tables.study import build_tables


def tables_of(run: StoredRun, allow_partial: bool = False) -> list[Table]:
    """Table 1, the tables behind it, claims, and what was published.

    Raises :class:`XbenchError` where the results cannot be reported.
    """
    try:
        style = style_of(run, allow_partial)
        tables = build_tables(run.rows, run.selection, style, run.background)
        tables += claim_tables(run.claims)
    except ValueError as error:
        raise XbenchError(f"The run {run.name} cannot be reported: {error}") from error
    return [*tables, *_published(run)]


def chosen(tables: Sequence[Table], only: str | None) -> list[Table]:
    """The tables asked for by name (``1`` is short for ``table1``). Raises :class:`UnknownName`."""
    if only is None:
        return list(tables)
    known = list(dict.fromkeys(table.name for table in tables))
    names = [
        f"table{name}" if name.isdigit() else name for name in only.replace(" ", "").split(",")
    ]
    for name in names:
        if name not in known:
            raise UnknownName("table", name, known)
    return [table for name in names for table in tables if table.name == name]


def _published(run: StoredRun) -> list[Table]:
    """Values of the literature for the run's tasks, where these are on data that others have too."""
    registry = run.catalogue.registry
    bound = run.suite.tasks if run.suite else {}
    known = {task for task, binding in bound.items() if binding.source in registry.datasets}
    metrics = {task: names for task, names in run.record.metrics.items() if task in known}
    return published_tables(registry.published, metrics)

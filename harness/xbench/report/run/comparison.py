"""``xbench report --compare``: two runs, of one store or of two, side by side."""

from xbench.errors import XbenchError
from xbench.report.results.provenance import joined
from xbench.report.run.stored import StoredRun
from xbench.report.run.style import style_of
from xbench.report.table import Table
from xbench.report.tables.comparison.compare import Side
from xbench.report.tables.comparison.compare_tables import compare
from xbench.report.write import Extras


def compared(
    first: StoredRun, second: StoredRun, allow_partial: bool = False
) -> tuple[list[Table], Extras]:
    """What differs between two runs, and where the numbers come from.

    Raises :class:`XbenchError` where they are one run, or have no cell in common.
    """
    if first.folder.resolve() == second.folder.resolve():
        raise XbenchError(f"--compare: both names are the run {first.name}; name two runs.")
    one, other = (
        Side(run.name, run.rows, run.spec.model_dump(mode="json", exclude_none=True))
        for run in (first, second)
    )
    metrics = {task: n[0] for run in (second, first) for task, n in run.record.metrics.items()}
    try:
        tables = compare(one, other, metrics, style_of(first, allow_partial))
    except ValueError as error:
        raise XbenchError(f"--compare: {error}.") from error
    return tables, Extras(provenance=joined(first.provenance, second.provenance))

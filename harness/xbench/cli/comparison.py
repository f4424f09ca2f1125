"""``xbench report --compare``: two runs, of one store or of two, side by side."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xbench.errors import XbenchError
from xbench.store import Store

if TYPE_CHECKING:
    from xbench.report.build import Extras
    from xbench.report.table import Table


def compared(folders: Sequence[Path], allow_partial: bool = False) -> "tuple[list[Table], Extras]":
    """What differs between the runs in two folders, and where the numbers come from.

    Raises where they have no cell in common.
    """
    from xbench.cli.extras import provenance_of
    from xbench.cli.tables import style_of
    from xbench.report.build import Extras
    from xbench.report.compare import Side
    from xbench.report.compare_tables import compare
    from xbench.report.provenance import joined
    from xbench.results import SPEC, read_run, results
    from xbench.spec import read_spec

    first, second = folders
    if first.resolve() == second.resolve():
        raise XbenchError(f"--compare: both names are the run {first.name}; name two runs.")
    runs = [read_run(folder) for folder in folders]
    frames = [results(Store(f.parent.parent), run) for f, run in zip(folders, runs, strict=True)]
    specs = [read_spec(folder / SPEC) for folder in folders]
    one, other = (
        Side(folder.name, frame, spec.model_dump(mode="json", exclude_none=True))
        for folder, frame, spec in zip(folders, frames, specs, strict=True)
    )
    metrics = {task: names[0] for run in reversed(runs) for task, names in run["metrics"].items()}
    try:
        tables = compare(one, other, metrics, style_of(first, runs[0], specs[0], allow_partial))
    except ValueError as error:
        raise XbenchError(f"--compare: {error}.") from error
    mine, others = (provenance_of(*each) for each in zip(folders, runs, frames, strict=True))
    return tables, Extras(provenance=joined(mine, others))

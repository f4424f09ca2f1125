"""Two runs side by side: which settings differ, and what that does to the cells that both have.

Rows are paired by all coordinates but those in which the runs differ throughout (one value here,
another there, such as the objective); seeds are paired where both runs have them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum
from typing import TYPE_CHECKING, Any

from xbench.report.averages import Average, average, difference
from xbench.report.provenance import Record, records
from xbench.report.results import Block, Measurement
from xbench.report.settings_table import flat, shown
from xbench.report.style import Style
from xbench.report.table import Cell, Column, Row, Table
from xbench.report.text import DAGGER, MINUS, PLUS_MINUS, gap, signed_number, written

if TYPE_CHECKING:
    import pandas as pd

COORDINATES = (
    *("suite", "model", "arm", "objective", "variant", "pair", "align_step", "align_seed"),
    *("task", "mode", "split", "probe", "metric", "layer"),
)
"""What two rows must share to be compared, beside language and seed."""

Place = tuple[Any, ...]
"""The values of the coordinates that count."""
Places = Mapping[Place, Block]


@dataclass(frozen=True)
class Side:
    """A run: what it is called, its tidy results, and its settings, nested as in a spec."""

    name: str
    frame: "pd.DataFrame"
    settings: Mapping[str, Any]


def compare(
    first: Side, second: Side, metrics: Mapping[str, str], style: Style | None = None
) -> list[Table]:
    """The settings that differ, then the cells of tasks, then those of probes.

    ``metrics`` says which metric of a task is compared. Raises ``ValueError`` where the runs have
    no cell in common.
    """
    style = style or Style()
    rows = tuple(_chosen(side.frame, metrics) for side in (first, second))
    differing = _differing(*rows)
    names = tuple(name for name in COORDINATES if name not in differing)
    both = _Both(first.name, second.name, names, differing, style)
    blocks = tuple(_blocks(found, names, side.name) for found, side in zip(rows, (first, second), strict=True))
    shared = [place for place in blocks[0] if place in blocks[1]]
    if not shared:
        raise ValueError(
            f"the runs {first.name} and {second.name} have no cell in common"
            + "".join(f"; {name}: {a} in one, {b} in the other" for name, (a, b) in _apart(*rows).items())
        )
    only = tuple(len(set(mine) - set(shared)) for mine in blocks)
    tables = [
        _table(both, kind, [p for p in shared if (both.value(p, "probe") is not None) == (kind == "probes")], blocks, only)
        for kind in ("tasks", "probes")
    ]
    return [_settings(first, second), *(table for table in tables if table.rows)]

"""Two runs side by side: which settings differ, and which of their cells can be compared.

Rows are paired by all coordinates but those in which the runs differ throughout (one value here,
another there, such as the objective); languages and seeds, of fine-tuning and of alignment, are
paired where both runs have them.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xbench.report.results.provenance import Record, records
from xbench.report.results.results import ARMS, NOT_TUNED, Block, Measurement, Run

if TYPE_CHECKING:
    import pandas as pd

COORDINATES = (
    *("suite", "model", "arm", "objective", "variant", "pair", "align_step"),
    *("task", "mode", "split", "probe", "metric", "layer"),
)
"""What two rows must share to be compared, beside language and seeds."""
MAY_DIFFER = (*COORDINATES[: COORDINATES.index("task")], "align_seed", "mode")
"""Where two runs may be compared across: other tasks and metrics are other quantities."""

Place = tuple[Any, ...]
"""The values of the coordinates that count."""
Places = Mapping[Place, Block]


@dataclass(frozen=True)
class Side:
    """A run: what it is called, its tidy results, and its settings, nested as in a spec."""

    name: str
    frame: "pd.DataFrame"
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Pairing:
    """The cells that two runs have in common.

    ``coordinates`` name the values of a place; ``differing`` are the others, with what each run has
    there. ``only`` counts the places that one run has and the other has not.
    """

    names: tuple[str, str]
    coordinates: tuple[str, ...]
    differing: Mapping[str, tuple[str, str]]
    blocks: tuple[Places, Places]
    shared: tuple[Place, ...]
    only: tuple[int, int]

    def varies(self, name: str) -> bool:
        """Whether the cells in common have several values of a coordinate."""
        return len({self.at(place, name) for place in self.shared} - {None}) > 1

    def at(self, place: Place, name: str) -> Any:
        """A coordinate of a place; None for one in which the runs differ."""
        return dict(zip(self.coordinates, place, strict=True)).get(name)


def pair_up(first: Side, second: Side, metrics: Mapping[str, str]) -> Pairing:
    """Pairs the cells of two runs; ``metrics`` says which metric of a task counts.

    Raises ``ValueError`` where they have no cell in common, or a run has two values for one.
    """
    sides = (first, second)
    rows = tuple(_comparable(side.frame, metrics) for side in sides)
    differing = _differing(*rows)
    coordinates = tuple(name for name in COORDINATES if name not in differing)
    mine, other = (
        _blocks(found, coordinates, side.name, "align_seed" not in differing)
        for found, side in zip(rows, sides, strict=True)
    )
    shared = sorted((p for p in mine if _meet(mine[p], other.get(p, {}))), key=_order)
    if not shared:
        raise ValueError(_nothing_in_common(first, second, rows))
    return Pairing(
        (first.name, second.name),
        coordinates,
        differing,
        (mine, other),
        tuple(shared),
        (len(mine) - len(shared), len(other) - len(shared)),
    )


def _comparable(frame: "pd.DataFrame", metrics: Mapping[str, str]) -> list[Record]:
    """The rows of one metric a task, and those of probes; not those that can have no value."""
    return [
        row
        for row in records(frame)
        if row["status"] != "unavailable"
        and row["metric"] is not None
        and (row["probe"] is not None or row["metric"] == metrics.get(row["task"], row["metric"]))
    ]


def _differing(first: Sequence[Record], second: Sequence[Record]) -> dict[str, tuple[str, str]]:
    """Coordinates that have one value in a run, and another one in the other."""
    found = {}
    for name in MAY_DIFFER:
        mine, other = _values(first, name), _values(second, name)
        if len(mine) == len(other) == 1 and mine != other:
            found[name] = (str(mine[0]), str(other[0]))
    return found


def _values(rows: Iterable[Record], name: str) -> list[Any]:
    return sorted({row[name] for row in rows} - {None})


def _meet(mine: Block, other: Block) -> bool:
    """Whether two blocks are of a common alignment, or both of none."""
    alignments = [{run.align_seed for _, run in block} for block in (mine, other)]
    return bool(alignments[0] & alignments[1])


def _blocks(
    rows: Iterable[Record], coordinates: Sequence[str], run: str, by_align_seed: bool
) -> Places:
    blocks: dict[Place, Block] = defaultdict(dict)
    for row in rows:
        block = blocks[tuple(row[name] for name in coordinates)]
        seed = NOT_TUNED if row["seed"] is None else row["seed"]
        cell = (row["language"], Run(seed, row["align_seed"] if by_align_seed else None))
        found = _measurement(row)
        if block.setdefault(cell, found) != found:
            names = (*coordinates, "language", "align_seed", "seed")
            place = ", ".join(f"{n}={row[n]}" for n in names)
            raise ValueError(f"the run {run} has two values for {place}")
    return dict(blocks)


def _measurement(row: Record) -> Measurement:
    status, value = row["status"], row["value"]
    if status != "done":
        return Measurement(status, None, row["n"], row["key"], row.get("reason"))
    if value is None or not math.isfinite(value):
        return Measurement("failed", None, row["n"], row["key"], f"{row['metric']} is undefined")
    return Measurement(status, value, row["n"], row["key"], None)


def _order(place: Place) -> tuple[tuple[bool, Any], ...]:
    """Nulls last, controls after what they are for, numbers as numbers."""
    ranked = (ARMS.index(value) if value in ARMS else value for value in place)
    return tuple((value is None, 0 if value is None else value) for value in ranked)


def _nothing_in_common(first: Side, second: Side, rows: Sequence[Sequence[Record]]) -> str:
    apart = []
    for name in (*COORDINATES, "align_seed"):
        mine, other = (set(_values(found, name)) for found in rows)
        if mine and other and not mine & other:
            texts = (", ".join(map(str, sorted(values)[:3])) for values in (mine, other))
            apart.append(f"{name} {' against '.join(texts)}")
    where = f": {'; '.join(apart)}" if apart else ""
    return f"the runs {first.name} and {second.name} have no cell in common{where}"

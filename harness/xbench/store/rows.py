"""The tidy results table: one row per measured value, from what a run planned and the store holds."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from xbench.plan import KINDS, Cell
from xbench.plan.artefacts import ROWS
from xbench.store.runs import RunRecord
from xbench.store.store import DamagedArtefact, Store

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [
    "suite",
    "model",
    "objective",
    "variant",
    "arm",
    "pair",
    "align_step",
    "align_seed",
    "task",
    "mode",
    "seed",
    "language",
    "split",
    "probe",
    "metric",
    "layer",
    "value",
    "n",
    "status",
    "key",
]


def read_rows(store: Store, run: RunRecord) -> "pd.DataFrame":
    """All rows of a run, with a ``reason`` column for what is failed, blocked or unavailable."""
    import pandas as pd

    rows = [row for cell in run.cells for row in _rows(store, run, cell)]
    frame = pd.DataFrame(rows, columns=[*COLUMNS, "reason"])
    whole = ["align_step", "align_seed", "seed", "layer", "n"]
    return frame.astype(dict.fromkeys(whole, "Int64") | {"value": "float64"})


def is_done(store: Store, cell: Cell) -> bool:
    """Whether the store has what fills the cell."""
    if cell.probe:
        return store.state("probe", cell.probe) == "done"
    return cell.score is not None and store.state("score", cell.score) == "done"


def _rows(store: Store, run: RunRecord, cell: Cell) -> Iterable[dict[str, Any]]:
    base = dict(cell.coordinates)
    if cell.probe is not None:
        yield from _probed(store, cell)
        return
    metrics = run.metrics.get(base["task"], (None,))
    if cell.unavailable:
        yield {**base, "metric": metrics[0], "status": "unavailable", "reason": cell.unavailable}
        return
    base["key"] = cell.score
    scored, status, reason = _outcome(store, cell)
    for metric in metrics:
        found = {"value": scored["scores"][metric], "n": scored["n"]} if scored else {}
        yield {**base, "metric": metric, **found, "status": status, "reason": reason}


def _probed(store: Store, cell: Cell) -> Iterable[dict[str, Any]]:
    """The rows that a probe measured; a single one where there are none."""
    import pyarrow.parquet as pq

    base = {**cell.coordinates, "key": cell.probe}
    if cell.probe is not None and is_done(store, cell):
        try:
            path = store.file("probe", cell.probe, ROWS)
        except DamagedArtefact as damage:
            yield {**base, "status": "missing", "reason": str(damage)}
            return
        names = ["metric", "language", "layer", "value", "n", "reason"]
        for row in pq.read_table(path, columns=names).to_pylist():
            status = "done" if row["value"] is not None else "unavailable"
            yield {**base, **row, "status": status, "reason": row["reason"] or None}
        return
    _, status, reason = _outcome(store, cell)
    yield {**base, "status": status, "reason": reason}


def _outcome(store: Store, cell: Cell) -> tuple[dict[str, Any] | None, str, str | None]:
    """The scores of a cell, or none; its status; and why it has no value."""
    if cell.score is not None and is_done(store, cell):
        try:
            return store.result("score", cell.score), "done", None
        except DamagedArtefact as damage:
            return None, "missing", str(damage)
    for kind in reversed(KINDS.values()):  # the nearest cause first
        key = getattr(cell, kind.kind)
        error = store.error(kind.kind, key) if key is not None else None
        if key is not None and error is not None:
            status = "failed" if kind.fills else "blocked"
            return None, status, f"{kind.kind} {key[:12]}: {error}"
    return None, "missing", "not computed yet"

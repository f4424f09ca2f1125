"""The tidy results table: one row per measured value, from what a run planned and the store holds."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xbench.artefacts import ROWS
from xbench.errors import UnknownName, XbenchError
from xbench.files import dump_json, write_atomic
from xbench.keys import key_of
from xbench.plan import Cell, Plan
from xbench.store import DamagedArtefact, Store

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
_ALIGN = ("objective", "variant", "arm", "pair", "align_seed")
_FINETUNE = (*_ALIGN, "task", "mode", "seed")
# The coordinates that tell stages of a kind apart, for a person.
POINTS = {
    "links": ("pair", "arm"),
    "align": _ALIGN,
    "fit": _FINETUNE,
    "finetune": _FINETUNE,
    "evaluate": (*_FINETUNE, "language"),
    "score": (*_FINETUNE, "language"),
    "probe": (*_FINETUNE, "probe"),
}
ADVICE = {
    "memory": "Out of memory: process batches in parts, -O align.accumulate=4 or -O finetune.accumulate=2"
    " (same gradients), or run fewer workers, --jobs 1.",
    "disk": "The disk is full: free some (xbench store), or name another, --store DIR.",
    "diverged": "Training diverged: a lower learning rate, or precision fp32.",
    "device": "The GPU refused all further work, so the run went on in a new process. To see the call at"
    " fault: CUDA_LAUNCH_BLOCKING=1 xbench retry --failed.",
    "killed": "Its process was killed: if that was for memory, run fewer workers, --jobs 1.",
}
PLAN = "plan.json"
SPEC = "spec.yaml"
NOTES = "notes.json"


def record_run(plan: Plan, store: Store) -> Path:
    """Write down what a run asked for, so that reports need nothing but the store."""
    cells = [asdict(cell) for cell in plan.cells]
    tasks = {cell.coordinates["task"]: _metrics(plan, cell) for cell in plan.cells if cell.score}
    spec = plan.spec.to_yaml()
    content = {"cells": cells, "metrics": tasks, "gaps": plan.gaps, "resolved": plan.resolved}
    content["unguarded"] = plan.unguarded
    folder = store.root / "runs" / key_of({"spec": spec, **content})[:12]
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / SPEC, spec)
    write_atomic(folder / PLAN, dump_json(content))
    return folder


def _metrics(plan: Plan, cell: Cell) -> list[str]:
    assert cell.score is not None
    return [metric["name"] for metric in plan.stages[cell.score].spec["metrics"]]


def add_notes(folder: Path, notes: Iterable[str]) -> None:
    """Keep what is to be said of a run's input, beside what was said before."""
    known = read_notes(folder)
    every = list(dict.fromkeys([*known, *notes]))
    if every != known:
        write_atomic(folder / NOTES, dump_json(every))


def read_notes(folder: Path) -> list[str]:
    """What is to be said of a run's input; nothing for a run that has no notes."""
    try:
        found: list[str] = json.loads((folder / NOTES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return found


def find_run(store: Store, name: str | None = None) -> Path:
    """The folder of a run: by (the beginning of) its id, else the one asked for last."""
    plans = sorted((store.root / "runs").glob("*/" + PLAN), key=lambda path: path.stat().st_mtime)
    runs = [path.parent for path in plans]
    if not runs:
        what = "holds no run" if store.root.is_dir() else "does not exist"
        raise XbenchError(
            f"The store {store.root} {what}. Run something (xbench run), or name another store: "
            f"--store DIR."
        )
    chosen = [run for run in runs if run.name.startswith(name or "")]
    if not chosen:
        raise UnknownName(f"run in the store {store.root}:", str(name), [run.name for run in runs])
    return chosen[-1]


def read_run(folder: Path) -> dict[str, Any]:
    """What :func:`record_run` wrote."""
    try:
        content: dict[str, Any] = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except ValueError as error:
        raise XbenchError(
            f"{folder / PLAN} is damaged ({error}). The results are not lost: run the same command "
            f"again, and it is written anew."
        ) from error
    return content


def results(store: Store, run: Mapping[str, Any]) -> "pd.DataFrame":
    """All rows of a run, with a ``reason`` column for what is failed, blocked or unavailable."""
    import pandas as pd

    rows = [row for cell in run["cells"] for row in _rows(store, run, cell)]
    frame = pd.DataFrame(rows, columns=[*COLUMNS, "reason"])
    whole = ["align_step", "align_seed", "seed", "layer", "n"]
    return frame.astype(dict.fromkeys(whole, "Int64") | {"value": "float64"})


def _rows(
    store: Store, run: Mapping[str, Any], cell: Mapping[str, Any]
) -> Iterable[dict[str, Any]]:
    base = dict(cell["coordinates"])
    if cell.get("probe") is not None:
        yield from _probed(store, cell)
        return
    metrics = run["metrics"].get(base["task"], [None])
    if cell["unavailable"]:
        yield {**base, "metric": metrics[0], "status": "unavailable", "reason": cell["unavailable"]}
        return
    base["key"] = cell["score"]
    scored, status, reason = _outcome(store, cell)
    for metric in metrics:
        found = {"value": scored["scores"][metric], "n": scored["n"]} if scored else {}
        yield {**base, "metric": metric, **found, "status": status, "reason": reason}


def _probed(store: Store, cell: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """The rows that a probe measured; a single one where there are none."""
    import pyarrow.parquet as pq

    base = {**cell["coordinates"], "key": cell["probe"]}
    if store.state("probe", cell["probe"]) == "done":
        try:
            path = store.file("probe", cell["probe"], ROWS)
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


def _outcome(
    store: Store, cell: Mapping[str, Any]
) -> tuple[dict[str, Any] | None, str, str | None]:
    """The scores of a cell, or none; its status; and why it has no value."""
    if _done(store, cell):
        try:
            return store.result("score", cell["score"]), "done", None
        except DamagedArtefact as damage:
            return None, "missing", str(damage)
    for kind in ("score", "probe", "evaluate", "finetune", "fit", "align", "links"):
        key = cell.get(kind)  # runs of older versions know fewer kinds
        error = store.error(kind, key) if key is not None else None
        if key is not None and error is not None:
            status = "failed" if kind in ("score", "evaluate", "probe") else "blocked"
            return None, status, f"{kind} {key[:12]}: {error}"
    return None, "missing", "not computed yet"


def _done(store: Store, cell: Mapping[str, Any]) -> bool:
    kind = "probe" if cell.get("probe") else "score"
    return store.state(kind, cell[kind]) == "done"


def failures(store: Store, run: Mapping[str, Any]) -> list[str]:
    """What failed and cost a cell its value, a line for each kind of stage and error.

    Stages that fail alike are one line: the first of them, its log, and how many more there are.
    """
    alike: dict[tuple[str, str], dict[str, str]] = {}
    for cell in run["cells"]:
        if cell["unavailable"] or _done(store, cell):
            continue
        for kind, names in POINTS.items():
            key = cell.get(kind)
            error = store.error(kind, key) if key is not None else None
            if error is not None:
                error += _advice(store.status(kind, key))
                point = [cell["coordinates"].get(name) for name in names]
                shown = " ".join(str(part) for part in point if part is not None)
                alike.setdefault((kind, error), {}).setdefault(key, shown)
    return [_failure(store, kind, error, points) for (kind, error), points in alike.items()]


def _advice(status: Mapping[str, Any]) -> str:
    """Whose code raised, and what to do about the cause."""
    whose = f" In the code of {status['plugin']}." if status.get("plugin") else ""
    advice = ADVICE.get(str(status.get("cause")), "")
    return whose + (f" {advice}" if advice else "")


def _failure(store: Store, kind: str, error: str, points: Mapping[str, str]) -> str:
    key, shown = next(iter(points.items()))
    log = store.folder(kind, key) / "log.txt"
    more = f", and {len(points) - 1} more like it" if len(points) > 1 else ""
    return f"{kind} {key[:12]} ({shown}){more}: {error} Log: {log}"

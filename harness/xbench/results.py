"""The tidy results table: one row per measured value, from what a run planned and the store holds."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xbench.errors import XbenchError
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
PLAN = "plan.json"
SPEC = "spec.yaml"


def record_run(plan: Plan, store: Store) -> Path:
    """Write down what a run asked for, so that reports need nothing but the store."""
    cells = [asdict(cell) for cell in plan.cells]
    tasks = {cell.coordinates["task"]: _metrics(plan, cell) for cell in plan.cells if cell.score}
    spec = plan.spec.to_yaml()
    content = {"cells": cells, "metrics": tasks, "gaps": plan.gaps}
    folder = store.root / "runs" / key_of({"spec": spec, **content})[:12]
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / SPEC, spec)
    write_atomic(folder / PLAN, dump_json(content))
    return folder


def _metrics(plan: Plan, cell: Cell) -> list[str]:
    assert cell.score is not None
    return [metric["name"] for metric in plan.stages[cell.score].spec["metrics"]]


def find_run(store: Store, name: str | None = None) -> Path:
    """The folder of a run: by (the beginning of) its id, else the one asked for last."""
    runs = sorted((store.root / "runs").glob("*/" + PLAN), key=lambda path: path.stat().st_mtime)
    if name:
        runs = [path for path in runs if path.parent.name.startswith(name)]
    if not runs:
        what = f"no run {name!r}" if name else "no run"
        raise XbenchError(f"The store {store.root} holds {what}. Run something: xbench run")
    return runs[-1].parent


def read_run(folder: Path) -> dict[str, Any]:
    """What :func:`record_run` wrote."""
    content: dict[str, Any] = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    return content


def results(store: Store, run: Mapping[str, Any]) -> "pd.DataFrame":
    """All rows of a run, with a ``reason`` column for what is failed, blocked or unavailable."""
    import pandas as pd

    rows = [row for cell in run["cells"] for row in _rows(store, run, cell)]
    frame = pd.DataFrame(rows, columns=[*COLUMNS, "reason"])
    whole = ["align_step", "align_seed", "seed", "n"]
    return frame.astype(dict.fromkeys(whole, "Int64"))


def _rows(
    store: Store, run: Mapping[str, Any], cell: Mapping[str, Any]
) -> Iterable[dict[str, Any]]:
    base = dict(cell["coordinates"])
    metrics = run["metrics"].get(base["task"], [None])
    if cell["unavailable"]:
        yield {**base, "metric": metrics[0], "status": "unavailable", "reason": cell["unavailable"]}
        return
    base["key"] = cell["score"]
    try:
        scored = store.result("score", cell["score"]) if _done(store, cell) else None
    except DamagedArtefact as error:
        scored, status, reason = None, "missing", str(error)
    else:
        status, reason = _status(store, cell)
    for metric in metrics:
        if scored is None:
            yield {**base, "metric": metric, "status": status, "reason": reason}
            continue
        value = scored["scores"][metric]
        yield {**base, "metric": metric, "value": value, "n": scored["n"], "status": "done"}


def _done(store: Store, cell: Mapping[str, Any]) -> bool:
    return store.state("score", cell["score"]) == "done"


def _status(store: Store, cell: Mapping[str, Any]) -> tuple[str, str]:
    """Why a cell has no value: a stage above it failed, or it was never computed."""
    if store.state("score", cell["score"]) == "failed":
        return "failed", _error(store, "score", cell["score"])
    for kind in ("evaluate", "finetune", "align"):
        key = cell[kind]
        if key is not None and store.state(kind, key) == "failed":
            status = "failed" if kind == "evaluate" else "blocked"
            return status, f"{kind} {key[:12]}: {_error(store, kind, key)}"
    return "missing", "not computed yet"


def _error(store: Store, kind: str, key: str) -> str:
    return str(store.status(kind, key).get("error", "unknown error"))


def failures(store: Store, run: Mapping[str, Any]) -> list[str]:
    """A line for each stage of a run that failed: kind, error, and where its log lies."""
    seen: dict[str, str] = {}
    for cell in run["cells"]:
        for kind in ("align", "finetune", "evaluate", "score"):
            key = cell[kind]
            if key is None or key in seen or store.state(kind, key) != "failed":
                continue
            log = store.folder(kind, key) / "log.txt"
            seen[key] = f"{kind} {key[:12]} ({_point(cell)}): {_error(store, kind, key)} Log: {log}"
    return list(seen.values())


def _point(cell: Mapping[str, Any]) -> str:
    names = ("objective", "variant", "arm", "pair", "task", "mode", "seed", "language")
    return " ".join(
        str(cell["coordinates"][n]) for n in names if cell["coordinates"].get(n) is not None
    )

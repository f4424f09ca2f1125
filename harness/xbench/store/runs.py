"""What a run asked for, written into its store, so that a report needs nothing but the store.

runs/ID/spec.yaml     the resolved spec; running it repeats the run
runs/ID/plan.json     the cells with the keys of their stages, and what has no data
runs/ID/notes.json    what is to be said of the run's input
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from xbench.errors import UnknownName, XbenchError
from xbench.files import dump_json, parse_json, write_atomic
from xbench.keys import key_of
from xbench.plan import Cell, Plan
from xbench.store.store import Store

PLAN = "plan.json"
SPEC = "spec.yaml"
NOTES = "notes.json"


@dataclass(frozen=True)
class RunRecord:
    """What a run planned: its cells, and of each task the metrics, the first of them the main one.

    ``gaps``: what has no data -> why. ``resolved``: a name on the hub -> its commit. ``unguarded``:
    a test set that the alignment text was not compared with -> why.
    """

    cells: tuple[Cell, ...]
    metrics: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gaps: Mapping[str, str] = field(default_factory=dict)
    resolved: Mapping[str, str] = field(default_factory=dict)
    unguarded: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan) -> "RunRecord":
        """The record of a plan."""
        metrics = {
            cell.coordinates["task"]: tuple(
                metric.name for metric in plan.stages[cell.score].spec.metrics
            )
            for cell in plan.cells
            if cell.score
        }
        return cls(tuple(plan.cells), metrics, plan.gaps, plan.resolved, plan.unguarded)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "RunRecord":
        """Read back what :meth:`to_json` gave; an older version knew fewer kinds of stages."""
        known = {each.name for each in fields(Cell)}
        cells = [Cell(**{n: v for n, v in cell.items() if n in known}) for cell in content["cells"]]
        metrics = {task: tuple(names) for task, names in content["metrics"].items()}
        others = {name: content.get(name, {}) for name in ("gaps", "resolved", "unguarded")}
        return cls(tuple(cells), metrics, **others)

    def to_json(self) -> dict[str, Any]:
        """As it stands in plan.json."""
        return {
            # not asdict, which copies what lies below and takes ten times as long
            "cells": [vars(cell) | {"coordinates": dict(cell.coordinates)} for cell in self.cells],
            "metrics": {task: list(names) for task, names in self.metrics.items()},
            "gaps": dict(self.gaps),
            "resolved": dict(self.resolved),
            "unguarded": dict(self.unguarded),
        }


def record_run(plan: Plan, store: Store) -> Path:
    """Write down what a run asked for; returns its folder, which is named by the content."""
    content = RunRecord.of(plan).to_json()
    folder = _folder(content, plan, store)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / SPEC, plan.spec.to_yaml())
    write_atomic(folder / PLAN, dump_json(content))
    store.send_run(folder)
    return folder


def run_folder(plan: Plan, store: Store) -> Path:
    """Where a run is recorded."""
    return _folder(RunRecord.of(plan).to_json(), plan, store)


def _folder(content: Mapping[str, Any], plan: Plan, store: Store) -> Path:
    """Named by what is asked for; who computes it makes no other run of it."""
    spec = plan.spec.model_copy(update={"launcher": None}).to_yaml()
    return store.root / "runs" / key_of({"spec": spec, **content})[:12]


def read_record(folder: Path) -> RunRecord:
    """What :func:`record_run` wrote. Raises :class:`XbenchError` where that is damaged."""
    try:
        return RunRecord.from_json(parse_json((folder / PLAN).read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise XbenchError(
            f"{folder / PLAN} is damaged ({error}). The results are not lost: run the same command "
            f"again, and it is written anew."
        ) from error


def add_notes(folder: Path, notes: Iterable[str], store: Store) -> None:
    """Keep what is to be said of a run's input, beside what was said before."""
    known = read_notes(folder)
    every = list(dict.fromkeys([*known, *notes]))
    if every != known:
        write_atomic(folder / NOTES, dump_json(every))
        store.send_run(folder)


def read_notes(folder: Path) -> list[str]:
    """What is to be said of a run's input; nothing for a run that has no notes."""
    try:
        found: list[str] = parse_json((folder / NOTES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return found


def find_run(store: Store, name: str | None = None) -> Path:
    """The folder of a run: by (the beginning of) its id, else the one asked for last."""
    store.fetch_runs()
    plans = sorted((store.root / "runs").glob("*/" + PLAN), key=lambda path: path.stat().st_mtime)
    runs = [path.parent for path in plans]
    if not runs:
        what = "holds no run" if store.root.is_dir() else "does not exist"
        raise XbenchError(
            f"The store {store} {what}. Run something (xbench run), or name another store: "
            f"--store DIR."
        )
    chosen = [run for run in runs if run.name.startswith(name or "")]
    if not chosen:
        raise UnknownName(f"run in the store {store}:", str(name), [run.name for run in runs])
    return chosen[-1]

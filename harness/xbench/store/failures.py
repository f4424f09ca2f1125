"""What failed in a run: where, why, what to do about it, and where its log lies."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xbench.plan import KINDS
from xbench.store.rows import is_done
from xbench.store.runs import RunRecord
from xbench.store.store import Store

ADVICE = {
    "memory": "Out of memory: process batches in parts, -O align.accumulate=4 or -O finetune.accumulate=2"
    " (same gradients), or run fewer workers, --jobs 1.",
    "disk": "The disk is full: free some (xbench store), or name another, --store DIR.",
    "diverged": "Training diverged: a lower learning rate, or precision fp32.",
    "device": "The GPU refused all further work, so the run went on in a new process. To see the call at"
    " fault: CUDA_LAUNCH_BLOCKING=1 xbench retry --failed.",
    "job": "The same command, or xbench retry, submits it again; where time or memory ran out, ask for"
    " more of it.",
    "killed": "Its process was killed: if that was for memory, run fewer workers, --jobs 1.",
}


@dataclass(frozen=True)
class Failure:
    """Stages of one kind that failed alike: the first of them, and how many ``more`` there are.

    ``point`` tells it from others of its kind; ``error`` ends with advice; ``log`` has the traceback.
    """

    kind: str
    key: str
    point: str
    more: int
    error: str
    log: Path

    def __str__(self) -> str:
        more = f", and {self.more} more like it" if self.more else ""
        return f"{self.kind} {self.key[:12]} ({self.point}){more}: {self.error} Log: {self.log}"


def failures(store: Store, run: RunRecord) -> list[Failure]:
    """What failed and cost a cell its value, one for each kind of stage and error."""
    alike: dict[tuple[str, str], dict[str, str]] = {}
    for cell in run.cells:
        if cell.unavailable or is_done(store, cell):
            continue
        for kind in KINDS.values():
            key = getattr(cell, kind.kind)
            error = store.error(kind.kind, key) if key is not None else None
            if error is not None:
                error += _advice(store.status(kind.kind, key))
                point = [cell.coordinates.get(name) for name in kind.point]
                shown = " ".join(str(part) for part in point if part is not None)
                alike.setdefault((kind.kind, error), {}).setdefault(key, shown)
    return [_failure(store, kind, error, points) for (kind, error), points in alike.items()]


def _advice(status: Mapping[str, Any]) -> str:
    """Whose code raised, and what to do about the cause."""
    whose = f" In the code of {status['plugin']}." if status.get("plugin") else ""
    advice = ADVICE.get(str(status.get("cause")), "")
    return whose + (f" {advice}" if advice else "")


def _failure(store: Store, kind: str, error: str, points: Mapping[str, str]) -> Failure:
    key, shown = next(iter(points.items()))
    return Failure(kind, key, shown, len(points) - 1, error, store.folder(kind, key) / "log.txt")

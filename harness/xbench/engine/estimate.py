"""What a run will take: disk from the weights' headers, time and memory from stages measured before.

Nothing is trained and no weights are loaded. Where nothing comparable was measured, time and
memory are unknown, and said to be.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xbench.catalogue.models import weight_files
from xbench.engine.cost import CostGroup, group_of
from xbench.engine.todo import Work
from xbench.files import parse_json
from xbench.nn.encoders.hf_files import read_header
from xbench.plan import Plan, Stage
from xbench.store import STATUS, Store

FLOAT = 4  # bytes: weights are kept and trained in float32
MOMENTS = 2  # AdamW keeps two values for every weight
MOST_LOOKED_AT = 2000  # stages of a kind that are read for their measurements


@dataclass(frozen=True)
class Rate:
    """What ``n`` measured stages took: seconds to begin, seconds per unit (a step, a test item).

    ``memory`` is their peak, ``items`` the most training or test items that one of them had.
    """

    start: float
    per_unit: float
    memory: int
    items: int
    n: int

    def seconds(self, stage: Stage) -> float:
        """What a stage of the kind will take."""
        return self.start + self.per_unit * stage.units(self.items)


@dataclass
class CostEstimate:
    """``seconds`` of wall time with ``jobs`` workers and ``memory`` per worker: None where unknown.

    ``disk_peak`` is what the run adds while it is going, ``disk_kept`` what stays; in bytes, and
    None where the model is not here. ``unmeasured`` names the kinds of stages without a
    measurement; ``measured`` counts the stages behind the estimate.
    """

    seconds: float | None
    memory: int | None
    disk_peak: int | None
    disk_kept: int | None
    jobs: int
    measured: int
    unmeasured: list[str] = field(default_factory=list)


def estimate(
    plan: Plan, work: Work, stores: Iterable[Store], jobs: int, keep: str = "align"
) -> CostEstimate:
    """What the stages still to do will take; rates come from all the ``stores``."""
    todo = [plan.stages[key] for key in plan.stages if key in work.todo]
    rates = rates_of(plan, work, stores)
    total, unmeasured, used = 0.0, [], 0
    for group, stages in _by_group(todo, plan).items():
        rate = rates.get(group)
        if rate is None:
            unmeasured.append(" ".join(part for part in group[:3] if part))
            continue
        total += sum(map(rate.seconds, stages))
        used += rate.n
    memory = max((rate.memory for rate in rates.values()), default=0) or None
    peak, kept = _disk(todo, jobs, keep)
    seconds = None if unmeasured else total / max(1, min(jobs, len(work.jobs)))
    return CostEstimate(seconds, memory, peak, kept, jobs, used, unmeasured)


def rates_of(plan: Plan, work: Work, stores: Iterable[Store]) -> dict[CostGroup, Rate]:
    """What stages like those still to do took, in all the ``stores``."""
    return _rates(stores, {group_of(plan.stages[key], plan.stages) for key in work.todo})


def _by_group(stages: Iterable[Stage], plan: Plan) -> dict[CostGroup, list[Stage]]:
    found: dict[CostGroup, list[Stage]] = defaultdict(list)
    for stage in stages:
        found[group_of(stage, plan.stages)].append(stage)
    return found


def _rates(stores: Iterable[Store], wanted: set[CostGroup]) -> dict[CostGroup, Rate]:
    samples: dict[CostGroup, list[dict[str, Any]]] = defaultdict(list)
    for store in stores:
        for kind in {group[0] for group in wanted}:
            for note in _notes(store.root / kind):
                group = tuple(note["group"])
                if group in wanted:
                    samples[group].append(note)
    return {group: _rate(notes) for group, notes in samples.items()}


def _rate(notes: list[dict[str, Any]]) -> Rate:
    """A line through the measurements; through the origin where all had the same length."""
    units = [float(note["units"]) for note in notes]
    seconds = [float(note["seconds"]) for note in notes]
    middle, mean = statistics.fmean(units), statistics.fmean(seconds)
    width = sum((u - middle) ** 2 for u in units)
    slope = mean / middle
    if width > 0:
        rise = sum((u - middle) * (s - mean) for u, s in zip(units, seconds, strict=True))
        slope = min(max(rise / width, 0.0), slope)  # neither part is negative
    memory, items = (max(int(note[name]) for note in notes) for name in ("memory", "items"))
    return Rate(mean - slope * middle, slope, memory, items, len(notes))


def _notes(folder: Path) -> Iterable[dict[str, Any]]:
    for number, path in enumerate(folder.glob(f"*/{STATUS}")):
        if number >= MOST_LOOKED_AT:
            return
        try:
            note = parse_json(path.read_text(encoding="utf-8")).get("measured")
        except (OSError, ValueError, AttributeError):
            continue  # whoever needs that stage finds out about the damage
        if isinstance(note, dict) and note.get("units"):
            yield note


def _disk(todo: Iterable[Stage], jobs: int, keep: str) -> tuple[int | None, int | None]:
    """(at the peak, for good): weights of alignments, of fine-tunings on their way, training states."""
    todo = list(todo)
    try:
        size = max((weights_bytes(Path(s.places.model_folder)) for s in _one_each(todo)), default=0)
    except (OSError, ValueError, KeyError):
        return None, None
    aligned = sum(len(s.places.checkpoints) for s in todo if s.kind == "align") * size
    full = [s for s in todo if s.kind == "finetune" and s.spec.mode == "full"]
    tuned = len(full) * size
    trained = any(s.kind == "align" for s in todo) or bool(full)
    states = jobs * (1 + MOMENTS) * size if trained else 0
    kept = {"none": 0, "align": aligned, "all": aligned + tuned}[keep]
    passing = tuned if keep == "all" else min(len(full), jobs) * size
    return aligned + passing + states, kept


def _one_each(stages: Iterable[Stage]) -> list[Stage]:
    return list({stage.places.model_folder: stage for stage in stages}.values())


def weights_bytes(folder: Path) -> int:
    """The size of a model's weights in float32, from the headers of its safetensors files.

    Raises ``OSError`` or ``ValueError`` where there are none to read.
    """
    files = weight_files(folder)
    if not files:
        raise ValueError(f"{folder} holds no safetensors")
    headers = (read_header(path)[0] for path in files)
    numbers: int = sum(math.prod(one["shape"]) for header in headers for one in header.values())
    return FLOAT * numbers

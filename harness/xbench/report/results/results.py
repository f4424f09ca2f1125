"""What a report is about: selected measurements, one per cell, and what they ought to cover."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import NamedTuple

ARMS = ("none", "aligned", "shuffled")
UNTRAINED = "untrained"
"""What stands for the mode of a task without training; the seed of its runs is ``NOT_TUNED``."""
NOT_TUNED = -1
"""Stands for the fine-tuning seed where nothing is fine-tuned."""

Panel = tuple[str, str]
"""(task, mode)."""


@dataclass(frozen=True)
class Selection:
    """Which rows of the results are reported.

    ``metrics`` maps a task to the metric shown (default: accuracy). ``align_step``: the largest
    one by default. ``align_seed``: one of them alone, instead of all.
    """

    metrics: Mapping[str, str] = field(default_factory=dict)
    split: str = "test"
    align_step: int | None = None
    align_seed: int | None = None

    def metric(self, task: str) -> str:
        """The metric shown for this task."""
        return self.metrics.get(task, "accuracy")


@dataclass(frozen=True)
class ComparedEncoder:
    """Which encoder was fine-tuned; all but ``arm`` is None for the untouched one.

    ``during``: its objective acts beside the task's loss, and there is no alignment before.
    """

    arm: str
    objective: str | None = None
    variant: str | None = None
    pair: str | None = None
    during: bool = False

    @property
    def has_alignment(self) -> bool:
        """Whether a training before fine-tuning made it, which another alignment seed would repeat."""
        return self.pair is not None and not self.during


class Run(NamedTuple):
    """The seeds of one model: of its fine-tuning, and of the alignment that came before, if any."""

    seed: int
    align_seed: int | None = None


@dataclass(frozen=True)
class Measurement:
    """One cell's outcome; ``value`` is None unless ``status`` is ``done``."""

    status: str
    value: float | None
    n: int | None
    key: str | None
    reason: str | None


Block = dict[tuple[str, Run], Measurement]
"""The measurements of one encoder in one panel, by (language, run)."""


@dataclass(frozen=True)
class Results:
    """The selected measurements of one suite and model, and what they ought to cover."""

    suite: str
    model: str
    blocks: Mapping[tuple[Panel, ComparedEncoder], Block]
    languages: Mapping[Panel, tuple[str, ...]]
    seeds: Mapping[Panel, tuple[int, ...]]
    metrics: Mapping[Panel, str]
    unavailable: Mapping[tuple[str, str], str]
    """(task, language) -> the sentence that says why there is no data."""
    align_step: int | None
    other_steps: tuple[int, ...]
    align_seeds: tuple[int, ...] = ()

    @property
    def panels(self) -> list[Panel]:
        """All (task, mode), sorted."""
        return sorted({panel for panel, _ in self.blocks})

    @property
    def encoders(self) -> list[ComparedEncoder]:
        """All encoders, the untouched one first, controls last."""
        return sorted({encoder for _, encoder in self.blocks}, key=_encoder_order)

    def runs(self, panel: Panel, encoder: ComparedEncoder) -> tuple[Run, ...]:
        """What an average of an encoder has to cover: each alignment, with every fine-tuning seed."""
        alignments = self.align_seeds if encoder.has_alignment else (None,)
        return tuple(Run(seed, each) for each, seed in product(alignments, self.seeds[panel]))

    def only(self, panel: Panel) -> "Results":
        """The part that one task and mode is about."""
        return replace(
            self,
            blocks={place: block for place, block in self.blocks.items() if place[0] == panel},
            languages={panel: self.languages[panel]},
            seeds={panel: self.seeds[panel]},
            metrics={panel: self.metrics[panel]},
            unavailable={p: why for p, why in self.unavailable.items() if p[0] == panel[0]},
        )


def _encoder_order(encoder: ComparedEncoder) -> tuple[int, str, bool, str, str]:
    return (
        ARMS.index(encoder.arm),
        encoder.pair or "",
        encoder.during,
        encoder.objective or "",
        encoder.variant or "",
    )


UNTOUCHED = ComparedEncoder("none")

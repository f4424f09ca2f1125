"""What a report is about: selected measurements, one per cell, and what they ought to cover."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

ARMS = ("none", "aligned", "shuffled")

Panel = tuple[str, str]
"""(task, mode)."""


@dataclass(frozen=True)
class Selection:
    """Which rows of the results are reported.

    ``metrics`` maps a task to the metric shown (default: accuracy). ``align_step``: the largest
    one by default. ``align_seed``: all by default, each as an encoder of its own. ``languages``
    and ``seeds``: all that occur by default; given, they are what an average needs to be complete.
    """

    metrics: Mapping[str, str] = field(default_factory=dict)
    split: str = "test"
    align_step: int | None = None
    align_seed: int | None = None
    languages: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None

    def metric(self, task: str) -> str:
        """The metric shown for this task."""
        return self.metrics.get(task, "accuracy")


@dataclass(frozen=True)
class Encoder:
    """Which encoder was fine-tuned; all but ``arm`` is None for the untouched one."""

    arm: str
    objective: str | None = None
    variant: str | None = None
    pair: str | None = None
    align_seed: int | None = None


@dataclass(frozen=True)
class Measurement:
    """One cell's outcome; ``value`` is None unless ``status`` is ``done``."""

    status: str
    value: float | None
    n: int | None
    key: str | None
    reason: str | None


Block = dict[tuple[str, int], Measurement]
"""The measurements of one encoder in one panel, by (language, seed)."""


@dataclass(frozen=True)
class Results:
    """The selected measurements of one suite and model, and what they ought to cover."""

    suite: str
    model: str
    blocks: Mapping[tuple[Panel, Encoder], Block]
    languages: Mapping[Panel, tuple[str, ...]]
    seeds: Mapping[Panel, tuple[int, ...]]
    metrics: Mapping[Panel, str]
    unavailable: Mapping[tuple[str, str], str]
    """(task, language) -> the sentence that says why there is no data."""
    align_step: int | None
    other_steps: tuple[int, ...]

    @property
    def panels(self) -> list[Panel]:
        """All (task, mode), sorted."""
        return sorted({panel for panel, _ in self.blocks})

    @property
    def encoders(self) -> list[Encoder]:
        """All encoders, the untouched one first, controls last."""
        return sorted({encoder for _, encoder in self.blocks}, key=_encoder_order)

    @property
    def align_seeds(self) -> list[int]:
        """All seeds of alignment runs."""
        return sorted({e.align_seed for e in self.encoders if e.align_seed is not None})

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


def _encoder_order(encoder: Encoder) -> tuple[int, str, int, str, str]:
    return (
        ARMS.index(encoder.arm),
        encoder.pair or "",
        encoder.align_seed or 0,
        encoder.objective or "",
        encoder.variant or "",
    )

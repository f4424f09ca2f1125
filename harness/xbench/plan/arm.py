"""An arm: one of the encoders that a run compares."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xbench.catalogue.identity import Component
from xbench.plan.kinds.pairs import PairPlace
from xbench.plan.kinds.task import JointSpec
from xbench.plan.records import EncoderId


@dataclass(frozen=True)
class Arm:
    """An encoder to be evaluated: the weights to start from, and what else is done to it.

    ``parents`` give those weights; ``joint`` acts during fine-tuning, ``merge`` at its end,
    ``transform`` on what the encoder gives. ``pairs`` is where the text of ``joint`` lies.
    """

    coordinates: Mapping[str, Any]
    encoder: EncoderId
    align: str | None = None
    links: str | None = None
    joint: JointSpec | None = None
    pairs: PairPlace | None = None
    needs_translations: bool = False
    transform: Component | None = None
    merge: Component | None = None

    @property
    def parents(self) -> tuple[str, ...]:
        """The stages that give the weights to start from."""
        return (self.align,) if self.align else ()

    @property
    def label(self) -> str:
        """For a person."""
        c = self.coordinates
        if c["arm"] == "none":
            return "the untouched encoder"
        seed = None if c.get("align_seed") is None else f"align seed {c['align_seed']}"
        words = [f"{c['objective']}:{c['variant']}", c.get("pair"), c["arm"], seed]
        return " ".join(str(w) for w in words if w and w != "aligned")

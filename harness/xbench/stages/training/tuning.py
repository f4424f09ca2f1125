"""What fine-tuning works with, and the fine-tuned model that it gives."""

from dataclasses import dataclass
from functools import lru_cache

from torch import Tensor

from xbench.catalogue.settings import FinetuneSettings
from xbench.nn.encoders.loading import AnyEncoder
from xbench.nn.heads import Head
from xbench.nn.random_streams import permutation
from xbench.nn.text import TextFormat
from xbench.plan.kinds.task import FinetuneStage
from xbench.stages.inputs.examples import Examples
from xbench.stages.resources import Resources


@dataclass
class Tuned:
    """A fine-tuned model: the stage that gave it, the encoder (frozen or tuned) and the head on it."""

    stage: FinetuneStage
    encoder: AnyEncoder
    head: Head


@dataclass(frozen=True)
class FineTuning:
    """What fine-tuning one stage works with."""

    stage: FinetuneStage
    resources: Resources
    settings: FinetuneSettings
    examples: Examples
    format: TextFormat

    @property
    def seed(self) -> int:
        """The fine-tuning seed."""
        return self.stage.spec.seed

    @property
    def steps(self) -> int:
        """The number of updates: asked for, or epochs times batches (the last may be smaller)."""
        if self.settings.steps is not None:
            return self.settings.steps
        assert self.settings.epochs is not None
        return self.settings.epochs * self.per_epoch

    @property
    def per_epoch(self) -> int:
        """Batches in one pass over the training data."""
        return -(-len(self.examples) // self.settings.batch_size)

    def rows(self, step: int) -> list[int]:
        """The rows of a step: a new random order each epoch."""
        epoch, index = divmod(step, self.per_epoch)
        size = self.settings.batch_size
        order = _order(len(self.examples), self.seed, epoch)
        chosen: list[int] = order[index * size : (index + 1) * size].tolist()
        return chosen


@lru_cache(maxsize=64)  # those of a stack, which take turns
def _order(count: int, seed: int, epoch: int) -> Tensor:
    """[count] the order of the examples, kept for the length of an epoch.

    Drawing it anew each step would cost as much as training.
    """
    return permutation(count, seed, "examples", epoch)

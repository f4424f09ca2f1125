"""An alignment objective: the loss that is to pull languages together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from xbench.api.batch import PairBatch


@dataclass(frozen=True)
class Term:
    """One part of a loss as (sum, count).

    The engine divides by the count over the whole effective batch, so that a batch processed in
    chunks gives the same gradient as one processed at once.
    """

    sum: Tensor
    count: float | Tensor

    @property
    def mean(self) -> Tensor:
        """The value of the term on its own; 0 for a term without items (nothing was masked)."""
        count = torch.as_tensor(self.count)
        return self.sum / torch.where(count == 0, torch.ones_like(count), count)


class Objective(nn.Module):
    """One class, one file: a loss with its own parameters and buffers; it never holds the encoder.

    Subclasses give ``Config`` (a frozen dataclass, every field with a default) and ``terms``.
    ``needs`` names the data the objective asks for (``pairs``, ``links``, ``task``,
    ``translated_task``), ``phases`` when it can act (``before``: phase I, ``during``: joint with
    the task loss, at the weight ``finetune.joint_weight``), ``coupled`` the terms whose items
    depend on the whole batch (in-batch negatives). ``variants`` names configurations; ``sources``
    says, per config field, who stated its default: ``paper``, ``code: NAME`` or ``reconstruction``.
    ``learns_pairs`` is false where it does not matter which sentences are paired.
    Bump ``version`` when the numbers change.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"pairs"})
    phases: ClassVar[frozenset[str]] = frozenset({"before", "during"})
    coupled: ClassVar[frozenset[str]] = frozenset()
    learns_pairs: ClassVar[bool] = True
    variants: ClassVar[Mapping[str, Any]] = {}
    sources: ClassVar[Mapping[str, str]] = {}

    @dataclass(frozen=True)
    class Config:
        """No settings."""

    def __init__(self, config: Any = None) -> None:
        super().__init__()
        self.config: Any = config if config is not None else self.Config()

    def setup(self, encoder: nn.Module) -> None:
        """Called once before training: create heads, frozen copies, queues. Default: nothing.

        ``encoder.config.hidden_size`` is D. The random stream is set: draw initial weights freely.
        """

    def prepare(self, batches: Iterator[PairBatch]) -> None:
        """Called once before the first step, without gradients: fill a queue, take statistics.

        Take as many batches as are needed; they are a pass over the corpus in an order of its own.
        A resumed training does not prepare again: what is to last belongs into buffers.
        """

    def terms(self, batch: PairBatch) -> dict[str, Term]:
        """The loss as named, weighted terms; terms of weight zero are left out."""
        raise NotImplementedError

    @torch.no_grad()
    def after_step(self, encoder: nn.Module, step: int) -> None:
        """Called after each optimiser step (momentum copies, running statistics)."""

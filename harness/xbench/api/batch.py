"""What an objective sees of a batch: the only way to the encoder.

Everything is computed when asked for and once per step: ``states(2/3)`` runs the encoder up to
that layer and no further, and a later ``states(1)`` continues from there.
Padding never influences anything. B is the number of pairs, T the padded length,
D the hidden size, V the vocabulary size, M the number of masked positions.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Vocabulary:
    """The tokenizer's facts that objectives need."""

    size: int
    special_ids: tuple[int, ...]
    pad_id: int
    mask_id: int | None


class View(Protocol):
    """One side of the pairs (or both sides concatenated) as token ids and states."""

    @property
    def ids(self) -> Tensor:
        """[B, T] int64 token ids, padded."""
        ...

    @property
    def attention_mask(self) -> Tensor:
        """[B, T] bool, true where there is a token (specials included)."""
        ...

    @property
    def content_mask(self) -> Tensor:
        """[B, T] bool, true at tokens that are neither padding nor specials that frame the text.

        Unknown and masked tokens are content.
        """
        ...

    def states(self, depth: float = 1.0) -> Tensor:
        """[B, T, D] states at a relative depth: 0 is the embedding output, 1 the last layer."""
        ...

    def pooled(self, depth: float = 1.0, how: str = "mean") -> Tensor:
        """[B, D]: ``mean`` over content tokens, or ``cls`` (the first token)."""
        ...

    @property
    def masked(self) -> "MaskedView":
        """The same text with tokens masked for MLM (15 %, of which 80/10/10)."""
        ...


class MaskedView(View, Protocol):
    """A view whose input was masked for masked language modelling."""

    def logits(self) -> Tensor:
        """[M, V] predictions at the masked positions only."""
        ...

    @property
    def labels(self) -> Tensor:
        """[M] the token ids that were masked."""
        ...


class PairBatch(Protocol):
    """B sentence pairs. Row i of ``source`` and ``target`` is a pair."""

    @property
    def source(self) -> View: ...

    @property
    def target(self) -> View: ...

    @property
    def joint(self) -> View:
        """Each pair as one input: ``<s> x </s></s> y </s>`` in the tokenizer's pair format."""
        ...

    @property
    def vocabulary(self) -> Vocabulary: ...

    @property
    def generator(self) -> torch.Generator:
        """This step's random stream for the objective's own sampling (on the CPU)."""
        ...

    def embeddings(self, ids: Tensor | None = None) -> Tensor:
        """[..., D] rows of the input word-embedding matrix; the whole [V, D] without ``ids``."""
        ...

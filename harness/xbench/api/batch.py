"""What an objective sees of a batch: the only way to the encoder.

Everything is computed when asked for and once per step: ``states(2/3)`` runs the encoder up to
that layer and no further, and a later ``states(1)`` continues from there.
Padding never influences anything. B is the number of pairs, T the padded length,
D the hidden size, V the vocabulary size, M the number of masked positions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn


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
    def word_mask(self) -> Tensor:
        """[B, W] bool, true where there is a word; W is the largest number of words in a text."""
        ...

    def words(self, depth: float = 1.0, how: str = "mean") -> Tensor:
        """[B, W, D]: one vector per word, from its subwords: their ``mean``, the ``first`` or ``last``.

        Zeros where there is no word, or where its subwords were cut off.
        """
        ...

    @property
    def sides(self) -> Tensor:
        """[B, T] int64: 0 at content of the source, 1 of the target, -1 at specials and padding."""
        ...

    @property
    def masked(self) -> "MaskedView":
        """The same text with tokens masked for MLM (15 %, of which 80/10/10)."""
        ...

    def attending(self, rule: "AttentionRule") -> "View":
        """The same text, encoded anew where a position attends only where ``rule`` allows it.

        ``rule(view)`` gives [B, T, T] bool, true where the query (first T) sees the key. Give a
        named function, not a lambda made on each call: equal rules share one encoding.
        """
        ...

    def perturbed(self, rule: "Perturbation") -> "View":
        """The same text, encoded anew from altered embeddings: ``rule(states [B, T, D], generator)``."""
        ...


AttentionRule = Callable[[View], Tensor]
Perturbation = Callable[[Tensor, torch.Generator], Tensor]


class MaskedView(View, Protocol):
    """A view whose input was masked for masked language modelling."""

    def attending(self, rule: AttentionRule) -> "MaskedView":
        """As :meth:`View.attending`; the mask stays."""
        ...

    def perturbed(self, rule: Perturbation) -> "MaskedView":
        """As :meth:`View.perturbed`; the mask stays."""
        ...

    def logits(self) -> Tensor:
        """[M, V] predictions at the masked positions only."""
        ...

    def losses(self) -> Tensor:
        """[M] cross-entropy of these predictions, in float32 or better.

        Of a large vocabulary it takes a fraction of the memory of ``logits``.
        """
        ...

    @property
    def chosen(self) -> Tensor:
        """[B, T] bool, true at the M positions that are to be predicted, row by row."""
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
    def links(self) -> Tensor:
        """[K, 3] int64: (row of the pair, word of the source, word of the target), K links in all.

        Only for an objective that needs ``links``; the run's aligner has found them.
        """
        ...

    @property
    def task(self) -> "TaskBatch":
        """The step's labelled examples; only in phase ``during``."""
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

    def weights(self) -> Mapping[str, Tensor]:
        """The encoder's trainable parameters by name, for a regulariser."""
        ...

    def compose(self, texts: Sequence[Sequence[int]]) -> View:
        """New texts, given as content ids that the tokenizer's specials are put around.

        Any number but none, also another than B. Too long ones are cut to what the encoder takes.
        Raises ``ValueError`` where there is no text.
        """
        ...

    def through(self, encoder: nn.Module) -> "PairBatch":
        """The same batch seen by another encoder (a :class:`FrozenCopy`), without gradients.

        Masked views show the same masks as this batch's own.
        """
        ...


class TaskBatch(Protocol):
    """The labelled examples of one fine-tuning step: B texts with N labelled places, C classes."""

    @property
    def view(self) -> View:
        """The examples' text, in the source language."""
        ...

    @property
    def labels(self) -> Tensor:
        """[N] int64 class numbers."""
        ...

    def logits(self, view: View) -> Tensor:
        """[N, C] the task head's scores on ``view``: this batch's own text, or an altered form of it."""
        ...

    @property
    def translated(self) -> View:
        """The same examples in the other language of the pair, row by row.

        Only for an objective that needs ``translated_task``.
        """
        ...

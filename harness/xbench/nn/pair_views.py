"""A batch of sentence pairs: a view of each side, of both as one text, and how words are linked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor, nn

from xbench.api.batch import TaskBatch, Vocabulary
from xbench.api.copies import FrozenCopy
from xbench.nn.encoders.loading import AnyEncoder
from xbench.nn.encoders.table_gradient import look_up
from xbench.nn.random_streams import StreamPart, generator
from xbench.nn.text import Text, TextFormat, content_digest, pad
from xbench.nn.text_view import TextView


@dataclass(frozen=True)
class PairTexts:
    """The inputs of B pairs: each side by itself, and both as one.

    ``links`` [K, 3] int64 are (row, word of the source, word of the target), where they are known.
    """

    source: Text
    target: Text
    joint: Text
    links: Tensor | None = None

    def to(self, device: str) -> "PairTexts":
        """The same on another device."""
        links = None if self.links is None else self.links.to(device)
        source, target = self.source.to(device), self.target.to(device)
        return PairTexts(source, target, self.joint.to(device), links)


class PairViews:
    """A batch of pairs over the encoder (:class:`xbench.api.PairBatch`).

    ``index`` is the chunk's number where a batch is processed in chunks.
    """

    def __init__(
        self,
        encoder: AnyEncoder,
        texts: PairTexts,
        format: TextFormat,
        stream: tuple[StreamPart, ...],
        index: int = 0,
    ) -> None:
        self._encoder = encoder
        self._texts = texts
        self._format = format
        self._stream = stream
        self.index = index
        self.source = TextView(encoder, texts.source, format, (*stream, "source"))
        self.target = TextView(encoder, texts.target, format, (*stream, "target"))
        self.joint = TextView(encoder, texts.joint, format, (*stream, "joint"))
        self.generator = generator(*stream, "objective")
        self._task: TaskBatch | None = None
        self._composed: dict[tuple[tuple[int, ...], ...], TextView] = {}

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokenizer's size and special ids."""
        return self._format.vocabulary

    @property
    def task(self) -> TaskBatch:
        """The step's labelled examples; there are none in phase I."""
        if self._task is None:
            raise ValueError(
                "there are no labelled examples in this phase: run with --phase during"
            )
        return self._task

    def attach(self, task: TaskBatch) -> None:
        """Give the batch the labelled examples of its step."""
        self._task = task

    @cached_property
    def links(self) -> Tensor:
        """[K, 3] the links between words that are both there (none was cut off)."""
        if self._texts.links is None:
            raise ValueError(
                "there are no word links: an objective that reads them says needs = {'pairs', 'links'}"
            )
        row_K, first_K, second_K = self._texts.links.unbind(1)
        there_K = _is_there(self.source.word_mask, row_K, first_K)
        there_K &= _is_there(self.target.word_mask, row_K, second_K)
        return self._texts.links[there_K]

    def embeddings(self, ids: Tensor | None = None) -> Tensor:
        """[..., D] rows of the input word embeddings; [V, D] without ``ids``."""
        words_1VD = self._encoder.word_embeddings
        return words_1VD.squeeze(0) if ids is None else look_up(ids, words_1VD, None)

    def weights(self) -> Mapping[str, Tensor]:
        """The encoder's trainable parameters by name."""
        return {n: p for n, p in self._encoder.named_parameters() if p.requires_grad}

    def compose(self, texts: Sequence[Sequence[int]]) -> TextView:
        """New texts from content ids; equal texts share one encoding."""
        if not texts:
            raise ValueError("there is no text to compose: ask for one at least")
        name = tuple(tuple(map(int, text)) for text in texts)
        if name not in self._composed:
            assert self._format.frame is not None
            longest = self._encoder.config.max_positions - len(self._format.frame([]))
            rows = [self._format.frame(text[:longest]) for text in name]
            ids = pad(rows, self.vocabulary.pad_id).to(self.source.ids.device)
            stream = (*self._stream, "composed", content_digest(name))
            self._composed[name] = TextView(self._encoder, Text(ids), self._format, stream)
        return self._composed[name]

    def through(self, encoder: nn.Module) -> Self:
        """The same texts, masks included, seen by a frozen encoder."""
        other = encoder.encoder if isinstance(encoder, FrozenCopy) else encoder
        return type(self)(other, self._texts, self._format, self._stream, self.index)  # type: ignore[arg-type]


def _is_there(word_mask_BW: Tensor, row_K: Tensor, word_K: Tensor) -> Tensor:
    """[K] bool: whether the word of that row has a subword left."""
    if word_mask_BW.shape[1] == 0:
        return torch.zeros_like(word_K, dtype=torch.bool)
    inside_K = word_K < word_mask_BW.shape[1]
    return inside_K & word_mask_BW[row_K, word_K.clamp(max=word_mask_BW.shape[1] - 1)]

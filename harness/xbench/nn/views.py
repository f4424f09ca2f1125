"""Views and batches of pairs over the encoder: lazy, layer by layer, each layer computed once.

B pairs, T padded length, D hidden size, V vocabulary, M masked positions. The encoder's replica
dimension is 1 here and is dropped from what objectives see.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from xbench.api.batch import Vocabulary
from xbench.nn.encoder import Encoder
from xbench.nn.packing import Packing
from xbench.nn.streams import Part, generator, seed_dropout

Integers = npt.NDArray[np.integer]


@dataclass(frozen=True)
class TextFormat:
    """How a tokenizer frames text (``frame_ids``: specials around and between), and how much is masked."""

    vocabulary: Vocabulary
    frame_ids: tuple[int, ...]
    mlm_probability: float = 0.15


@dataclass(frozen=True)
class Text:
    """A padded batch of inputs: ids and, where the encoder has them, token types, both [B, T]."""

    ids: Tensor
    token_types: Tensor | None = None

    def to(self, device: str) -> "Text":
        """The same on another device."""
        types = None if self.token_types is None else self.token_types.to(device)
        return Text(self.ids.to(device), types)


def pad(rows: Sequence[Sequence[int] | Integers], pad_id: int) -> Tensor:
    """Ragged rows of ids -> [B, T] int64, padded on the right to the longest."""
    longest = max((len(row) for row in rows), default=0)
    ids = np.full((len(rows), longest), pad_id, dtype=np.int64)
    for place, row in zip(ids, rows, strict=True):
        place[: len(row)] = row
    return torch.from_numpy(ids)


def mean_over(states_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    """[B, D] mean of the states where the mask is true; zeros for a row without any.

    Half precision is raised to float32, which counts beyond 256 tokens.
    """
    if states_BTD.dtype.itemsize < 4:
        states_BTD = states_BTD.float()
    weights = mask_BT.to(states_BTD.dtype).unsqueeze(-1)
    return (states_BTD * weights).sum(1) / weights.sum(1).clamp(min=1)


class TextView:
    """One batch of inputs through the encoder (:class:`xbench.api.View`).

    ``stream`` names the random streams of dropout and masking, so that what one term asks for
    changes nothing for another.
    """

    def __init__(
        self, encoder: Encoder, text: Text, format: TextFormat, stream: tuple[Part, ...]
    ) -> None:
        self._encoder = encoder
        self._text = text
        self._format = format
        self._stream = stream
        self._states: list[Tensor] = []  # by layer, as the layers see them
        self._unpacked: dict[int, Tensor] = {}

    @property
    def ids(self) -> Tensor:
        """[B, T] token ids."""
        return self._text.ids

    @cached_property
    def attention_mask(self) -> Tensor:
        """[B, T] bool, true at tokens, specials included."""
        return self.ids != self._format.vocabulary.pad_id

    @cached_property
    def content_mask(self) -> Tensor:
        """[B, T] bool, true at tokens that are neither padding nor framing specials."""
        frame = torch.tensor(self._format.frame_ids, device=self.ids.device)
        return self.attention_mask & ~torch.isin(self.ids, frame)

    @cached_property
    def _packing(self) -> Packing | None:
        """The rows that the layers see on a CPU; elsewhere they see the batch as it is."""
        # asking for lengths would wait for another device
        return Packing.of(self.attention_mask) if self.ids.device.type == "cpu" else None

    @cached_property
    def _bias(self) -> Tensor:
        mask = self.attention_mask if self._packing is None else self._packing.mask()
        return self._encoder.attention_bias(mask.unsqueeze(0))

    def states(self, depth: float = 1.0) -> Tensor:
        """[B, T, D] at a relative depth; runs the encoder no further than that."""
        layer = self._encoder.layer_at(depth)
        while len(self._states) <= layer:
            self._states.append(self._next())
        if layer not in self._unpacked:
            states_BTD = self._states[layer].squeeze(0)  # the replica dimension
            if self._packing is not None:
                states_BTD = self._packing.batch_of(states_BTD)
            self._unpacked[layer] = states_BTD
        return self._unpacked[layer]

    def _next(self) -> Tensor:
        """The next layer's states, [1, B, T, D] or, packed, [1, R, W, D]."""
        done = len(self._states)
        if self._encoder.training:
            seed_dropout(*self._stream, "layer", done)
        if done > 0:
            return self._encoder.layer(done - 1, self._states[-1], self._bias)
        return self._embed()

    def _embed(self) -> Tensor:
        ids, types = self._text.ids.unsqueeze(0), self._text.token_types
        types = None if types is None else types.unsqueeze(0)
        if self._packing is None:
            return self._encoder.embed(ids, types)
        # Superfluous padding is left out, so that it takes no draws from dropout's stream.
        longest = self._packing.longest
        types = None if types is None else types[..., :longest]
        states_BTD = self._encoder.embed(ids[..., :longest], types).squeeze(0)
        padding = (0, 0, 0, ids.shape[-1] - longest)
        return self._packing.rows_of(F.pad(states_BTD, padding)).unsqueeze(0)

    def pooled(self, depth: float = 1.0, how: str = "mean") -> Tensor:
        """[B, D]: ``mean`` over content tokens, or ``cls``, the first token."""
        states_BTD = self.states(depth)
        if how == "cls":
            return states_BTD[:, 0]
        if how == "mean":
            return mean_over(states_BTD, self.content_mask)
        raise ValueError(f"pooling is {how!r}, expected 'mean' or 'cls'")

    @cached_property
    def masked(self) -> "MaskedTextView":
        """The same text, masked for MLM; drawn once per step."""
        return MaskedTextView(self)


class MaskedTextView(TextView):
    """A view with content tokens masked: 80 % ``<mask>``, 10 % a random id, 10 % left (Devlin 2019)."""

    def __init__(self, plain: TextView) -> None:
        self._plain = plain
        ids, self._positions = _mask(plain)
        super().__init__(
            plain._encoder,
            Text(ids, plain._text.token_types),
            plain._format,
            (*plain._stream, "masked"),
        )

    @property
    def attention_mask(self) -> Tensor:
        """[B, T] as in the plain text."""
        return self._plain.attention_mask

    @property
    def content_mask(self) -> Tensor:
        """[B, T] as in the plain text: masked tokens are content."""
        return self._plain.content_mask

    @property
    def masked(self) -> "MaskedTextView":
        """Itself."""
        return self

    def logits(self) -> Tensor:
        """[M, V] predictions at the masked positions only."""
        states_MD = self.states(1.0)[self._positions]
        return self._encoder.mlm_logits(states_MD.unsqueeze(0)).squeeze(0)

    @property
    def labels(self) -> Tensor:
        """[M] the ids that were masked, in the order of ``logits``."""
        return self._plain.ids[self._positions]


def _mask(plain: TextView) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Masked ids [B, T] and the (row, column) of the M chosen positions."""
    vocabulary = plain._format.vocabulary
    if vocabulary.mask_id is None:
        raise ValueError("the tokenizer has no mask token, so text cannot be masked for MLM")
    ids = plain.ids.cpu().clone()
    rows, columns = plain.content_mask.cpu().nonzero(as_tuple=True)
    # One draw per content token, so that more padding changes nothing.
    stream = generator(*plain._stream, "mask")
    chosen = torch.rand(len(rows), generator=stream) < plain._format.mlm_probability
    fate = torch.rand(len(rows), generator=stream)[chosen]
    noise = _ordinary_ids(vocabulary, len(rows), stream)[chosen]
    rows, columns = rows[chosen], columns[chosen]
    shown = torch.where(
        fate < 0.8, vocabulary.mask_id, torch.where(fate < 0.9, noise, ids[rows, columns])
    )
    ids[rows, columns] = shown
    device = plain.ids.device
    return ids.to(device), (rows.to(device), columns.to(device))


def _ordinary_ids(vocabulary: Vocabulary, count: int, stream: torch.Generator) -> Tensor:
    """[count] ids drawn uniformly from all but the special tokens.

    Padding amid a text would shift the positions of what follows in RoBERTa's kinds.
    """
    special = sorted(vocabulary.special_ids)
    drawn = torch.randint(vocabulary.size - len(special), (count,), generator=stream)
    for token in special:  # ascending: each one shifts what is drawn at or above it
        drawn += drawn >= token
    return drawn


@dataclass(frozen=True)
class PairTexts:
    """The inputs of B pairs: each side by itself, and both as one."""

    source: Text
    target: Text
    joint: Text


class PairViews:
    """A batch of pairs over the encoder (:class:`xbench.api.PairBatch`)."""

    def __init__(
        self, encoder: Encoder, texts: PairTexts, format: TextFormat, stream: tuple[Part, ...]
    ) -> None:
        self._encoder = encoder
        self._format = format
        self.source = TextView(encoder, texts.source, format, (*stream, "source"))
        self.target = TextView(encoder, texts.target, format, (*stream, "target"))
        self.joint = TextView(encoder, texts.joint, format, (*stream, "joint"))
        self.generator = generator(*stream, "objective")

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokenizer's size and special ids."""
        return self._format.vocabulary

    def embeddings(self, ids: Tensor | None = None) -> Tensor:
        """[..., D] rows of the input word embeddings; [V, D] without ``ids``."""
        words_VD = self._encoder.word_embeddings.squeeze(0)  # [1, V, D] -> [V, D]
        return words_VD if ids is None else torch.nn.functional.embedding(ids, words_VD)

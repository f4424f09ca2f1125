"""A batch of texts seen through an encoder: lazy, layer by layer, each layer computed once.

B pairs, T padded length, D hidden size, V vocabulary, M masked positions. The encoder's replica
dimension is 1 here and is dropped from what objectives see.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from xbench.api.batch import AttentionRule, Perturbation, Vocabulary
from xbench.nn.encoders.loading import AnyEncoder
from xbench.nn.packing import Packing
from xbench.nn.random_streams import StreamPart, generator, seed_dropout
from xbench.nn.text import PLAIN, Alteration, Text, TextFormat, mean_over
from xbench.nn.words import word_mask, word_vectors


class TextView:
    """One batch of inputs through the encoder (:class:`xbench.api.View`).

    ``stream`` names the random streams of dropout and masking, so that what one term asks for
    changes nothing for another.
    """

    def __init__(
        self,
        encoder: AnyEncoder,
        text: Text,
        format: TextFormat,
        stream: tuple[StreamPart, ...],
        alteration: Alteration = PLAIN,
    ) -> None:
        self._encoder = encoder
        self._text = text
        self._format = format
        self._stream = stream
        self._alteration = alteration
        self._altered: dict[Alteration, TextView] = {}
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

    @property
    def sides(self) -> Tensor:
        """[B, T] int64: which text of the pair a token belongs to, -1 at specials and padding."""
        if self._text.sides is None:
            return torch.where(self.content_mask, 0, -1)
        return self._text.sides

    @property
    def _owners(self) -> Tensor:
        if self._text.owners is None:
            raise ValueError(
                "the words of this text are not known: an objective that reads words says so, "
                "needs = {'pairs', 'links'}, and reads them from source and target"
            )
        return self._text.owners

    @cached_property
    def word_mask(self) -> Tensor:
        """[B, W] bool, true where there is a word."""
        return word_mask(self._owners)

    def words(self, depth: float = 1.0, how: str = "mean") -> Tensor:
        """[B, W, D]: one vector per word (:func:`xbench.nn.words.word_vectors`)."""
        return word_vectors(self.states(depth), self._owners, how)

    def attending(self, rule: AttentionRule) -> "TextView":
        """The same text, encoded where attention is allowed by ``rule(view)``, [B, T, T] bool."""
        return self._with(replace(self._alteration, attention=rule))

    def perturbed(self, rule: Perturbation) -> "TextView":
        """The same text, encoded from ``rule(embedding output [B, T, D], generator)``."""
        return self._with(replace(self._alteration, perturbation=rule))

    def _with(self, alteration: Alteration) -> "TextView":
        if alteration not in self._altered:
            self._altered[alteration] = self._copy(alteration)
        return self._altered[alteration]

    def _copy(self, alteration: Alteration) -> "TextView":
        return TextView(self._encoder, self._text, self._format, self._stream, alteration)

    def _gradients(self) -> AbstractContextManager[Any]:
        """A frozen encoder builds no graph."""
        frozen = not self._encoder.word_embeddings.requires_grad
        return torch.no_grad() if frozen else nullcontext()

    @cached_property
    def _packing(self) -> Packing | None:
        """The rows that the layers see on a CPU; elsewhere they see the batch as it is."""
        if self._alteration.attention is not None:  # its masks are those of single texts
            return None
        if not self._encoder.packs:
            return None
        # asking for lengths would wait for another device
        return Packing.of(self.attention_mask) if self.ids.device.type == "cpu" else None

    @cached_property
    def _bias(self) -> Tensor:
        if self._alteration.attention is not None:
            allowed_BTT = self._alteration.attention(self) & self.attention_mask.unsqueeze(1)
            return self._encoder.attention_bias(allowed_BTT.unsqueeze(0))
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
            seed_dropout(*self._stream, *self._alteration.label, "layer", done)
        with self._gradients():
            if done > 0:
                return self._encoder.layer(done - 1, self._states[-1], self._bias)
            return self._embed()

    def _embed(self) -> Tensor:
        ids, types = self._text.ids.unsqueeze(0), self._text.token_types
        types = None if types is None else types.unsqueeze(0)
        if self._packing is None:
            return self._perturb(self._encoder.embed(ids, types))
        # Superfluous padding is left out, so that it takes no draws from dropout's stream.
        longest = self._packing.longest
        types = None if types is None else types[..., :longest]
        states_BTD = self._perturb(self._encoder.embed(ids[..., :longest], types)).squeeze(0)
        padding = (0, 0, 0, ids.shape[-1] - longest)
        return self._packing.rows_of(F.pad(states_BTD, padding)).unsqueeze(0)

    def _perturb(self, states_1BTD: Tensor) -> Tensor:
        rule = self._alteration.perturbation
        if rule is None:
            return states_1BTD
        stream = generator(*self._stream, "perturbation")
        return rule(states_1BTD.squeeze(0), stream).unsqueeze(0)

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
        return MaskedTextView.of(self)


@dataclass(frozen=True)
class Masking:
    """What of a text is masked: the (row, column) of the M positions, and the ids [M] there.

    The masks [B, T] are those of the text before.
    """

    positions: tuple[Tensor, Tensor]
    labels: Tensor
    attention_mask: Tensor
    content_mask: Tensor


class MaskedTextView(TextView):
    """A view with content tokens masked: 80 % ``<mask>``, 10 % a random id, 10 % left (Devlin 2019).

    It does not hold on to the plain view, which holds this one: views that hold each other stay
    in memory, with the states of all their layers, until Python looks for such circles.
    """

    def __init__(
        self,
        encoder: AnyEncoder,
        text: Text,
        format: TextFormat,
        stream: tuple[StreamPart, ...],
        alteration: Alteration,
        masking: Masking,
    ) -> None:
        super().__init__(encoder, text, format, stream, alteration)
        self._masking = masking

    @classmethod
    def of(cls, plain: TextView) -> "MaskedTextView":
        """The masked form of a view, altered as that one is."""
        ids, positions = _mask(plain)
        labels = plain.ids[positions]
        masking = Masking(positions, labels, plain.attention_mask, plain.content_mask)
        text, stream = replace(plain._text, ids=ids), (*plain._stream, "masked")
        return cls(plain._encoder, text, plain._format, stream, plain._alteration, masking)

    def _copy(self, alteration: Alteration) -> "MaskedTextView":
        about = (self._encoder, self._text, self._format, self._stream)
        return MaskedTextView(*about, alteration, self._masking)

    def attending(self, rule: AttentionRule) -> "MaskedTextView":
        """The same masked text, encoded where attention is allowed by ``rule(view)``."""
        view = super().attending(rule)
        assert isinstance(view, MaskedTextView)
        return view

    def perturbed(self, rule: Perturbation) -> "MaskedTextView":
        """The same masked text, encoded from altered embeddings."""
        view = super().perturbed(rule)
        assert isinstance(view, MaskedTextView)
        return view

    @property
    def attention_mask(self) -> Tensor:
        """[B, T] as in the plain text."""
        return self._masking.attention_mask

    @property
    def content_mask(self) -> Tensor:
        """[B, T] as in the plain text: masked tokens are content."""
        return self._masking.content_mask

    @property
    def masked(self) -> "MaskedTextView":
        """Itself."""
        return self

    @cached_property
    def chosen(self) -> Tensor:
        """[B, T] bool, true at the positions that are to be predicted."""
        chosen_BT = torch.zeros_like(self.content_mask)
        chosen_BT[self._masking.positions] = True
        return chosen_BT

    def logits(self) -> Tensor:
        """[M, V] predictions at the masked positions only."""
        states_MD = self.states(1.0)[self._masking.positions]
        with self._gradients():
            return self._encoder.mlm_logits(states_MD.unsqueeze(0)).squeeze(0)

    def losses(self) -> Tensor:
        """[M] cross-entropy of the predictions at the masked positions, in float32 or better."""
        states_MD = self.states(1.0)[self._masking.positions]
        with self._gradients():
            return self._encoder.mlm_losses(
                states_MD.unsqueeze(0), self.labels.unsqueeze(0)
            ).squeeze(0)

    @property
    def labels(self) -> Tensor:
        """[M] the ids that were masked, in the order of ``logits``."""
        return self._masking.labels


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

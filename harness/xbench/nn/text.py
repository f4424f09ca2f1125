"""Padded text with what is known of its tokens, and how a view of it is altered."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xbench.api.batch import AttentionRule, Perturbation, Vocabulary
from xbench.nn.random_streams import StreamPart

Integers = npt.NDArray[np.integer]


@dataclass(frozen=True)
class TextFormat:
    """How a tokenizer frames text, and how much of it is masked.

    ``frame_ids`` are the specials around and between texts; ``frame`` puts them around one.
    """

    vocabulary: Vocabulary
    frame_ids: tuple[int, ...]
    mlm_probability: float = 0.15
    frame: Callable[[Sequence[int]], list[int]] | None = None


@dataclass(frozen=True)
class Text:
    """A padded batch of inputs, all [B, T]: ids and, where they are known, what each token is.

    ``token_types`` are the encoder's; ``owners`` says which word a token belongs to and ``sides``
    which text of a pair (0 or 1), both -1 at specials and padding.
    """

    ids: Tensor
    token_types: Tensor | None = None
    owners: Tensor | None = None
    sides: Tensor | None = None

    def to(self, device: str) -> "Text":
        """The same on another device."""
        others = (self.token_types, self.owners, self.sides)
        return Text(self.ids.to(device), *(None if t is None else t.to(device) for t in others))


@dataclass(frozen=True)
class Alteration:
    """How a view is encoded otherwise than plainly: who attends to whom, noise on the embeddings."""

    attention: AttentionRule | None = None
    perturbation: Perturbation | None = None

    @property
    def label(self) -> tuple[StreamPart, ...]:
        """Sets the dropout of altered views apart from that of the plain one."""
        parts = [("attending", self.attention), ("perturbed", self.perturbation)]
        return tuple(name for name, rule in parts if rule is not None)


PLAIN = Alteration()


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


def content_digest(texts: tuple[tuple[int, ...], ...]) -> str:
    """A name for the random streams of a text, from its ids."""
    return hashlib.sha256(repr(texts).encode()).hexdigest()[:16]

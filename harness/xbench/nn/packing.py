"""Lay the sentences of a batch end to end in rows, so that the encoder computes little padding.

A random batch is mostly padding: a third of 16 short sentences, more of real text. The batch stays
as it is for the objective; only the layers see rows that hold several sentences each, which do not
attend to each other. B sentences, T padded length, R rows, W their width, N tokens, D hidden size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# Wider rows are filled better, but attention compares every place of a row with every other. About
# 64 is best for small encoders on a CPU; larger ones hardly care.
ROW_WIDTH = 64


def pack(lengths: Sequence[int], width: int = ROW_WIDTH) -> list[list[int]]:
    """Sentence numbers by row: first fit, the longest first (Johnson 1973).

    A row is no longer than ``width``, or than the longest sentence. Sentences without tokens are in
    no row.
    """
    # A sentence is never split over rows: its tokens could not attend to each other.
    width = max([width, *lengths])
    rows: list[list[int]] = []
    room: list[int] = []
    for sentence in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        length = lengths[sentence]
        if length == 0:
            continue
        row = next((row for row, left in enumerate(room) if left >= length), len(rows))
        if row == len(rows):
            rows.append([])
            room.append(width)
        rows[row].append(sentence)
        room[row] -= length
    return rows


@dataclass(frozen=True)
class Packing:
    """Where the tokens of a batch lie in the rows.

    ``shape`` is (B, T) and ``longest`` the tokens of the longest sentence. ``owners`` [R, W] holds
    each place's sentence, -1 for none; ``places`` [N] and ``tokens`` [N] say which place of the
    flattened rows holds which token of the flattened batch.
    """

    shape: tuple[int, int]
    longest: int
    owners: Tensor
    places: Tensor
    tokens: Tensor

    @classmethod
    def of(cls, mask_BT: Tensor) -> "Packing":
        """The packing of a batch of right-padded sentences; the mask is true at their tokens."""
        lengths: list[int] = mask_BT.sum(1).tolist()
        rows = pack(lengths)
        longest = max(lengths, default=0)
        width = max((sum(lengths[sentence] for sentence in row) for row in rows), default=0)
        owners = np.full((len(rows), width), -1, dtype=np.int64)
        places, tokens = [], []
        for row, sentences in enumerate(rows):
            start = 0
            for sentence in sentences:
                end = start + lengths[sentence]
                owners[row, start:end] = sentence
                places.append(np.arange(row * width + start, row * width + end))
                first = sentence * mask_BT.shape[1]
                tokens.append(np.arange(first, first + lengths[sentence]))
                start = end
        # Where every sentence is empty there is nothing to concatenate.
        none = [np.zeros(0, dtype=np.int64)]
        flat = (torch.from_numpy(np.concatenate(part or none)) for part in (places, tokens))
        shape = (mask_BT.shape[0], mask_BT.shape[1])
        return cls(shape, longest, torch.from_numpy(owners), *flat)

    def mask(self) -> Tensor:
        """[R, W, W] bool: which place (first W) may attend to which; only to its own sentence."""
        # Places without a token (-1) attend to each other alone: a row of the mask that is false
        # throughout would make the softmax NaN.
        return self.owners.unsqueeze(2) == self.owners.unsqueeze(1)

    def rows_of(self, states_BTD: Tensor) -> Tensor:
        """[B, T, D] -> [R, W, D]; zeros at places without a token."""
        return _moved(states_BTD, self.tokens, self.places, tuple(self.owners.shape))

    def batch_of(self, states_RWD: Tensor) -> Tensor:
        """[R, W, D] -> [B, T, D]; zeros at padding."""
        return _moved(states_RWD, self.places, self.tokens, self.shape)


def _moved(states: Tensor, source: Tensor, target: Tensor, shape: tuple[int, ...]) -> Tensor:
    size = states.shape[-1]
    taken = states.reshape(-1, size).index_select(0, source)
    empty = states.new_zeros(shape[0] * shape[1], size)
    return empty.index_copy(0, target, taken).view(*shape, size)

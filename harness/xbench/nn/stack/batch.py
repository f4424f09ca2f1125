"""One step's batches of all replicas, laid end to end in rows of one shape."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from xbench.nn.encoders.encoder_config import EncoderConfig
from xbench.nn.packing import pack
from xbench.nn.text import Integers

# Widths of rows, and numbers of labels, are rounded up to multiples of these.
WIDTH, PLACES = 32, 64
NOWHERE = -100  # the label of a place that has none


@dataclass(frozen=True)
class ReplicaBatch:
    """One replica's batch, B texts: their ids, what each token's type is, what is labelled.

    ``places`` are the labelled positions of each text and ``labels`` [M] the classes there.
    ``content`` are the positions of each text that a mean is over; without it, a head sees the
    states at the labelled places.
    """

    ids: Sequence[Integers]
    places: Sequence[Integers]
    labels: Integers
    types: Sequence[Integers] | None = None
    content: Sequence[Integers] | None = None


@dataclass(frozen=True)
class StackedBatch:
    """What all replicas read in one step.

    ``ids``, ``positions``, ``types`` and ``owners`` [R, K, W]: of each place the token, its row in
    the table of positions, its type, and the text that it belongs to (-1: none). ``picked`` [R, M]
    are the places in S that are labelled, ``pooling`` [R, M, S] the weights of a mean in place of
    these, ``labels`` [R, M] the classes, :data:`NOWHERE` at padding, ``counts`` [R] how many.
    """

    ids: Tensor
    positions: Tensor
    owners: Tensor
    picked: Tensor
    labels: Tensor
    counts: Tensor
    types: Tensor | None = None
    pooling: Tensor | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(R, K, W, M): batches of one shape are computed by one program."""
        return (*self.ids.shape, self.labels.shape[1])

    def to(self, device: str) -> "StackedBatch":
        """The same on another device; from pinned memory where that is a GPU, so nothing waits."""
        there = {n: None if t is None else moved(t, device) for n, t in self.tensors()}
        return StackedBatch(**there)  # type: ignore[arg-type]

    def copy_(self, other: "StackedBatch") -> None:
        """Take over the values of a batch of the same shape."""
        for (_, own), (_, new) in zip(self.tensors(), other.tensors(), strict=True):
            if own is not None and new is not None:
                own.copy_(new)

    def tensors(self) -> list[tuple[str, Tensor | None]]:
        """The fields by name."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]


@dataclass(frozen=True)
class Layout:
    """Where the tokens of one replica lie, in the order of its batch: by text, then by position.

    ``tokens`` [N] are places in S, ``pairs`` [E] are (row, query, key) in K * W * W for every two
    tokens of one text. What is drawn for a token or a pair does not depend on the layout.
    """

    tokens: Tensor
    pairs: Tensor
    labelled: int


def stack_batches(
    batches: Sequence[ReplicaBatch], config: EncoderConfig
) -> tuple[StackedBatch, list[Layout]]:
    """Lay out the batches of R replicas; the layout of each says where its tokens went."""
    longest = max(len(text) for batch in batches for text in batch.ids)
    width = min(-(-longest // WIDTH) * WIDTH, max(config.max_positions, longest))
    packings = [pack([len(text) for text in batch.ids], width) for batch in batches]
    rows = max(len(packing) for packing in packings)
    labelled = max(len(batch.labels) for batch in batches)
    filled = _Filled(len(batches), rows, width, -(-labelled // PLACES) * PLACES, config, batches[0])
    layouts = [
        filled.add(replica, batch, packing)
        for replica, (batch, packing) in enumerate(zip(batches, packings, strict=True))
    ]
    return filled.batch(), layouts


class _Filled:
    """The arrays of a stacked batch, while they are filled."""

    def __init__(
        self,
        replicas: int,
        rows: int,
        width: int,
        labelled: int,
        config: EncoderConfig,
        like: ReplicaBatch,
    ) -> None:
        places = (replicas, rows * width)
        self._shape = (replicas, rows, width)
        self._width = width
        self._first_position = config.pad_id + 1 if config.is_roberta else 0
        self._ids = np.full(places, config.pad_id)
        self._positions = np.full(places, config.pad_id if config.is_roberta else 0)
        self._owners = np.full(places, -1)
        self._types = np.zeros(places, dtype=np.int64) if like.types is not None else None
        self._picked = np.zeros((replicas, labelled), dtype=np.int64)
        self._labels = np.full((replicas, labelled), NOWHERE)
        self._counts = np.zeros(replicas)
        pooled = like.content is not None
        self._pooling = np.zeros((replicas, labelled, places[1]), np.float32) if pooled else None

    def add(self, replica: int, batch: ReplicaBatch, packing: list[list[int]]) -> Layout:
        """Put a replica's batch into its rows."""
        starts = self._starts(packing, batch)
        tokens, pairs = [], []
        for number, (ids, start) in enumerate(zip(batch.ids, starts, strict=True)):
            length = len(ids)
            own = slice(start, start + length)
            self._ids[replica, own] = ids
            self._positions[replica, own] = np.arange(length) + self._first_position
            self._owners[replica, own] = number
            if self._types is not None and batch.types is not None:
                self._types[replica, own] = batch.types[number]
            places = np.arange(start, start + length)
            tokens.append(places)
            pairs.append((places[:, None] * self._width + places[None, :] % self._width).ravel())
        count = len(batch.labels)
        placed = zip(batch.places, starts, strict=True)
        self._picked[replica, :count] = np.concatenate([own + start for own, start in placed])
        self._labels[replica, :count] = batch.labels
        self._counts[replica] = count
        if self._pooling is not None and batch.content is not None:
            for number, (content, start) in enumerate(zip(batch.content, starts, strict=True)):
                self._pooling[replica, number, content + start] = 1 / max(1, len(content))
        of_tokens, of_pairs = (torch.from_numpy(np.concatenate(part)) for part in (tokens, pairs))
        return Layout(of_tokens, of_pairs, count)

    def _starts(self, packing: list[list[int]], batch: ReplicaBatch) -> list[int]:
        """The first place of each text."""
        starts = [0] * len(batch.ids)
        for row, texts in enumerate(packing):
            place = row * self._width
            for text in texts:
                starts[text] = place
                place += len(batch.ids[text])
        return starts

    def batch(self) -> StackedBatch:
        """The arrays as tensors."""
        by_row = (self._ids, self._positions, self._owners)
        ids, positions, owners = (torch.from_numpy(a).view(self._shape) for a in by_row)
        types = None if self._types is None else torch.from_numpy(self._types).view(self._shape)
        pooling = None if self._pooling is None else torch.from_numpy(self._pooling)
        picked, labels = torch.from_numpy(self._picked), torch.from_numpy(self._labels)
        counts = torch.from_numpy(self._counts.astype(np.float32))
        return StackedBatch(ids, positions, owners, picked, labels, counts, types, pooling)


def moved(tensor: Tensor, device: str) -> Tensor:
    """A tensor of the host on a device, without waiting for it."""
    if not device.startswith("cuda"):
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)

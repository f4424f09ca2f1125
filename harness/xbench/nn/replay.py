"""Gradients of a batch that is processed in chunks, exact for every term, in-batch negatives included.

Three passes (gradient caching; Gao et al. 2021, arXiv 2101.06983): the chunks are encoded without
a graph and what the objective asks for is joined over the whole batch; the loss of the whole batch
gives the gradient of each of those answers; each chunk is encoded again, this time with a graph,
and passes its share of that gradient on. Dropout draws from streams named by chunk and layer, so
both encodings are the same.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xbench.api.batch import AttentionRule, Perturbation, TaskBatch, Vocabulary
from xbench.nn.encoders.table_gradient import added_in_place
from xbench.nn.pair_views import PairViews

Ask = Callable[[PairViews], Tensor]


class Chunks:
    """The chunks of a batch, and what was asked of them: the leaves that hold joined answers.

    It knows nothing of the views that ask. In a circle the answers, which may be as large as a
    model, would stay in memory until Python looks for circles.
    """

    def __init__(self, chunk: Callable[[int], PairViews], count: int, frozen: bool) -> None:
        self.chunk = chunk
        self.first = [chunk(index) for index in range(count)]
        self._frozen = frozen  # nothing to replay: no answer carries a gradient
        self._asked: list[tuple[Ask, Tensor, list[tuple[int, ...]]]] = []

    def data(self, ask: Ask, padding: float | int = 0, count: int | None = None) -> Tensor:
        """Join what needs no gradient (ids, masks, labels) over the chunks, or the first ``count``."""
        return _join([ask(b) for b in self.first[:count]], padding)

    def ask(self, ask: Ask, count: int | None = None) -> Tensor:
        """Join an encoded answer over the chunks (as :meth:`data`), as a leaf of the graph."""
        with torch.no_grad():
            parts = self.encoded(ask, len(self.first[:count]))
        if self._frozen:
            return _join(parts, 0)
        leaf = _join(parts, 0).requires_grad_(True)
        self._asked.append((ask, leaf, [tuple(part.shape) for part in parts]))
        return leaf

    def own(self, count: int) -> range:
        """Those of so many chunks that this process encodes: all."""
        return range(count)

    def encoded(self, ask: Ask, count: int) -> list[Tensor]:
        """The answers of the first ``count`` chunks."""
        return [ask(self.first[index]) for index in self.own(count)]

    def replay(self, autocast: Callable[[], AbstractContextManager[Any]]) -> None:
        """As :meth:`ReplayedBatch.replay`."""
        asked = [(ask, leaf.grad, shapes) for ask, leaf, shapes in self._asked]
        self._asked.clear()
        count = len(self.first)
        self.first.clear()  # the states of the first pass are not needed any more
        for index in self.own(count):
            chunk = self.chunk(index)
            outputs, gradients = [], []
            for ask, gradient, shapes in asked:
                if gradient is None:  # asked for, but the loss does not depend on it
                    continue
                if index >= len(shapes):  # of fewer texts than there are chunks
                    continue
                with autocast():
                    outputs.append(ask(chunk))
                gradients.append(_share(gradient, shapes, index))
            with added_in_place():
                torch.autograd.backward(outputs, gradients)


class ReplayedBatch:
    """Looks like one batch (:class:`xbench.api.PairBatch`); its answers are leaves of the graph.

    ``chunk(i)`` builds the i-th chunk afresh. After the loss of this batch was differentiated,
    call :meth:`replay`, once, to carry the gradients through the encoder.
    """

    chunks: ClassVar[type[Chunks]] = Chunks

    def __init__(self, chunk: Callable[[int], PairViews], count: int, frozen: bool = False) -> None:
        self._chunks = self.chunks(chunk, count, frozen)
        self.source = _JoinedView(self._chunks, lambda b: b.source)
        self.target = _JoinedView(self._chunks, lambda b: b.target)
        self.joint = _JoinedView(self._chunks, lambda b: b.joint)
        self.generator = self._first[0].generator

    @property
    def _first(self) -> list[PairViews]:
        return self._chunks.first

    @property
    def vocabulary(self) -> Vocabulary:
        """As in every chunk."""
        return self._first[0].vocabulary

    def embeddings(self, ids: Tensor | None = None) -> Tensor:
        """Straight from the encoder: differentiated without a replay."""
        return self._first[0].embeddings(ids)

    @property
    def task(self) -> TaskBatch:
        """As in every chunk: there is none in phase I."""
        return self._first[0].task

    @cached_property
    def links(self) -> Tensor:
        """[K, 3] the links of all chunks; rows are counted over the whole batch."""
        found, before = [], 0
        for chunk in self._first:
            offset = torch.tensor([before, 0, 0], device=chunk.links.device)
            found.append(chunk.links + offset)
            before += len(chunk.source.ids)
        return torch.cat(found)

    def weights(self) -> Mapping[str, Tensor]:
        """Straight from the encoder: differentiated without a replay."""
        return self._first[0].weights()

    def compose(self, texts: Sequence[Sequence[int]]) -> "_JoinedView":
        """New texts, spread over as many chunks as the batch has, or as there are texts."""
        # without any text, the first chunk says what is wrong
        count = max(1, min(len(self._first), len(texts)))
        bounds = [len(texts) * index // count for index in range(count + 1)]

        def part(chunk: PairViews) -> Any:
            return chunk.compose(texts[bounds[chunk.index] : bounds[chunk.index + 1]])

        return _JoinedView(self._chunks, part, count)

    def through(self, encoder: nn.Module) -> "ReplayedBatch":
        """The same batch seen by a frozen encoder."""
        chunks = [chunk.through(encoder) for chunk in self._first]
        return type(self)(lambda index: chunks[index], len(chunks), frozen=True)

    def replay(self, autocast: Callable[[], AbstractContextManager[Any]] = nullcontext) -> None:
        """Encode each chunk with a graph and pass on the gradients that the loss left.

        ``autocast`` gives the context in which the chunks were encoded the first time.
        """
        self._chunks.replay(autocast)


def _share(gradient: Tensor, shapes: Sequence[tuple[int, ...]], index: int) -> Tensor:
    """A chunk's part of what :func:`_join` joined, without the padding that joining added."""
    before = sum(shape[0] for shape in shapes[:index])
    part = gradient[before : before + shapes[index][0]]
    return part[:, : shapes[index][1]] if part.dim() > 1 else part


def _join(parts: Sequence[Tensor], padding: float | int) -> Tensor:
    """Concatenate along the first axis, padding the second ([b, T] or [b, T, D]) to the longest."""
    if parts[0].dim() == 1 or len({part.shape[1:] for part in parts}) == 1:
        return torch.cat(list(parts))
    longest = max(part.shape[1] for part in parts)
    padded = []
    for part in parts:
        width = [0, 0] * (part.dim() - 2) + [0, longest - part.shape[1]]
        padded.append(F.pad(part, width, value=padding))
    return torch.cat(padded)


class _JoinedView:
    """A view over all chunks, or the first ``count`` (:class:`xbench.api.View`, ``MaskedView``)."""

    def __init__(
        self, chunks: Chunks, of: Callable[[PairViews], Any], count: int | None = None
    ) -> None:
        self._chunks = chunks
        self._of = of
        self._count = count
        self._known: dict[tuple[Any, ...], Tensor] = {}
        self._views: dict[tuple[Any, ...], _JoinedView] = {}

    def _once(self, name: tuple[Any, ...], read: Callable[[Any], Tensor]) -> Tensor:
        if name not in self._known:
            of = self._of  # not self: the chunks must not hold on to their views
            self._known[name] = self._chunks.ask(lambda b: read(of(b)), self._count)
        return self._known[name]

    def _data(self, read: Callable[[Any], Tensor], padding: float | int = 0) -> Tensor:
        return self._chunks.data(lambda b: read(self._of(b)), padding, self._count)

    def _changed(self, change: Callable[[Any], Any]) -> "_JoinedView":
        of = self._of
        return _JoinedView(self._chunks, lambda b: change(of(b)), self._count)

    @cached_property
    def ids(self) -> Tensor:
        """[B, T] token ids."""
        pad_id = self._chunks.first[0].vocabulary.pad_id
        return self._data(lambda view: view.ids, pad_id)

    @cached_property
    def attention_mask(self) -> Tensor:
        """[B, T] bool."""
        return self._data(lambda view: view.attention_mask, False)

    @cached_property
    def content_mask(self) -> Tensor:
        """[B, T] bool."""
        return self._data(lambda view: view.content_mask, False)

    @cached_property
    def chosen(self) -> Tensor:
        """[B, T] bool, of a masked view."""
        return self._data(lambda view: view.chosen, False)

    @cached_property
    def sides(self) -> Tensor:
        """[B, T] int64."""
        return self._data(lambda view: view.sides, -1)

    @cached_property
    def word_mask(self) -> Tensor:
        """[B, W] bool."""
        return self._data(lambda view: view.word_mask, False)

    def words(self, depth: float = 1.0, how: str = "mean") -> Tensor:
        """[B, W, D]."""
        return self._once(("words", depth, how), lambda view: view.words(depth, how))

    def attending(self, rule: AttentionRule) -> "_JoinedView":
        """The altered view over all chunks; the rule sees one chunk at a time."""
        return self._view(("attending", rule), lambda view: view.attending(rule))

    def perturbed(self, rule: Perturbation) -> "_JoinedView":
        """The altered view over all chunks; the rule sees one chunk at a time."""
        return self._view(("perturbed", rule), lambda view: view.perturbed(rule))

    def _view(self, name: tuple[Any, ...], change: Callable[[Any], Any]) -> "_JoinedView":
        if name not in self._views:
            self._views[name] = self._changed(change)
        return self._views[name]

    def states(self, depth: float = 1.0) -> Tensor:
        """[B, T, D]."""
        return self._once(("states", depth), lambda view: view.states(depth))

    def pooled(self, depth: float = 1.0, how: str = "mean") -> Tensor:
        """[B, D]."""
        return self._once(("pooled", depth, how), lambda view: view.pooled(depth, how))

    @cached_property
    def masked(self) -> "_JoinedView":
        """The masked view over all chunks."""
        return self._changed(lambda view: view.masked)

    def logits(self) -> Tensor:
        """[M, V] at the masked positions of all chunks."""
        return self._once(("logits",), lambda view: view.logits())

    def losses(self) -> Tensor:
        """[M] at the masked positions of all chunks."""
        return self._once(("losses",), lambda view: view.losses())

    @cached_property
    def labels(self) -> Tensor:
        """[M]."""
        return self._data(lambda view: view.labels)

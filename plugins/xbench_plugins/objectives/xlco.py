"""XlCo, InfoXLM's cross-lingual contrast: a momentum encoder's keys, and negatives from a queue."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from xbench.api.batch import PairBatch, View
from xbench.api.copies import FrozenCopy
from xbench.api.objective import Objective, Term
from xbench_plugins.heads import dense, precision, width
from xbench_plugins.losses.contrastive import Contrast, Similarity, contrast
from xbench_plugins.losses.queue import KeyQueue, names_of

# Bits of a draw: which side's texts change their order, and whether the languages change roles.
SOURCES, TARGETS, LANGUAGES = 1, 2, 4


class Reading(NamedTuple):
    """A queries and their A keys: content ids, or none where they are the batch as it is.

    ``names`` [A] identify the pairs that they are made of.
    """

    queries: list[list[int]] | None
    keys: list[list[int]] | None
    names: Tensor


class XlCo(Objective):
    """A text must find the momentum encoder's vector of its translation among those of a queue.

    q [D] is the encoder's vector of a text, k [D] the momentum encoder's of its translation, Q the
    queue of the keys of earlier steps, t the temperature; mean over the A texts of a step::

        -log e^(q . k / t) / (e^(q . k / t) + sum_{m in Q} e^(q . m / t))

    It pulls a text towards where its translation recently was and pushes it away from other texts,
    of both languages where ``direction`` is random. Gradients reach the query alone, in one
    direction per text. The other pairs of the batch are no negatives; they enter the queue after
    the step. After each step the momentum encoder moves: ``slow <- momentum * slow + (1 - momentum)
    * fast``, and so does the copy of the ``projection`` [D, D] where there is one.

    ``mixup`` joins two neighbouring pairs of the batch, so that A is N / 2: both sources to one
    text and both targets to another, each in a random order. ``masked`` reads the texts masked as
    for MLM. The queue is filled before training; a pair's own earlier key is never its negative,
    which matters where the corpus is not much larger than the queue.

    Sources: Chi et al. 2021, *InfoXLM* (arXiv 2007.07834), cross-lingual contrast with mixup and
    momentum contrast; He et al. 2020 (MoCo, arXiv 1911.05722), equations 1 and 2. Code:
    github.com/microsoft/unilm, folder infoxlm.
    """

    version = 1
    coupled = frozenset({"contrast"})  # through mixup

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """The momentum encoder, the queue, and what is read; ``XlCo.sources`` has the origins."""

        momentum: Annotated[float, Field(ge=0, le=1)] = 0.999
        queue: Annotated[int, Field(ge=1)] = 8192  # keys
        temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.25
        similarity: Similarity = "dot"  # with cosine, lower the temperature
        pooling: Literal["cls", "mean"] = "cls"
        depth: Annotated[float, Field(ge=0, le=1)] = 2 / 3  # 0 is the embedding output
        projection: bool = False
        direction: Literal["random", "source_to_target"] = "random"
        mixup: bool = True
        masked: bool = True

    sources: ClassVar[Mapping[str, str]] = {
        "momentum": "reconstruction for 100,000 pairs: the paper has 0.9999 for 200,000 steps",
        "queue": "reconstruction for 100,000 pairs: the paper has 131,072",
        "temperature": "code: unilm (its default)",
        "similarity": "code: unilm; alternative cosine",
        "pooling": "paper",
        "depth": "paper (layer 8 of 12)",
        "projection": "code: unilm (off by default)",
        "direction": "code: unilm",
        "mixup": "paper",
        "masked": "code: unilm",
    }

    variants: ClassVar[Mapping[str, Config]] = {
        "mixup": Config(),
        "no_mixup": Config(mixup=False),
    }

    config: Config
    slow: FrozenCopy
    slow_projection: FrozenCopy
    queue: KeyQueue

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.projection: nn.Module = nn.Identity()
        self._keys_of_step: list[tuple[Tensor, Tensor]] = []

    def setup(self, encoder: nn.Module) -> None:
        """Copy the encoder; create the queue [Q, D], and the projection with its copy."""
        if self.config.projection:
            self.projection = dense(encoder, bias=False)
        self.slow = FrozenCopy(encoder)
        self.slow_projection = FrozenCopy(self.projection)
        self.queue = KeyQueue(self.config.queue, width(encoder), precision(encoder))

    @torch.no_grad()
    def prepare(self, batches: Iterator[PairBatch]) -> None:
        """Fill the queue with the keys of as many batches as it takes, or as there are."""
        while not self.queue.is_full:
            batch = next(batches, None)
            if batch is None:
                return
            reading = self._reading(batch)
            self.queue.push(self._keys(batch, reading), reading.names)

    def terms(self, batch: PairBatch) -> dict[str, Term]:
        """``contrast``; the count is A, the number of queries."""
        config = self.config
        reading = self._reading(batch)
        keys_AD = self._keys(batch, reading)
        query = batch.source if reading.queries is None else batch.compose(reading.queries)
        how = Contrast(
            config.temperature, config.similarity, bidirectional=False, in_batch_negatives=False
        )
        total, count = contrast(
            self.projection(self._vectors(query)),
            keys_AD,
            how,
            negatives=self.queue.negatives(reading.names),
        )
        if self.training:
            self._keys_of_step.append((keys_AD, reading.names))
        return {"contrast": Term(total, count)}

    @torch.no_grad()
    def after_step(self, encoder: nn.Module, step: int) -> None:
        """The step's keys enter the queue; the slow copies follow."""
        for keys_AD, names_A in self._keys_of_step:
            self.queue.push(keys_AD, names_A)
        self._keys_of_step.clear()
        self.slow.follow(encoder, self.config.momentum)
        self.slow_projection.follow(self.projection, self.config.momentum)

    @torch.no_grad()
    def _keys(self, batch: PairBatch, reading: Reading) -> Tensor:
        """[A, D] the momentum encoder's vectors."""
        seen = batch.through(self.slow)
        view = seen.target if reading.keys is None else seen.compose(reading.keys)
        keys_AD: Tensor = self.slow_projection.encoder(self._vectors(view))
        return keys_AD

    def _vectors(self, view: View) -> Tensor:
        view = view.masked if self.config.masked else view
        return view.pooled(self.config.depth, self.config.pooling)

    def _reading(self, batch: PairBatch) -> Reading:
        """What is compared with what: draws the order of mixtures and the languages' roles."""
        config = self.config
        pairs = range(len(batch.source.ids))
        size = 2 if config.mixup else 1
        groups = [pairs[start : start + size] for start in pairs[::size]]
        one, other = batch.source, batch.target
        names_B = names_of(one.ids, one.content_mask) + names_of(other.ids, other.content_mask)
        names = torch.stack([names_B[list(group)].sum() for group in groups])
        if not config.mixup and config.direction == "source_to_target":
            return Reading(None, None, names)
        draws = torch.randint(8, (len(groups),), generator=batch.generator).tolist()
        sources, targets = _texts(batch.source), _texts(batch.target)
        queries, keys = [], []
        for group, draw in zip(groups, draws, strict=True):
            query = _mixture([sources[i] for i in group], bool(draw & SOURCES))
            key = _mixture([targets[i] for i in group], bool(draw & TARGETS))
            if draw & LANGUAGES and config.direction == "random":
                query, key = key, query
            queries.append(query)
            keys.append(key)
        return Reading(queries, keys, names)


class _Text(NamedTuple):
    """A text's content, and the special tokens that follow it."""

    content: list[int]
    end: list[int]


def _texts(view: View) -> list[_Text]:
    texts = []
    rows = zip(
        view.ids.tolist(), view.content_mask.tolist(), view.attention_mask.tolist(), strict=True
    )
    for ids, content, attended in rows:
        places = [place for place, inside in enumerate(content) if inside]
        last = places[-1] if places else len(ids)
        end = [
            token
            for token, there in zip(ids[last + 1 :], attended[last + 1 :], strict=True)
            if there
        ]
        texts.append(_Text([ids[place] for place in places], end))
    return texts


def _mixture(texts: Sequence[_Text], turned: bool) -> list[int]:
    """One text out of one or two; what ends a text also stands between two: ``a </s> b``."""
    *before, last = reversed(texts) if turned else texts
    return [token for text in before for token in (*text.content, *text.end)] + last.content

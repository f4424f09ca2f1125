"""Parallel text as batches: tokenised once, sampled, put in order, and seen through an encoder."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xbench.api.examples import ParallelText
from xbench.catalogue.settings import AlignSettings
from xbench.data.overlap import digests, is_known, texts_of
from xbench.data.ragged import RaggedTable, cached
from xbench.data.tokenise import tokenise_numbered_pairs
from xbench.data.tokenizer import Tokenizer
from xbench.data.words import numbered_rows_with_words
from xbench.keys import key_of
from xbench.nn.encoders.loading import AnyEncoder
from xbench.nn.pair_views import PairTexts, PairViews
from xbench.nn.random_streams import StreamPart, permutation
from xbench.nn.text import Text, TextFormat, pad
from xbench.plan import Stage
from xbench.plan.kinds.pairs import PairPlace, PairText
from xbench.plan.records import DataPlace
from xbench.stages.inputs.word_links import Links
from xbench.stages.resources import Resources, data_identity

Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class PairInput:
    """Which parallel text a stage reads, where it lies, and how it is read.

    ``has_words`` says whether words and their links are asked for.
    """

    text: PairText
    place: PairPlace
    settings: AlignSettings
    has_words: bool


@dataclass(frozen=True)
class PairRow:
    """One pair as token ids; with words, the word of each token and the links, [K, 2]."""

    source: Integers
    target: Integers
    source_owner: Integers | None = None
    target_owner: Integers | None = None
    links: Integers | None = None


def pair_table(
    text: PairInput, stage: Stage, resources: Resources, tokenizer: Tokenizer
) -> RaggedTable:
    """All pairs as ids, tokenised once for all stages that read the same text."""
    guard = text.text.guard or ()
    max_length = resources.max_length(stage, text.settings.max_length)
    kind = "pairs with words" if text.has_words else "pairs"
    identity = data_identity(
        text.text.corpus,
        tokenizer,
        kind=kind,
        max_length=max_length,
        guard=key_of(guard),
    )
    return cached(
        resources.cache_folder(), identity, lambda: _rows(text, resources, tokenizer, max_length)
    )


def _rows(
    text: PairInput, resources: Resources, tokenizer: Tokenizer, max_length: int
) -> Iterator[dict[str, Any]]:
    known = [_guarded(place, resources) for place in text.place.guard]
    hits: dict[int, list[int]] = {}  # by place in the corpus: the tokeniser is fed ahead

    def pairs() -> Iterator[ParallelText]:
        for number, pair in enumerate(read_pairs(text, resources)):
            texts = (pair.source, pair.target)
            found = [n for n, d in enumerate(known) if any(is_known(t, d) for t in texts)]
            if found:
                hits[number] = found
            yield pair

    if text.has_words:
        for row in numbered_rows_with_words(tokenizer, pairs(), max_length):
            yield {**row, "guarded": hits.get(row["number"][0], [])}
        return
    for number, source, target in tokenise_numbered_pairs(tokenizer, pairs(), max_length):
        yield {"source": source, "target": target, "guarded": hits.get(number, [])}


def read_pairs(text: PairInput, resources: Resources) -> Iterable[ParallelText]:
    """The pairs as text, in the corpus' order."""
    corpus = text.place.corpus
    languages = [resources.catalogue.languages.get(code) for code in corpus.languages]
    return resources.source_at(corpus).read(languages, "train")


def _guarded(place: DataPlace, resources: Resources) -> set[bytes]:
    """The digests of a guarded test set's sentences, in the languages of the pair."""
    languages = [resources.catalogue.languages.get(code) for code in place.languages]
    records = resources.source_at(place).read(languages, "test")
    # Of a pair of texts each by itself: a premise in the alignment text is enough.
    return digests(sentence for one in records for sentence in texts_of(one))


def excluded(table: RaggedTable, guard: Sequence[DataPlace]) -> dict[str, int]:
    """How many pairs of the corpus hold a sentence of each guarded test set."""
    counts = dict.fromkeys((one.source for one in guard), 0)
    for row in np.flatnonzero(table.lengths("guarded")) if guard else ():
        hit = {guard[n].source for n in table.row("guarded", int(row))}
        for name in hit:
            counts[name] += 1
    return counts


class Corpus:
    """The pairs that are trained on: a fixed sample, in a random order of its own each epoch.

    In the arm ``shuffled`` every source sentence keeps one wrong partner, drawn so that no
    sentence keeps its own.
    """

    def __init__(
        self, table: RaggedTable, text: PairInput, seed: int, links: Links | None = None
    ) -> None:
        settings = text.settings
        self.table = table
        self._seed = seed
        self._batch_size = settings.batch_size
        self._links = links
        allowed = np.arange(len(table))
        if "guarded" in table.columns:
            allowed = np.flatnonzero(table.lengths("guarded") == 0)
        self.available = len(allowed)
        # The sample does not depend on the seed: all alignments of a pair see the same text.
        chosen = permutation(len(allowed), "sample")[: settings.max_pairs].sort().values.numpy()
        self.rows = allowed[chosen]
        self.size = len(self.rows)
        if self.size < settings.batch_size:
            raise ValueError(
                f"the corpus has {self.size} usable pairs, fewer than one batch of "
                f"{settings.batch_size}; lower align.batch_size or add text"
            )
        self.partners = self.rows
        if text.text.arm == "shuffled":
            self.partners = wrong_partners(self.rows)
        self._drawn: tuple[tuple[str, int], Integers] = (("", -1), self.rows)

    @property
    def per_epoch(self) -> int:
        """Batches in one pass; a last, smaller batch is left out."""
        return self.size // self._batch_size

    def batch(self, step: int, order: str = "pairs") -> list[PairRow]:
        """The pairs of a step. Another ``order`` gives batches of another pass over the corpus."""
        epoch, index = divmod(step, self.per_epoch)
        if self._drawn[0] != (order, epoch):
            drawn = permutation(self.size, self._seed, order, epoch).numpy()
            self._drawn = ((order, epoch), drawn)
        chosen = self._drawn[1][index * self._batch_size : (index + 1) * self._batch_size]
        return [self.row(i) for i in chosen]

    def row(self, number: int) -> PairRow:
        """One pair of the sample."""
        first, second = int(self.rows[number]), int(self.partners[number])
        source, target = self.table.row("source", first), self.table.row("target", second)
        if "source_owner" not in self.table.columns:
            return PairRow(source, target)
        return PairRow(
            source,
            target,
            self.table.row("source_owner", first),
            self.table.row("target_owner", second),
            self._links.of(first) if self._links else None,
        )


def wrong_partners(rows: Integers) -> Integers:
    """Each row's partner in the shuffled arm: one random cycle through all rows, so never itself."""
    cycle = permutation(len(rows), "wrong partners").numpy()
    partners = np.empty_like(rows)
    partners[cycle] = rows[np.roll(cycle, -1)]
    return partners


@dataclass(frozen=True)
class Batches:
    """Builds the batches of pairs of every step, whole or in chunks."""

    corpus: Corpus
    encoder: AnyEncoder
    tokenizer: Tokenizer
    format: TextFormat
    device: str
    seed: int
    settings: AlignSettings

    @property
    def chunks(self) -> int:
        """How many chunks a batch is processed in: no more than it has pairs."""
        return min(self.settings.accumulate, self.settings.batch_size)

    def stream(self, step: int) -> tuple[StreamPart, ...]:
        """The name of a step's random streams."""
        return (self.seed, "align", step)

    def chunk(self, step: int, index: int) -> PairViews:
        """The ``index``-th chunk of a step's pairs: a run of them, of the same size to one."""
        pairs = self.corpus.batch(step)
        start, end = (len(pairs) * part // self.chunks for part in (index, index + 1))
        return self._views(pairs[start:end], (*self.stream(step), index), index)

    def prepared(self) -> Iterator[PairViews]:
        """Whole batches of one pass in an order of its own, for ``Objective.prepare``."""
        for step in range(self.corpus.per_epoch):
            pairs = self.corpus.batch(step, "prepare")
            yield self._views(pairs, (self.seed, "prepare", step))

    def _views(
        self, pairs: list[PairRow], stream: tuple[StreamPart, ...], index: int = 0
    ) -> PairViews:
        texts = pair_texts(pairs, self.tokenizer, self.encoder.config.max_positions)
        return PairViews(self.encoder, texts.to(self.device), self.format, stream, index)


def pair_texts(pairs: list[PairRow], tokenizer: Tokenizer, max_positions: int) -> PairTexts:
    """Both sides of the pairs, and each pair as one input no longer than the encoder takes."""
    pad_id = tokenizer.vocabulary.pad_id
    room = max_positions - tokenizer.special_tokens_pair
    joint, types, sides = [], [], []
    for pair in pairs:
        # Where both do not fit, each keeps at least its half.
        keep = max(room // 2, room - len(pair.target))
        first = pair.source[:keep].tolist()
        second = pair.target[: room - len(first)].tolist()
        ids, types_of_pair = tokenizer.build_pair(first, second)
        joint.append(ids)
        types.append(types_of_pair)
        sides.append(_sides(tokenizer, len(first), len(second)))
    types_BT = pad(types, 0)
    known = types_BT if bool(types_BT.any()) else None
    return PairTexts(
        _side(tokenizer, [(p.source, p.source_owner) for p in pairs]),
        _side(tokenizer, [(p.target, p.target_owner) for p in pairs]),
        Text(pad(joint, pad_id), known, sides=pad(sides, -1)),
        _linked(pairs),
    )


def _side(tokenizer: Tokenizer, texts: list[tuple[Integers, Integers | None]]) -> Text:
    ids = pad([tokenizer.build_single(t.tolist()) for t, _ in texts], tokenizer.vocabulary.pad_id)
    if texts[0][1] is None:
        return Text(ids)
    frame = tokenizer.special_tokens_single
    before = tokenizer.content_start
    owners = [
        [-1] * before + [int(n) for n in owner] + [-1] * (frame - before)
        for _, owner in texts
        if owner is not None
    ]
    return Text(ids, owners=pad(owners, -1))


def _sides(tokenizer: Tokenizer, first: int, second: int) -> list[int]:
    """For each token of a joint input which text it is of, -1 at specials."""
    # ids that no vocabulary has stand for the two texts
    marked, _ = tokenizer.build_pair([-2] * first, [-3] * second)
    return [{-2: 0, -3: 1}.get(token, -1) for token in marked]


def _linked(pairs: list[PairRow]) -> Any:
    """[K, 3] int64 (row, word of the source, word of the target); None where links are unknown."""
    import torch

    if pairs[0].links is None:
        return None
    rows = [
        np.column_stack([np.full(len(pair.links), number), pair.links])
        for number, pair in enumerate(pairs)
        if pair.links is not None
    ]
    return torch.from_numpy(np.concatenate(rows).astype(np.int64))

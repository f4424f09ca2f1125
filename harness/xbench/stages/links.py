"""Word links: which words of the pairs of a corpus translate each other, found once and kept.

Writes ``links.parquet``. The states that an aligner may look at are those of the untouched encoder.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xbench.api.aligner import Aligner, WordPair, WordSide
from xbench.catalogue.configs import make_component
from xbench.catalogue.settings import AlignSettings
from xbench.data.ragged import RaggedTable
from xbench.data.tokenizer import Tokenizer
from xbench.data.words import words_of
from xbench.nn.encoders.loading import AnyEncoder
from xbench.nn.finite import check_vectors
from xbench.nn.optimise import autocast
from xbench.nn.text import Text, TextFormat, pad
from xbench.nn.text_view import TextView
from xbench.plan.artefacts import LINKS
from xbench.plan.kinds.pairs import LinksStage
from xbench.stages.inputs.pairs import Corpus, PairInput, pair_table, read_pairs
from xbench.stages.inputs.word_links import Links
from xbench.stages.resources import Resources, text_format
from xbench.store import Entry

BATCH = 64
Link = tuple[int, int]


@dataclass(frozen=True)
class _Texts:
    """The words of the pairs that are linked, by the record's number, and the corpus' own links."""

    words: dict[int, tuple[tuple[str, ...], tuple[str, ...]]]
    given: dict[int, tuple[Link, ...]]


def run(stage: LinksStage, resources: Resources, entry: Entry) -> None:
    """Link every pair of the sample that phase I sees, wrong partners in the arm ``shuffled``."""
    settings = AlignSettings(
        steps=1,
        batch_size=2,
        max_length=stage.spec.settings.max_length,
        max_pairs=stage.spec.settings.max_pairs,
    )
    text = PairInput(stage.spec, stage.places.text, settings, has_words=True)
    tokenizer = resources.tokenizer(stage)
    table = pair_table(text, stage, resources, tokenizer)
    corpus = Corpus(table, text, seed=0)
    aligner: Aligner = make_component("aligners", stage.spec.aligner, resources.catalogue)
    texts = _texts(table, corpus, text, resources)
    states = _States(stage, resources, tokenizer, aligner)
    dictionary = _dictionary(stage, resources)
    found: dict[int, Any] = {}
    for numbers in _runs(corpus):
        pairs = zip(numbers, states.of([corpus.row(n) for n in numbers]), strict=True)
        for number, (source, target) in pairs:
            row, partner = int(corpus.rows[number]), int(corpus.partners[number])
            first, second = (int(table.row("number", r)[0]) for r in (row, partner))
            words = (texts.words[first][0], texts.words[second][1])
            given = texts.given[first]
            if first != second:  # what the right partner's links leave of a wrong one
                given = tuple((i, j) for i, j in given if j < len(words[1]))
            pair = WordPair(
                WordSide(words[0], *source), WordSide(words[1], *target), dictionary, given
            )
            found[row] = _checked(aligner.align(pair), words, aligner)
        resources.progress(len(found), corpus.size, {})
    Links(found).write(entry.folder / LINKS)
    entry.result = {"pairs": len(found), "links": int(sum(map(len, found.values())))}


def _checked(
    links: Sequence[Link], words: tuple[Sequence[str], Sequence[str]], aligner: Aligner
) -> Any:
    """[K, 2] int32. Raises ``ValueError`` for a link between words that are not there."""
    array = np.asarray(sorted(set(links)), dtype=np.int32).reshape(-1, 2)
    sizes = [len(side) for side in words]
    if len(array) and (array.min() < 0 or (array >= sizes).any()):
        raise ValueError(
            f"{type(aligner).__name__} linked {array.max(0).tolist()} in a pair of {sizes} words"
        )
    return array


def _texts(table: RaggedTable, corpus: Corpus, text: PairInput, resources: Resources) -> _Texts:
    """The words of the sample; the corpus is read once more, and nothing else of it is kept."""
    wanted = {int(table.row("number", int(r))[0]) for r in (*corpus.rows, *corpus.partners)}
    words, given = {}, {}
    for number, pair in enumerate(read_pairs(text, resources)):
        if number in wanted:
            words[number] = (words_of(pair.source), words_of(pair.target))
            given[number] = pair.links
    return _Texts(words, given)


def _dictionary(stage: LinksStage, resources: Resources) -> dict[str, set[str]]:
    """A lower-cased word of the source -> its translations, lower-cased."""
    found: dict[str, set[str]] = {}
    place = stage.places.dictionary
    if place is None:
        return found
    languages = [resources.catalogue.languages.get(code) for code in place.languages]
    for entry in resources.source_at(place).read(languages, "train"):
        found.setdefault(entry.source.lower(), set()).add(entry.target.lower())
    return found


def _runs(corpus: Corpus) -> Iterator[list[int]]:
    """The sample's pairs, a batch at a time, those of about the same length together."""
    lengths = [len(corpus.row(number).source) for number in range(corpus.size)]
    order = np.argsort(lengths, kind="stable").tolist()
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]


class _States:
    """The states of both sides' subwords; empty ones for an aligner that looks at none."""

    def __init__(
        self, stage: LinksStage, resources: Resources, tokenizer: Tokenizer, aligner: Aligner
    ) -> None:
        self._tokenizer = tokenizer
        self._device = stage.places.device
        self._format: TextFormat = text_format(tokenizer)
        self._label = stage.label
        self._encoder: AnyEncoder | None = None
        if "states" in aligner.needs:
            self._encoder = resources.encoder(stage).eval()
            self._depth = float(getattr(aligner.config, "depth", 1.0))
            self._precision = str(stage.spec.settings.precision)

    def of(self, pairs: list[Any]) -> list[tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]]:
        """For each pair (states [n, D], owner [n]) of the source and of the target."""
        sources = self._side([(pair.source, pair.source_owner) for pair in pairs])
        targets = self._side([(pair.target, pair.target_owner) for pair in pairs])
        return list(zip(sources, targets, strict=True))

    @torch.inference_mode()
    def _side(self, texts: list[tuple[Any, Any]]) -> list[tuple[Tensor, Tensor]]:
        owners = [torch.from_numpy(owner.astype(np.int64)) for _, owner in texts]
        encoder = self._encoder
        if encoder is None:
            return [(torch.zeros(len(owner), 0), owner) for owner in owners]
        rows = [self._tokenizer.build_single(ids.tolist()) for ids, _ in texts]
        ids = pad(rows, self._tokenizer.vocabulary.pad_id).to(self._device)
        with autocast(self._precision, torch.device(self._device).type):
            view = TextView(encoder, Text(ids), self._format, ("links",))
            states_BTD = view.states(self._depth).float().cpu()
        check_vectors(list(states_BTD), f"{self._label}, word links", encoder, self._precision)
        start = self._tokenizer.content_start
        return [
            (states_BTD[n, start : start + len(owner)].clone(), owner)
            for n, owner in enumerate(owners)
        ]

"""The parallel text that checkpoints are probed with: one sentence per item and language."""

from collections.abc import Iterator
from functools import cached_property

from xbench.api.probe import Pair
from xbench.api.source import MissingData
from xbench.data.overlap import digests, is_known, texts_of
from xbench.keys import key_of
from xbench.plan.kinds.probe import ProbeStage
from xbench.plan.records import DataPlace
from xbench.stages.resources import Resources

Sentences = dict[str, str]
"""Item's id -> text."""


class ProbedText:
    """The text of every language, without what models of the run were tuned on.

    It is read once for all probes that a worker computes on end, whatever model they look at.
    """

    def __init__(self, stage: ProbeStage, resources: Resources) -> None:
        self._stage = stage
        self._resources = resources

    def sentences(self, language: str) -> Sentences:
        """The sentences of one language by item. Raises :class:`MissingData` where there are none."""
        if language not in self._known[0]:
            raise MissingData(f"no parallel text of {language}")
        return self._known[0][language]

    def pairs(self, pair: Pair) -> list[tuple[str, str]]:
        """The sentences that both languages have."""
        first, second = (self.sentences(code) for code in pair)
        return [(first[name], second[name]) for name in first if name in second]

    @property
    def excluded(self) -> int:
        """How many items were left out because a probed model was fine-tuned on their sentence."""
        return self._known[1]

    @cached_property
    def _known(self) -> tuple[dict[str, Sentences], int]:
        spec = self._stage.spec
        what = (spec.source, spec.texts, spec.seen, spec.settings.sentences)
        return self._resources.keep_latest("parallel text", key_of(what), self._read)

    @property
    def _source(self) -> str:
        return str(self._stage.spec.source)

    def _read(self) -> tuple[dict[str, Sentences], int]:
        text: dict[str, Sentences] = {self._source: {}}
        for code in self._stage.places.texts:
            text[code] = {}
            for name, source, target in self._pairs(code):
                text[self._source].setdefault(name, source)
                text[code][name] = target
        seen = self._seen_items(text[self._source])
        limit = self._stage.spec.settings.sentences
        for code, sentences in text.items():
            left = [item for item in sentences.items() if item[0] not in seen]
            text[code] = dict(left[:limit])
        return text, len(seen)

    def _pairs(self, code: str) -> Iterator[tuple[str, str, str]]:
        """(item, text in the source language, text)."""
        where = self._stage.places.texts[code]
        split = self._stage.spec.texts[code].split
        languages = [self._resources.catalogue.languages.get(c) for c in (self._source, code)]
        pairs = self._resources.source_at(where).read(languages, split)
        for number, pair in enumerate(pairs):
            yield pair.id or str(number), pair.source, pair.target

    def _seen_items(self, sentences: Sentences) -> set[str]:
        """The items whose source sentence is in the training data of a fine-tuning that is probed."""
        known: set[bytes] = set()
        for data, place in zip(self._stage.spec.seen or (), self._stage.places.seen, strict=True):
            known |= self._learnt(place, data.split)
        return {item for item, text in sentences.items() if is_known(text, known)}

    def _learnt(self, place: DataPlace, split: str) -> set[bytes]:
        """The digests of a task's training texts."""
        task = self._resources.catalogue.load("tasks", str(place.task))()
        language = self._resources.catalogue.languages.get(place.languages[0])
        records = task.examples(self._resources.source_at(place), language, split)
        return digests(text for record in records for text in texts_of(record))

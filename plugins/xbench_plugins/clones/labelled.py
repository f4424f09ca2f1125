"""Sources of labelled clone-language data: named entities and paraphrases."""

from collections.abc import Iterator, Sequence

from xbench.api import LabelledPair, Language, TaggedSentence
from xbench_plugins.clones.entities import entity_sentences
from xbench_plugins.clones.paraphrases import paraphrases
from xbench_plugins.clones.sources import CloneSource


class CloneEntities(CloneSource):
    """Sentences with names as IOB2 tags; the same index is the same meaning in every language."""

    name = "clone-entities"
    sizes = {"train": 2000, "dev": 200, "test": 512}

    def read(self, languages: Sequence[Language], split: str) -> Iterator[TaggedSentence]:
        """The tagged sentences of one language. Raises :class:`MissingData` as ``fingerprint``."""
        (language,) = self._clones(languages)
        return entity_sentences(language, split, self._count(split))


class CloneParaphrases(CloneSource):
    """Pairs of sentences, paraphrases or not; the same index is the same meaning everywhere."""

    name = "clone-paraphrases"
    sizes = {"train": 2000, "dev": 200, "test": 512}

    def read(self, languages: Sequence[Language], split: str) -> Iterator[LabelledPair]:
        """The pairs of one language. Raises :class:`MissingData` as ``fingerprint``."""
        (language,) = self._clones(languages)
        return paraphrases(language, split, self._count(split))

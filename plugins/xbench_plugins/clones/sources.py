"""Sources of clone-language data: generated on the spot, no folder and no network."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar

from xbench.api import LabelledText, Language, MissingData, ParallelText, Source, TaggedSentence
from xbench_plugins.clones import corpus
from xbench_plugins.clones.language import CloneLanguage


class CloneSource(Source):
    """What the three sources have in common: sizes of splits, checks, the fingerprint.

    Options named after a split set its number of sentences: ``CloneTreebank(train=500)``.
    """

    needs_place: ClassVar[bool] = False
    name: ClassVar[str]
    sizes: ClassVar[Mapping[str, int]]
    languages_per_read: ClassVar[int] = 1

    def fingerprint(self, languages: Sequence[Language], split: str) -> dict[str, Any]:
        """The generator's name, version and settings; nothing is generated.

        Raises :class:`MissingData` for other languages than clone languages and unknown splits.
        """
        clones = self._clones(languages)
        return {
            "generator": corpus.GENERATOR,
            "generator_version": corpus.GENERATOR_VERSION,
            "corpus": self.name,
            "languages": [clone.knobs() for clone in clones],
            "split": split,
            "count": self._count(split),
        }

    def _clones(self, languages: Sequence[Language]) -> list[CloneLanguage]:
        if len(languages) != self.languages_per_read:
            raise ValueError(
                f"{self.name} reads {self.languages_per_read} language(s) at a time, "
                f"not {len(languages)}"
            )
        clones = [language for language in languages if isinstance(language, CloneLanguage)]
        if len(clones) < len(languages):
            strangers = [each.code for each in languages if not isinstance(each, CloneLanguage)]
            raise MissingData(
                f"{self.name} generates clone languages only and has nothing for "
                f"{', '.join(strangers)}; choose a clone language or another source"
            )
        return clones

    def _count(self, split: str) -> int:
        if split not in self.sizes:
            raise MissingData(f"{self.name} has no split {split!r}; it has {', '.join(self.sizes)}")
        count = self.options.get(split, self.sizes[split])
        if not isinstance(count, int) or count < 0:
            raise ValueError(f"{self.name}: the size of {split} is {count!r}, not a whole number")
        return count


class CloneTreebank(CloneSource):
    """Sentences with UPOS tags; the same index is the same meaning in every language."""

    name = "clone-treebank"
    parallel = True
    sizes = {"train": 2000, "dev": 200, "test": 512}

    def read(self, languages: Sequence[Language], split: str) -> Iterator[TaggedSentence]:
        """The tagged sentences of one language. Raises :class:`MissingData` as ``fingerprint``."""
        (language,) = self._clones(languages)
        return corpus.treebank(language, split, self._count(split))


class CloneTopics(CloneSource):
    """Texts labelled with one of seven topics; the same index is the same meaning everywhere."""

    name = "clone-topics"
    parallel = True
    sizes = {"train": 2000, "dev": 200, "test": 512}

    def read(self, languages: Sequence[Language], split: str) -> Iterator[LabelledText]:
        """The labelled texts of one language. Raises :class:`MissingData` as ``fingerprint``."""
        (language,) = self._clones(languages)
        return corpus.topic_texts(language, split, self._count(split))


class CloneBitext(CloneSource):
    """Parallel text with exact word links; ``train`` is for alignment, ``test`` for probes."""

    name = "clone-bitext"
    sizes = {"train": 4000, "dev": 200, "test": 512}
    languages_per_read = 2

    def read(self, languages: Sequence[Language], split: str) -> Iterator[ParallelText]:
        """The sentence pairs of two languages. Raises :class:`MissingData` as ``fingerprint``."""
        first, second = self._clones(languages)
        return corpus.parallel_text(first, second, split, self._count(split))


class CloneDictionary(CloneSource):
    """Word translations of two clone languages, the most frequent words of a class first."""

    name = "clone-dictionary"
    sizes = {"train": 5000}
    languages_per_read = 2

    def read(self, languages: Sequence[Language], split: str) -> Iterator[ParallelText]:
        """At most as many entries as the split has. Raises :class:`MissingData` as ``fingerprint``."""
        first, second = self._clones(languages)
        entries = islice(corpus.dictionary(first, second), self._count(split))
        for number, (word, translation) in enumerate(entries):
            yield ParallelText(word, translation, str(number))

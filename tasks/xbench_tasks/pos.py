"""Part-of-speech tagging."""

from collections.abc import Iterator

from xbench.api.examples import TaggedSentence
from xbench.api.language import Language
from xbench.api.source import Source
from xbench.api.task import Task
from xbench_tasks.labels import known_labels


class PartOfSpeech(Task):
    """Which of the 17 universal parts of speech a word is (universaldependencies.org, UPOS)."""

    level = "token"
    labels = (
        "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON",
        "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X",
    )  # fmt: skip
    metrics = ("accuracy", "udpos_f1_xtreme")

    def examples(self, source: Source, language: Language, split: str) -> Iterator[TaggedSentence]:
        """Sentences with one tag per word. Raises ``ValueError`` at a tag that is not UPOS."""
        return known_labels(self, source.read([language], split))

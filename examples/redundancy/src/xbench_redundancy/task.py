"""How many names a sentence has."""

from collections.abc import Iterator, Sequence

from xbench.api import LabelledText, Language, Source, TaggedSentence, Task

NAME = "PROPN"  # the universal part of speech of names


class Names(Task):
    """How many names a sentence mentions: none, one, or several.

    The labels are counted from a treebank's tags (universaldependencies.org, UPOS), so any source of
    tagged sentences will do. The encoder sees the words only.
    """

    level = "sentence"
    labels = ("none", "one", "several")
    metrics = ("accuracy", "macro_f1")

    def examples(self, source: Source, language: Language, split: str) -> Iterator[LabelledText]:
        """Tagged sentences -> labelled texts."""
        for sentence in source.read([language], split):
            yield LabelledText(" ".join(sentence.words), label_of(sentence), sentence.id)


def label_of(sentence: TaggedSentence) -> str:
    """The class of a tagged sentence."""
    return Names.labels[min(names_in(sentence.tags), 2)]


def names_in(tags: Sequence[str]) -> int:
    """How many tags are those of names."""
    return sum(tag == NAME for tag in tags)

"""The corpora: treebank, topic texts, parallel and monolingual text, dictionaries.

The same index of a split is the same meaning in every language, as in FLORES and SIB-200.
A longer read begins with the shorter one.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

from xbench.api import LabelledText, ParallelText, TaggedSentence
from xbench_plugins.clones.grammar import Meaning, meanings
from xbench_plugins.clones.language import CloneLanguage
from xbench_plugins.clones.lexicon import inventory
from xbench_plugins.clones.translate import Sentence, translate, vocabulary, word_links

GENERATOR = "xbench-clones"
GENERATOR_VERSION = 1
"""Part of every fingerprint: to be raised whenever the generated text changes."""


@lru_cache(maxsize=32)
def _meanings(corpus: str, partition: str, count: int) -> tuple[Meaning, ...]:
    return tuple(islice(meanings(corpus, partition), count))


def _sentences(
    corpus: str, language: CloneLanguage, partition: str, count: int
) -> Iterator[tuple[Meaning, Sentence, str]]:
    for index, meaning in enumerate(_meanings(corpus, partition, count)):
        name = f"{corpus}-{partition}-{index}"
        yield meaning, translate(meaning, language, name), name


def treebank(language: CloneLanguage, split: str, count: int) -> Iterator[TaggedSentence]:
    """``count`` sentences with UPOS tags; ``split`` is train, dev or test."""
    for _, sentence, name in _sentences("treebank", language, split, count):
        yield TaggedSentence(sentence.words, sentence.tags, name)


def topic_texts(language: CloneLanguage, split: str, count: int) -> Iterator[LabelledText]:
    """``count`` texts with their topic; ``split`` is train, dev or test."""
    for meaning, sentence, name in _sentences("topics", language, split, count):
        yield LabelledText(" ".join(sentence.words), meaning.topic, name)


def parallel_text(
    first: CloneLanguage, second: CloneLanguage, split: str, count: int
) -> Iterator[ParallelText]:
    """``count`` sentences in two languages with exact word links.

    The split ``train`` draws from meanings that no other corpus uses, for alignment.
    """
    partition = "parallel" if split == "train" else split
    left = _sentences("parallel", first, partition, count)
    right = _sentences("parallel", second, partition, count)
    for (_, source, name), (_, target, _) in zip(left, right, strict=True):
        links = word_links(source, target)
        yield ParallelText(" ".join(source.words), " ".join(target.words), name, links)


def monolingual_text(language: CloneLanguage, count: int) -> Iterator[str]:
    """``count`` sentences for pre-training, drawn anew for each language: no parallel text.

    Two languages say the same only where short sentences coincide by chance.
    """
    stream = meanings(f"text/{language.code}", "text")
    for index, meaning in enumerate(islice(stream, count)):
        yield " ".join(translate(meaning, language, f"text-{index}").words)


def dictionary(first: CloneLanguage, second: CloneLanguage) -> tuple[tuple[str, str], ...]:
    """Each concept's word in both languages, the most frequent of a class first.

    Concepts that either language writes as a suffix have no word and are left out.
    """
    one, two = vocabulary(first), vocabulary(second)
    free = [
        concept
        for group in inventory().values()
        for concept in group
        if concept not in one.suffixes | two.suffixes
    ]
    return tuple(dict.fromkeys((one.forms[concept], two.forms[concept]) for concept in free))

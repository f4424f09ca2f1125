"""Pairs of sentences of a clone language that say the same in another word order, or do not."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import islice

from xbench.api import LabelledPair
from xbench_plugins.clones.grammar import Meaning, NounPhrase, Word, meanings
from xbench_plugins.clones.language import CloneLanguage
from xbench_plugins.clones.lexicon import inventory
from xbench_plugins.clones.streams import Draws
from xbench_plugins.clones.translate import translate

OTHER_ORDER = {"SVO": "SOV", "SOV": "SVO", "VSO": "SVO", "inverted": "SOV"}
"""The word order of a paraphrase, by the language's own."""


def paraphrases(language: CloneLanguage, split: str, count: int) -> Iterator[LabelledPair]:
    """``count`` pairs, half of them paraphrases; ``split`` is train, dev or test.

    The second sentence is in the language's other word order. If it is no paraphrase, every noun,
    name, pronoun and predicate of its first clause is another one of the same class and topic.
    """
    reordered = replace(language, word_order=OTHER_ORDER[language.word_order])
    for index, (meaning, other) in enumerate(_pairs(split, count)):
        name = f"paraphrases-{split}-{index}"
        first = translate(meaning, language, name)
        second = translate(other, reordered, f"{name}-second")
        label = "paraphrase" if meaning == other else "different"
        yield LabelledPair(" ".join(first.words), " ".join(second.words), label, name)


@lru_cache(maxsize=8)
def _pairs(split: str, count: int) -> tuple[tuple[Meaning, Meaning], ...]:
    draws = Draws(f"paraphrases/{split}")
    return tuple(
        (meaning, meaning if draws.chance(0.5) else _changed(meaning, draws))
        for meaning in islice(meanings("paraphrases", split), count)
    )


def _changed(meaning: Meaning, draws: Draws) -> Meaning:
    first, *rest = meaning.clauses
    clause = replace(
        first,
        subject=_other_head(first.subject, draws),
        predicate=_another(first.predicate, draws),
        complement=_other_head(first.complement, draws),
    )
    return replace(meaning, clauses=(clause, *rest))


def _other_head(phrase: NounPhrase, draws: Draws) -> NounPhrase:
    return replace(phrase, head=_another(phrase.head, draws))


def _another(word: Word, draws: Draws) -> Word:
    """A word of the same class and topic with another meaning."""
    group = inventory()[word.concept.upos, word.concept.topic]
    return Word(word.node, draws.pick([each for each in group if each != word.concept]))

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

    A sentence is a subject, what it does, and to whom; the second is in the language's other word
    order. If it is no paraphrase, these three are other words of the same classes.
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
        for meaning in map(_shortened, islice(meanings("paraphrases", split), count))
    )


def _shortened(meaning: Meaning) -> Meaning:
    """The first clause without its adjuncts: subject, predicate, complement."""
    clause = replace(meaning.clauses[0], adjunct=None, adverb=None)
    return Meaning(meaning.topic, (clause,), meaning.stop, meaning.question)


def _changed(meaning: Meaning, draws: Draws) -> Meaning:
    (clause,) = meaning.clauses
    changed = replace(
        clause,
        subject=_other_head(clause.subject, draws),
        predicate=_another(clause.predicate, draws),
        complement=_other_head(clause.complement, draws),
    )
    return replace(meaning, clauses=(changed,))


def _other_head(phrase: NounPhrase, draws: Draws) -> NounPhrase:
    return replace(phrase, head=_another(phrase.head, draws))


def _another(word: Word, draws: Draws) -> Word:
    """A word of the same class with another meaning."""
    others = [
        concept
        for group in inventory().values()
        for concept in group
        if concept.upos == word.concept.upos and concept != word.concept
    ]
    return Word(word.node, draws.pick(others))

"""Sentences of clone languages with named entities.

What a name is the name of depends on the topic that it is typical of, so that its class shows in
the texts that it stands in. A name may have two words.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import Any

from xbench.api import TaggedSentence
from xbench_plugins.clones.grammar import Clause, Meaning, NounPhrase, Word, meanings
from xbench_plugins.clones.language import CloneLanguage
from xbench_plugins.clones.lexicon import inventory
from xbench_plugins.clones.streams import Draws
from xbench_plugins.clones.translate import translate

KINDS = {
    "": "PER",
    "entertainment": "PER",
    "travel": "LOC",
    "geography": "LOC",
    "health": "LOC",
    "politics": "ORG",
    "sports": "ORG",
    "science/technology": "ORG",
}
"""What names of a topic are names of; names of no topic are people's."""

_TWO_WORDS = 0.4
_FIRST_NEW_NODE = 1000  # no sentence has so many words


def entity_sentences(language: CloneLanguage, split: str, count: int) -> Iterator[TaggedSentence]:
    """``count`` sentences with IOB2 tags, each with a name; ``split`` is train, dev or test."""
    for index, meaning in enumerate(_with_names(split, count)):
        name = f"entities-{split}-{index}"
        sentence = translate(meaning, language, name)
        entities = dict(_entities(meaning))
        tags, before = [], None
        for node, *_ in sentence.nodes:
            entity = entities.get(node)
            prefix = "I" if entity == before else "B"
            tags.append("O" if entity is None else f"{prefix}-{entity[1]}")
            before = entity
        yield TaggedSentence(sentence.words, tuple(tags), name)


@lru_cache(maxsize=8)
def _with_names(split: str, count: int) -> tuple[Meaning, ...]:
    draws = Draws(f"entities/{split}")
    stream = (each for each in meanings("entities", split) if dict(_entities(each)))
    return tuple(_lengthened(each, draws) for each in islice(stream, count))


def _phrases(clause: Clause) -> Iterator[tuple[str, NounPhrase]]:
    for role in ("subject", "complement", "adjunct"):
        phrase = getattr(clause, role)
        if phrase is not None and phrase.head.concept.upos == "PROPN":
            yield role, phrase


def _entities(meaning: Meaning) -> Iterator[tuple[int, tuple[int, str]]]:
    """(node, (node of the name's head, kind)) of every word of a name."""
    for clause in meaning.clauses:
        for _, phrase in _phrases(clause):
            entity = (phrase.head.node, KINDS[phrase.head.concept.topic])
            yield phrase.head.node, entity
            if phrase.adjective is not None:
                yield phrase.adjective.node, entity


def _lengthened(meaning: Meaning, draws: Draws) -> Meaning:
    """The meaning with a second word at some of its names, where an adjective stands in a phrase."""
    node = _FIRST_NEW_NODE
    clauses = []
    for clause in meaning.clauses:
        for role, phrase in _phrases(clause):
            if draws.chance(_TWO_WORDS):
                alike = [
                    other
                    for other in inventory()["PROPN", phrase.head.concept.topic]
                    if other != phrase.head.concept
                ]
                longer = replace(phrase, adjective=Word(node, draws.pick(alike)))
                changes: dict[str, Any] = {role: longer}
                clause = replace(clause, **changes)
                node += 1
        clauses.append(clause)
    return replace(meaning, clauses=tuple(clauses))

"""The grammar: seeded random meanings, from which every clone language makes its sentence.

A meaning is a tree of words without order or form. Five partitions of all meanings never overlap:
the digest of a sentence's core (subject, predicate, complement of its first clause) decides which
partition the meaning belongs to, however it was drawn.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from xbench_plugins.clones.lexicon import PUNCTUATION, TOPICS, Concept, inventory
from xbench_plugins.clones.streams import Draws, digest

PARTITIONS = ("train", "dev", "test", "parallel", "text")

_ON_TOPIC = 0.62
_OFF_TOPIC = 0.1


class Word(NamedTuple):
    """A word of a meaning; ``node`` tells apart the words of one sentence."""

    node: int
    concept: Concept


@dataclass(frozen=True, slots=True)
class NounPhrase:
    """A noun, name or pronoun with what belongs to it."""

    head: Word
    adposition: Word | None = None
    determiner: Word | None = None
    numeral: Word | None = None
    adjective: Word | None = None


@dataclass(frozen=True, slots=True)
class Clause:
    """A subject and what is said of it; ``predicate`` is a verb, or an adjective with a copula."""

    subject: NounPhrase
    predicate: Word
    complement: NounPhrase
    auxiliary: Word | None = None
    negation: Word | None = None
    adjunct: NounPhrase | None = None
    adverb: Word | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """A sentence before any language: one or two clauses about a topic."""

    topic: str
    clauses: tuple[Clause, ...]
    stop: Word
    question: Word | None = None
    comma: Word | None = None
    conjunction: Word | None = None


def meanings(label: str, partition: str) -> Iterator[Meaning]:
    """An endless stream of meanings of one partition; equal labels give equal streams.

    Raises ``ValueError`` if there is no such partition.
    """
    if partition not in PARTITIONS:
        raise ValueError(f"no partition {partition!r} of meanings; there are {PARTITIONS}")
    draws = Draws(f"meanings/{label}/{partition}")
    while True:
        yield _Composer(draws, draws.pick(TOPICS)).meaning(PARTITIONS.index(partition))


class _Composer:
    """Draws one meaning."""

    def __init__(self, draws: Draws, topic: str) -> None:
        self._draws = draws
        self._topic = topic
        self._nodes = 0

    def meaning(self, partition: int) -> Meaning:
        core = self._core()
        while digest(str(core)) % len(PARTITIONS) != partition:
            core = self._core()
        clauses = [self._clause(core, adjuncts=0.3)]
        comma = conjunction = question = None
        if self._draws.chance(0.2):
            comma = self._word(Concept("PUNCT", "", PUNCTUATION.index(",")))
            conjunction = self._function_word("CCONJ")
            clauses.append(self._clause(self._core(), adjuncts=0.05))
        stop = "!" if self._draws.chance(0.05) else "."
        if self._draws.chance(0.12):
            stop, question = "?", self._word(Concept("PART", "", 1))
        end = self._word(Concept("PUNCT", "", PUNCTUATION.index(stop)))
        return Meaning(self._topic, tuple(clauses), end, question, comma, conjunction)

    def _core(self) -> tuple[Concept, Concept, Concept]:
        subject = self._participant(pronoun=0.2, name=0.2)
        predicate = self._content("ADJ" if self._draws.chance(0.15) else "VERB")
        return subject, predicate, self._participant(pronoun=0.07, name=0.13)

    def _participant(self, pronoun: float, name: float) -> Concept:
        kind = self._draws.uniform()
        if kind < pronoun:
            return self._draws.pick_by_rank(inventory()["PRON", ""])
        return self._content("PROPN" if kind < pronoun + name else "NOUN")

    def _content(self, upos: str) -> Concept:
        """A content word's concept: typical of the topic, of any topic, or of another one."""
        kind = self._draws.uniform()
        topic = ""
        if kind < _ON_TOPIC:
            topic = self._topic
        elif kind < _ON_TOPIC + _OFF_TOPIC:
            topic = self._draws.pick(TOPICS)
        return self._draws.pick_by_rank(inventory()[upos, topic])

    def _clause(self, core: tuple[Concept, Concept, Concept], adjuncts: float) -> Clause:
        subject, predicate, complement = core
        copula = predicate.upos == "ADJ"
        return Clause(
            subject=self._noun_phrase(subject),
            predicate=self._word(predicate),
            complement=self._noun_phrase(complement, adposition=1.0 if copula else 0.25),
            auxiliary=self._auxiliary(copula),
            negation=self._word(Concept("PART", "", 0)) if self._draws.chance(0.12) else None,
            adjunct=self._adjunct() if self._draws.chance(adjuncts) else None,
            adverb=self._function_word("ADV") if self._draws.chance(adjuncts) else None,
        )

    def _auxiliary(self, copula: bool) -> Word | None:
        if copula:
            return self._word(Concept("AUX", "", 0))
        return self._function_word("AUX") if self._draws.chance(0.35) else None

    def _adjunct(self) -> NounPhrase:
        return self._noun_phrase(self._participant(pronoun=0.05, name=0.25), adposition=1.0)

    def _noun_phrase(self, head: Concept, adposition: float = 0.0) -> NounPhrase:
        case = self._function_word("ADP") if self._draws.chance(adposition) else None
        if head.upos != "NOUN":
            return NounPhrase(self._word(head), case)
        determiner = numeral = adjective = None
        if self._draws.chance(0.6):
            determiner = self._function_word("DET")
        if self._draws.chance(0.12):
            numeral = self._word(self._content("NUM"))
        if self._draws.chance(0.3):
            adjective = self._word(self._content("ADJ"))
        return NounPhrase(self._word(head), case, determiner, numeral, adjective)

    def _function_word(self, upos: str) -> Word:
        return self._word(self._draws.pick_by_rank(inventory()[upos, ""]))

    def _word(self, concept: Concept) -> Word:
        self._nodes += 1
        return Word(self._nodes - 1, concept)

"""Concepts, and the stems that name them: pseudo-words made of syllables, no real vocabulary.

A concept is a word's meaning, the same in all clone languages. A lexicon gives each concept a stem
in the source's letters. Every clone language has a private lexicon; how much of it is used instead
of the source's is the knob ``shared_vocabulary``.
"""

from functools import lru_cache
from typing import NamedTuple

from xbench_plugins.clones.streams import Draws, digest

TOPICS = (
    "science/technology",
    "travel",
    "politics",
    "sports",
    "health",
    "entertainment",
    "geography",
)
"""SIB-200's topics."""

SOURCE = "qaa"
"""The code whose private lexicon is the source's."""

CONSONANTS = "bdfghjklmnprstvz"
VOWELS = "aeiou"

# How many concepts a class has: of any topic, and typical of each topic.
_INVENTORY = {
    "NOUN": (20, 6),
    "VERB": (12, 3),
    "ADJ": (10, 2),
    "PROPN": (8, 2),
    "NUM": (6, 1),
    "ADV": (8, 0),
    "PRON": (5, 0),
    "DET": (4, 0),
    "ADP": (6, 0),
    "AUX": (3, 0),
    "CCONJ": (2, 0),
    "PART": (2, 0),
    "PUNCT": (4, 0),
}
_SYLLABLES = {"NOUN": 2, "VERB": 2, "ADJ": 2, "PROPN": 3, "ADV": 2}
_WITH_ENDING = frozenset({"NOUN", "VERB", "ADJ", "ADV"})

# Ambiguity: a concept of the first class may share its stem with one of the second.
_HOMONYMS = {"VERB": "NOUN", "ADV": "ADJ", "PRON": "DET", "PART": "ADP", "AUX": "ADP"}
_HOMONYM_RATE = 0.15
_ENDING_RATE = 0.5

PUNCTUATION = (".", "?", "!", ",")


class Concept(NamedTuple):
    """A word's meaning: its part of speech, its topic ("" for any), its frequency rank."""

    upos: str
    topic: str
    rank: int


@lru_cache(maxsize=1)
def inventory() -> dict[tuple[str, str], tuple[Concept, ...]]:
    """All concepts by (UPOS, topic), the most frequent of each class first."""
    found = {}
    for upos, (general, topical) in _INVENTORY.items():
        found[upos, ""] = tuple(Concept(upos, "", rank) for rank in range(general))
        for topic in TOPICS:
            found[upos, topic] = tuple(Concept(upos, topic, rank) for rank in range(topical))
    return found


@lru_cache(maxsize=64)
def private_lexicon(code: str) -> dict[Concept, str]:
    """Stems of one language's own making; unlike the source's stems in every concept.

    Numerals and punctuation are written alike in all languages, as on the real web.
    """
    taken = set() if code == SOURCE else set(private_lexicon(SOURCE).values())
    maker = _StemMaker(code, taken)
    concepts = [concept for group in inventory().values() for concept in group]
    return {concept: _written_alike(concept) or maker.stem(concept) for concept in concepts}


def _written_alike(concept: Concept) -> str:
    """The form of a numeral or a punctuation mark; "" for all other concepts."""
    if concept.upos == "PUNCT":
        return PUNCTUATION[concept.rank]
    if concept.upos == "NUM":
        return _numeral(concept)
    return ""


def _numeral(concept: Concept) -> str:
    if not concept.topic:
        return str(concept.rank + 2)
    return str(100 + 50 * TOPICS.index(concept.topic) + 7 * concept.rank)


class _StemMaker:
    """Makes the stems of one lexicon from sounds and endings of its own."""

    def __init__(self, code: str, taken: set[str]) -> None:
        self._draws = Draws(f"lexicon/{code}")
        ranked = sorted(CONSONANTS, key=lambda letter: digest(f"{code}/{letter}"))
        self._consonants = "".join(ranked[:12])
        self._endings = {upos: self._syllable() for upos in sorted(_WITH_ENDING)}
        self._taken = taken
        self._stems: dict[Concept, str] = {}

    def stem(self, concept: Concept) -> str:
        """The stem of ``concept``: a homonym's now and then, else one not used before."""
        twin = Concept(_HOMONYMS.get(concept.upos, ""), concept.topic, concept.rank)
        if twin in self._stems and self._draws.chance(_HOMONYM_RATE):
            stem = self._stems[twin]
        else:
            stem = self._new_stem(concept.upos)
        self._stems[concept] = stem
        return stem

    def _new_stem(self, upos: str) -> str:
        tries = 0
        while True:
            length = _SYLLABLES.get(upos, 1) + tries // 20
            stem = "".join(self._syllable() for _ in range(length))
            if upos in _WITH_ENDING and self._draws.chance(_ENDING_RATE):
                stem += self._endings[upos]
            if stem not in self._taken:
                self._taken.add(stem)
                return stem
            tries += 1

    def _syllable(self) -> str:
        coda = self._draws.pick(self._consonants) if self._draws.chance(0.3) else ""
        return self._draws.pick(self._consonants) + self._draws.pick(VOWELS) + coda

"""From a meaning to a written sentence of a clone language."""

from collections import defaultdict
from functools import lru_cache
from typing import NamedTuple

from xbench_plugins.clones.grammar import Meaning, Word
from xbench_plugins.clones.language import CloneLanguage
from xbench_plugins.clones.lexicon import SOURCE, Concept, inventory, private_lexicon
from xbench_plugins.clones.scripts import letters, transliterate
from xbench_plugins.clones.streams import Draws, digest
from xbench_plugins.clones.word_order import in_order

_SUFFIX_RANK = {"DET": 0, "PART": 0, "ADP": 1, "AUX": 1}
"""Classes of words that can become suffixes, and their distance from the stem."""

_NEVER_MISSPELT = frozenset({"NUM", "PUNCT"})


class Sentence(NamedTuple):
    """A written sentence: per word its form, its UPOS tag, and the meaning's nodes it carries."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    nodes: tuple[tuple[int, ...], ...]


class Vocabulary(NamedTuple):
    """How a language writes each concept, and which concepts it writes as suffixes."""

    forms: dict[Concept, str]
    suffixes: frozenset[Concept]


def vocabulary(language: CloneLanguage) -> Vocabulary:
    """The vocabulary of ``language``, made once per setting of its knobs."""
    return _vocabulary(
        language.code.split("_")[0],
        language.script,
        language.shared_vocabulary,
        language.agglutination,
    )


@lru_cache(maxsize=256)
def _vocabulary(code: str, script: str, shared: float, agglutination: float) -> Vocabulary:
    common = _share(f"shared/{code}", shared)
    source, own = private_lexicon(SOURCE), private_lexicon(code)
    stems = {concept: (source if concept in common else own)[concept] for concept in source}
    affixes = _share(f"suffix/{code}", agglutination)
    return Vocabulary(
        {concept: transliterate(stem, script) for concept, stem in stems.items()},
        frozenset(concept for concept in affixes if concept.upos in _SUFFIX_RANK),
    )


def _share(label: str, share: float) -> set[Concept]:
    """The given share of each class of concepts; a larger share contains every smaller one."""
    chosen: set[Concept] = set()
    for group in inventory().values():
        ranked = sorted(group, key=lambda concept: digest(f"{label}/{tuple(concept)}"))
        chosen.update(ranked[: round(share * len(group))])
    return chosen


def translate(meaning: Meaning, language: CloneLanguage, occurrence: str = "") -> Sentence:
    """``meaning`` as a sentence of ``language``.

    ``occurrence`` names the place in a corpus: misspellings (the knob ``noise``) depend on it.
    """
    forms, suffixes = vocabulary(language)
    free: list[Word] = []
    bound: dict[int, list[Word]] = {}
    for word, host in in_order(meaning, language.word_order):
        if host is not None and word.concept in suffixes:
            bound.setdefault(host, []).append(word)
        else:
            free.append(word)
    words = [forms[word.concept] for word in free]
    nodes: list[tuple[int, ...]] = [(word.node,) for word in free]
    if bound:
        for place, word in enumerate(free):
            if word.node in bound:
                carried = [word, *sorted(bound[word.node], key=_suffix_order)]
                words[place] = "".join([forms[part.concept] for part in carried])
                nodes[place] = tuple([part.node for part in carried])
    tags = [word.concept.upos for word in free]
    if language.noise:
        misspelling = _Misspelling(language, occurrence)
        words = [misspelling.apply(form, tag) for form, tag in zip(words, tags, strict=True)]
    return Sentence(tuple(words), tuple(tags), tuple(nodes))


def _suffix_order(word: Word) -> tuple[int, int]:
    return _SUFFIX_RANK[word.concept.upos], word.node


class _Misspelling:
    """Replaces one letter in a share of the words of one sentence."""

    def __init__(self, language: CloneLanguage, occurrence: str) -> None:
        self._rate = language.noise
        self._letters = letters(language.script)
        self._draws = Draws(f"noise/{language.code}/{occurrence}")

    def apply(self, form: str, tag: str) -> str:
        if tag in _NEVER_MISSPELT or not self._draws.chance(self._rate):
            return form
        place = int(self._draws.uniform() * len(form))
        letter = self._draws.pick(self._letters.replace(form[place], ""))
        return form[:place] + letter + form[place + 1 :]


def word_links(first: Sentence, second: Sentence) -> tuple[tuple[int, int], ...]:
    """Pairs of positions whose words carry a common node of the same meaning."""
    places = defaultdict(list)
    for place, carried in enumerate(second.nodes):
        for node in carried:
            places[node].append(place)
    return tuple(
        sorted(
            {
                (place, other)
                for place, carried in enumerate(first.nodes)
                for node in carried
                for other in places[node]
            }
        )
    )

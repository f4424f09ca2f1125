"""Links by look-up in a bilingual dictionary."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field
from pydantic.dataclasses import dataclass

from xbench.api.aligner import Aligner, WordPair
from xbench.data.words import words_of


class Span(NamedTuple):
    """Words ``start`` to ``end`` (exclusive) of a sentence and the entry's text that they make up."""

    start: int
    end: int
    text: str


Match = tuple[Span, Span]


class Dictionary(Aligner):
    """Links a word and its translation, where a bilingual dictionary has both.

    The dictionary maps a source word to one or more translations (the form of MUSE: lower-cased
    words, one-to-many). Words of the sentence are lower-cased and freed of punctuation at their
    ends before they are looked up. In scripts without spaces, where each character counts as a
    word, an entry may span several of them; then all its words are linked with those of the
    translation, and a match inside a longer one is left out.

    ``ambiguous`` says what becomes of a pair that is not the only choice. With ``drop`` a match
    stays only if no other translation of the source word stands in the target sentence, if the
    translation stands there once, and if it translates no other word of the source sentence. With
    ``keep`` all stay.

    Sources: Gaschi et al. 2023, *Exploring the Relationship between Alignment and Cross-lingual
    Transfer in Multilingual Transformers* (arXiv 2306.02790), whose code applies the rule
    ``drop`` to subwords; MUSE: Conneau et al. 2018 (arXiv 1710.04087).
    """

    needs = frozenset({"dictionary"})

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """How words are looked up, and which matches stay."""

        ambiguous: Literal["drop", "keep"] = "drop"
        identical: bool = False  # link words that are spelt alike
        longest: Annotated[int, Field(ge=1)] = 8  # characters of an entry without spaces

    sources: ClassVar[Mapping[str, str]] = {
        "ambiguous": "code: multilingual-alignment-and-transfer",
        "identical": "code: multilingual-alignment-and-transfer",
        "longest": "reconstruction: the code takes the dictionary's longest entry",
    }

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)

    def align(self, pair: WordPair) -> Sequence[tuple[int, int]]:
        """Links of the matches that stay; none where the dictionary is empty."""
        matches = list(self._matches(pair))
        if self.config.ambiguous == "drop":
            matches = _unambiguous(matches)
        return sorted(
            {
                (i, j)
                for source, target in _outermost(matches)
                for i in range(source.start, source.end)
                for j in range(target.start, target.end)
            }
        )

    def _matches(self, pair: WordPair) -> Iterator[Match]:
        places: dict[str, list[Span]] = defaultdict(list)
        for span in _spans(pair.target.words, self.config.longest):
            places[span.text].append(span)
        for source in _spans(pair.source.words, self.config.longest):
            for translation in set(pair.dictionary.get(source.text, ())) & places.keys():
                if self.config.identical or translation != source.text:
                    yield from ((source, target) for target in places[translation])


def _spans(words: Sequence[str], longest: int) -> Iterator[Span]:
    """What an entry may be: every word, and every run of words that are written without spaces."""
    for start, word in enumerate(words):
        plain = bare(word)
        if plain:
            yield Span(start, start + 1, plain)
        for end in range(start + 2, min(start + longest, len(words)) + 1):
            run = words[start:end]
            # Words of such scripts are single characters.
            if len(run[-1]) > 1 or len(word) > 1 or words_of("".join(run)) != tuple(run):
                break
            yield Span(start, end, "".join(run).lower())


def bare(word: str) -> str:
    """The word as a dictionary has it: lower-cased, without punctuation and symbols at its ends."""
    inside = [i for i, c in enumerate(word) if unicodedata.category(c)[0] not in "PSZC"]
    return word[inside[0] : inside[-1] + 1].lower() if inside else ""


def _unambiguous(matches: Sequence[Match]) -> list[Match]:
    of_source = Counter(source for source, _ in matches)
    of_target = Counter(target for _, target in matches)
    return [(s, t) for s, t in matches if of_source[s] == of_target[t] == 1]


def _outermost(matches: Sequence[Match]) -> list[Match]:
    """Without the matches that lie inside a longer one, on either side."""
    return [
        match
        for match in matches
        if not any(_inside(match, other, 0) or _inside(match, other, 1) for other in matches)
    ]


def _inside(match: Match, other: Match, side: Literal[0, 1]) -> bool:
    inner, outer = match[side], other[side]
    longer = outer.end - outer.start > inner.end - inner.start
    return longer and outer.start <= inner.start and inner.end <= outer.end

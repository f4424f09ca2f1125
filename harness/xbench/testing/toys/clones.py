"""Two made-up languages for tests: the words of the second translate those of the first one by one.

Text comes as numbers of words and as token ids, made in memory from a seed. In the second language
neighbouring words change places. Every third word has two tokens, the others have one.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from xbench.api.batch import Vocabulary

BEGIN, PAD, END, UNKNOWN, MASK = range(5)
SPECIALS = (BEGIN, PAD, END, UNKNOWN, MASK)
WORDS = 12
# The tokens of each word of the first language; those of the second come after all of these.
_FIRST = len(SPECIALS)
_TOKENS: list[tuple[int, ...]] = []
for _word in range(WORDS):
    _start = _TOKENS[-1][-1] + 1 if _TOKENS else _FIRST
    _TOKENS.append((_start, _start + 1) if _word % 3 == 0 else (_start,))
_SHIFT = _TOKENS[-1][-1] + 1 - _FIRST
VOCABULARY = Vocabulary(_FIRST + 2 * _SHIFT, SPECIALS, PAD, MASK)

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sentence:
    """Words, as numbers from 0 to ``WORDS - 1``, in language 0 or 1."""

    words: tuple[int, ...]
    language: int

    @cached_property
    def _pieces(self) -> list[tuple[int, ...]]:
        shift = self.language * _SHIFT
        return [tuple(token + shift for token in _TOKENS[word]) for word in self.words]

    @property
    def ids(self) -> Integers:
        """[T] token ids, without specials."""
        return np.array([token for word in self._pieces for token in word], dtype=np.int64)

    @property
    def owners(self) -> Integers:
        """[T] which word each token belongs to."""
        sizes = [len(word) for word in self._pieces]
        return np.repeat(np.arange(len(sizes)), sizes).astype(np.int64)

    @property
    def spelt(self) -> tuple[str, ...]:
        """The words as strings, no two alike in the two languages."""
        return tuple(
            "abcdefghijklmnopqrstuvwxyz"[word] * 2 + "xy"[self.language] for word in self.words
        )


@dataclass(frozen=True)
class Pair:
    """A sentence, its translation, and which words of the two belong together."""

    source: Sentence
    target: Sentence
    links: tuple[tuple[int, int], ...]


def clone_pairs(count: int, seed: int = 0, shortest: int = 2, longest: int = 7) -> list[Pair]:
    """Random sentences with their translations; no word comes twice in a sentence."""
    stream = random.Random(seed)
    pairs = []
    for _ in range(count):
        words = tuple(stream.sample(range(WORDS), stream.randint(shortest, longest)))
        order = _neighbours_swapped(len(words))
        target = Sentence(tuple(words[place] for place in order), 1)
        links = tuple(sorted((place, at) for at, place in enumerate(order)))
        pairs.append(Pair(Sentence(words, 0), target, links))
    return pairs


def wrongly_paired(pairs: Sequence[Pair]) -> list[Pair]:
    """Every sentence with the translation of the next one. Links stay where their words are there."""
    partners = [pair.target for pair in [*pairs[1:], *pairs[:1]]]
    return [
        Pair(pair.source, other, tuple(link for link in pair.links if link[1] < len(other.words)))
        for pair, other in zip(pairs, partners, strict=True)
    ]


def _neighbours_swapped(count: int) -> list[int]:
    """1 0 3 2 4, for five."""
    order = list(range(count))
    for place in range(0, count - 1, 2):
        order[place : place + 2] = order[place + 1], order[place]
    return order


class CloneTokenizer:
    """XLM-R's input formats over the clones' vocabulary (what batches need of a tokenizer)."""

    vocabulary = VOCABULARY
    special_tokens_single = 2
    special_tokens_pair = 4
    content_start = 1

    def build_single(self, ids: Sequence[int]) -> list[int]:
        """``<s> ids </s>``."""
        return [BEGIN, *ids, END]

    def build_pair(
        self, first: Sequence[int], second: Sequence[int]
    ) -> tuple[list[int], list[int]]:
        """``<s> first </s></s> second </s>``, and token types, all 0."""
        ids = [BEGIN, *first, END, END, *second, END]
        return ids, [0] * len(ids)

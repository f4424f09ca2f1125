"""Sentence pairs for aligners, with states of our choice."""

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from xbench.api import WordPair, WordSide

Links = list[tuple[int, int]]


def side(states: Tensor, owner: Sequence[int] | None = None, words: int | None = None) -> WordSide:
    """A sentence of invented words; without ``owner`` every subword is a word."""
    owner = list(range(len(states))) if owner is None else list(owner)
    count = max(owner, default=-1) + 1 if words is None else words
    return WordSide(tuple(f"w{i}" for i in range(count)), states, torch.tensor(owner).long())


def pair_of(source: WordSide, target: WordSide) -> WordPair:
    return WordPair(source, target, {})


def text_pair(
    source: str,
    target: str,
    dictionary: Mapping[str, Collection[str]] | None = None,
    given: Links | None = None,
) -> WordPair:
    """A pair without states; words are parted by spaces."""
    sides = [
        WordSide(tuple(text.split()), torch.empty(0, 4), torch.empty(0).long())
        for text in (source, target)
    ]
    return WordPair(*sides, dictionary or {}, tuple(given or ()))


def random_pair(seed: int, n: int = 7, m: int = 9, width: int = 6, words: int = 4) -> WordPair:
    """Subwords with random states, of ``words`` words or fewer."""
    chance = torch.Generator().manual_seed(seed)
    sides = []
    for size in (n, m):
        owner = torch.randint(words, (size,), generator=chance).sort().values
        states = torch.randn(size, width, generator=chance, dtype=torch.float64)
        sides.append(side(states, owner.tolist(), words))
    return pair_of(*sides)


def as_lists(side: WordSide, unit: str) -> tuple[list[list[float]], list[int]]:
    """Vectors and words of the units, in plain Python."""
    if unit == "subword":
        return side.states.tolist(), side.owner.tolist()
    rows, owners = side.states.tolist(), side.owner.tolist()
    vectors, words = [], []
    for word in range(len(side.words)):
        own = [row for row, owner in zip(rows, owners, strict=True) if owner == word]
        if own:
            vectors.append([sum(column) / len(own) for column in zip(*own, strict=True)])
            words.append(word)
    return vectors, words


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    return dot(a, b) / (dot(a, a) * dot(b, b)) ** 0.5

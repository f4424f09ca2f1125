"""Random streams that are the same on every platform and every version of Python and numpy.

Only raw PCG64 output and blake2b digests are used: both are fixed by their definitions, unlike
``hash()`` or the distributions of ``numpy.random.Generator``.
"""

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate
from typing import TypeVar

from numpy.random import PCG64, SeedSequence

_BLOCK = 256

Item = TypeVar("Item")


def digest(label: str) -> int:
    """A 64-bit number that depends on ``label`` and nothing else."""
    return int.from_bytes(blake2b(label.encode(), digest_size=8).digest(), "big")


@lru_cache(maxsize=256)
def _zipf(size: int) -> tuple[float, ...]:
    """Cumulative probabilities of ranks 0 to size-1, in proportion to 1 / (rank + 1)."""
    sums = list(accumulate(1 / (rank + 1) for rank in range(size)))
    return tuple(value / sums[-1] for value in sums)


class Draws:
    """One named stream of random numbers: equal labels give equal draws."""

    def __init__(self, label: str) -> None:
        self._bits = PCG64(SeedSequence(digest(label)))
        self._block: list[int] = []

    def uniform(self) -> float:
        """A number in [0, 1) with 53 random bits."""
        if not self._block:
            self._block = self._bits.random_raw(_BLOCK).tolist()
        return (self._block.pop() >> 11) * 2.0**-53

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.uniform() < probability

    def pick(self, items: Sequence[Item]) -> Item:
        """One of ``items``, all equally likely."""
        return items[int(self.uniform() * len(items))]

    def pick_by_rank(self, items: Sequence[Item]) -> Item:
        """One of ``items``, the r-th in proportion to 1 / r (Zipf's law)."""
        place = bisect_right(_zipf(len(items)), self.uniform())
        return items[min(place, len(items) - 1)]

"""Which batches make up each of the disjoint parts that a gradient is taken over."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from xbench.api.source import MissingData
from xbench.nn.random_streams import permutation

Item = TypeVar("Item")


@dataclass(frozen=True)
class Parts(Generic[Item]):
    """Items in a random order that is the same each time, cut into ``parts`` sets of batches.

    ``size`` items make up a batch, and at most ``batches`` batches all parts together; ``name`` tells
    one random order from another.
    """

    items: Sequence[Item]
    parts: int
    size: int
    batches: int
    name: str

    def part(self, number: int) -> list[list[Item]]:
        """The batches of one part. Raises :class:`MissingData` where there are too few items."""
        each = self._each(number)
        return self._cut(self._order[number * each : (number + 1) * each])

    def unused(self, number: int) -> list[list[Item]]:
        """Batches that are in no part; where there are none, those of all parts but this one."""
        each = self._each(number)
        rest = self._order[self.parts * each :]
        others = self._order[: number * each] + self._order[(number + 1) * each : self.parts * each]
        return self._cut(rest if len(rest) > 1 else others)

    @cached_property
    def _order(self) -> list[int]:
        order: list[int] = permutation(len(self.items), "gradient", self.name).tolist()
        return order

    def _each(self, number: int) -> int:
        """How many items make up a part."""
        if not 0 <= number < self.parts:
            raise ValueError(f"part {number} of {self.parts}")
        count = min(self.batches, len(self.items) // self.size) // self.parts
        if count < 1:
            raise MissingData(
                f"{len(self.items)} items are too few for {self.parts} sets of batches of {self.size}"
            )
        return count * self.size

    def _cut(self, numbers: Sequence[int]) -> list[list[Item]]:
        return [
            [self.items[n] for n in numbers[start : start + self.size]]
            for start in range(0, len(numbers), self.size)
        ]

"""Cuts the file of one split into several, where a data set's other files are not at hand."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from xbench.api import MissingData

Shares = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Cut:
    """Which share of which file makes a split: ``{"dev": {"train": 0.6, "dev": 0.1, "test": 0.3}}``.

    A row's part depends on the name of the file and the row's number and on nothing else, so that
    parallel rows fall into the same part in every language. Shares are expected values: a part of
    n rows is off by about the root of n. What is left over is not used.

    Raises ``ValueError`` for shares that are no shares, and for a split that two files would make.
    """

    shares: Shares = field(default_factory=dict)

    def __post_init__(self) -> None:
        splits: list[str] = []
        for file, parts in self.shares.items():
            values = list(parts.values()) if isinstance(parts, Mapping) else []
            numbers = all(isinstance(v, (int, float)) and 0 < v <= 1 for v in values)
            if not values or not numbers or sum(values) > 1 + 1e-9:
                raise ValueError(
                    f"cut: {file} is to be cut into {parts!r}; give a share of it to each split, "
                    "as in {train: 0.6, dev: 0.1, test: 0.3}, not more than 1 in all"
                )
            splits += parts
        if twice := sorted({split for split in splits if splits.count(split) > 1}):
            raise ValueError(f"cut: {', '.join(twice)} would come from more than one file")

    def file_of(self, split: str) -> str:
        """The split whose file holds ``split``. Raises :class:`MissingData` where it was cut away."""
        for file, parts in self.shares.items():
            if split in parts:
                return file
        if split in self.shares:
            raise MissingData(
                f"the option cut makes {', '.join(self.shares[split])} of the {split} split and "
                f"leaves no {split}; give it a share too"
            )
        return split

    def part(self, file: str, group: int) -> str | None:
        """The split that a group of rows of ``file`` belongs to; None for what is not used."""
        digest = hashlib.sha256(f"{file}/{group}".encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        for split, share in self.shares[file].items():
            if place < share:
                return split
            place -= share
        return None

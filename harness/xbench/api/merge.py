"""A merge: several snapshots of one fine-tuning become one model."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor


class Merge:
    """Says which steps of a fine-tuning are kept, and combines their weights at its end.

    ``Config``, ``variants``, ``sources`` and ``version`` are as for an objective.
    """

    version: ClassVar[int] = 1
    variants: ClassVar[Mapping[str, Any]] = {}
    sources: ClassVar[Mapping[str, str]] = {}

    @dataclass(frozen=True)
    class Config:
        """No settings."""

    def __init__(self, config: Any = None) -> None:
        self.config: Any = config if config is not None else self.Config()

    def steps(self, steps: int) -> Sequence[int]:
        """After which of ``steps`` updates a snapshot is taken, counted from 1."""
        raise NotImplementedError

    def combine(self, snapshots: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The merged weights. Each snapshot has the same names and shapes; they are read one by one."""
        raise NotImplementedError

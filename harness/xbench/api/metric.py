"""A metric that keeps what each item contributes, so that statistics never need a re-run."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Metric:
    """Scores predictions in two steps: additive contributions per item, then one formula.

    An item is a sentence. ``items`` gives ``[n, k]`` contributions; their sum over any multiset of
    items, ``[..., k]``, goes through ``aggregate``. A bootstrap is then one call on resampled sums.
    """

    version: ClassVar[int] = 1
    higher_is_better: ClassVar[bool] = True

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)

    def items(self, gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> Floats:
        """``[n, k]`` float64: what each of the n items adds. Both arguments hold labels per item."""
        raise NotImplementedError

    def aggregate(self, sums: Floats) -> Floats:
        """``[..., k] -> [...]``: the value; NaN where it is undefined (no items)."""
        raise NotImplementedError

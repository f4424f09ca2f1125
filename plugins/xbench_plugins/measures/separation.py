"""How far translation pairs stand above all others: the error curve of a margin. N pairs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xbench.api.search import BUDGET, Search
from xbench_plugins.measures.measured import Measured, too_few

Floats = npt.NDArray[np.float64]


class Separation:
    """``epsilon(gamma) = P[s+ < s- + gamma]``, s+ a pair's cosine and s- a non-pair's.

    The probability is over all N pairs times all N (N - 1) non-pairs ``(u_i, v_j)``, i != j. An
    encoder is (epsilon, gamma)-strongly aligned where pairs win by gamma in a share of at least
    ``1 - epsilon`` of the comparisons: the reference study (arXiv 2603.18863), Appendix A. A tie
    at gamma 0 is no error there, so that ``epsilon(0) = 1 - U / (N^2 (N - 1))`` without ties, with U
    the Mann-Whitney statistic.

    Where cosines of all non-pairs do not fit into ``budget`` bytes, those of a fixed random sample
    of queries stand for them, and ``note`` says so. Of fewer than 2 pairs there is no non-pair, and
    everything is undefined.
    """

    def __init__(self, first_ND: Tensor, second_ND: Tensor, budget: int = BUDGET) -> None:
        count = self._count = len(first_ND)
        self._positive: Floats = np.empty(0)
        self._negative: npt.NDArray[np.floating[Any]] = np.empty(0)
        self.note = ""
        if count < 2:
            return
        fitting = max(1, budget // (count * first_ND.element_size()))
        queries_q = torch.arange(count)
        if fitting < count:
            chance = torch.Generator().manual_seed(0)
            queries_q = torch.randperm(count, generator=chance)[:fitting].sort().values
            self.note = f"against the non-pairs of {fitting} of {count} sentences"
        positive, negative = [], []
        for start, block in Search(budget=budget).blocks(first_ND[queries_q], second_ND):
            own = queries_q[start : start + len(block), None]
            others = torch.ones_like(block, dtype=torch.bool).scatter_(1, own, False)
            negative.append(block[others].numpy())
            positive.append(block.gather(1, own)[:, 0].numpy())
        if fitting < count:
            positive = [_own_cosines(first_ND, second_ND)]
        self._positive = np.concatenate(positive).astype(np.float64)
        self._negative = np.sort(np.concatenate(negative))

    def epsilon(self, gamma: float) -> float:
        """The share of comparisons that pairs lose, or win by less than ``gamma``.

        Raises ``ValueError`` where there are none.
        """
        if not self._comparisons:
            raise ValueError("there are no pairs and non-pairs to compare")
        return self._losses(gamma) / self._comparisons

    def curve(self, gammas: Sequence[float]) -> list[Measured]:
        """``epsilon`` at each of ``gammas``."""
        if not self._comparisons:
            return [self._undefined for _ in gammas]
        return [Measured(self.epsilon(gamma), reason=self.note) for gamma in gammas]

    def gamma(self, epsilon: float) -> Measured:
        """gamma*: the largest margin at which ``epsilon(gamma) <= epsilon``, to 1e-9.

        Negative where pairs do not even win outright in a share of ``1 - epsilon``.
        """
        if not self._comparisons:
            return self._undefined
        allowed = epsilon * self._comparisons
        low, high = -2.5, 2.5  # differences of cosines lie between -2 and 2
        while high - low > 1e-9:
            middle = (low + high) / 2
            low, high = (middle, high) if self._losses(middle) <= allowed else (low, middle)
        return Measured(low, reason=self.note)

    @property
    def _undefined(self) -> Measured:
        return too_few(["separation"], self._count, 2)["separation"]

    @property
    def _comparisons(self) -> int:
        return len(self._positive) * len(self._negative)

    def _losses(self, gamma: float) -> int:
        """How many (s+, s-) have ``s- > s+ - gamma``."""
        limits = self._positive - gamma
        if self._negative.dtype == np.float32:
            below = np.searchsorted(self._negative, _not_above(limits), side="right")
        else:
            below = np.searchsorted(self._negative, limits, side="right")
        return int(len(self._negative) * len(limits) - below.sum())


def _not_above(limits: Floats) -> npt.NDArray[np.float32]:
    """Each limit's nearest float32 that is not above it: comparisons stay exact, nothing is copied."""
    rounded = limits.astype(np.float32)
    above = rounded > limits
    rounded[above] = np.nextafter(rounded[above], np.float32(-np.inf))
    return rounded


def _own_cosines(first_ND: Tensor, second_ND: Tensor) -> Floats:
    unit = [torch.nn.functional.normalize(side.double(), dim=1) for side in (first_ND, second_ND)]
    found: Floats = (unit[0] * unit[1]).sum(1).numpy()
    return found

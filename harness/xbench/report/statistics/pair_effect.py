"""Means over pairs of languages: those that share one are alike, and no independent values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xbench.api.claim import Effect
from xbench.report.statistics.inference import group_effect, mean_effect

Floats = NDArray[np.float64]

UNIT = "pairs of languages"
TEST = "t of a model with random languages"
FEWEST_LANGUAGES = 5
"""Below it nothing is known of how languages vary."""
_SINGULAR = 1e8


def pair_effect(first: Mapping[str, float], second: Mapping[str, float] | None = None) -> Effect:
    """The mean over pairs (``deu-eng`` -> value), or that of ``first`` less that of ``second``.

    The model is ``y_ij = m + a_i + a_j + e_ij``: languages i and j add something of their own to
    every pair that they are in. The variances of a and e are estimated by the method of moments,
    from the products of residuals of pairs that share a language and the squares of all; the
    freedom of the mean's error is Satterthwaite's (1946), and 1 at the least. The error is never
    less than that of independent pairs. A language that is in every pair is a part of the question,
    not a sample.

    On the reference study's 26 pairs of 14 languages a test at 5 % is falsely positive in 2 to 5 %
    of simulated studies, whatever share of the variance languages have, where Student's t over
    pairs is in up to 34 % and Welch's in up to 16 %. Raises ``ValueError`` for values that are not
    finite.
    """
    groups = [first] if second is None else [first, second]
    plain = _independent(*(list(group.values()) for group in groups))
    if plain.error is None or plain.value is None:
        return plain
    design = _Design.of([list(group) for group in groups])
    if not design.shares:
        return plain
    languages = design.members.shape[1]
    if languages < FEWEST_LANGUAGES:
        reason = f"no test over pairs of fewer than {FEWEST_LANGUAGES} languages"
        return Effect(plain.value, n=plain.n, unit=UNIT, reason=reason)
    found = design.error(np.array([v for group in groups for v in group.values()]))
    if found is None:
        reason = "these pairs do not tell the languages' share of the variance from the rest"
        return Effect(plain.value, n=plain.n, unit=UNIT, reason=reason)
    error, freedom = found
    return replace(plain, error=error, freedom=freedom, test=TEST)


def _independent(first: Sequence[float], second: Sequence[float] | None = None) -> Effect:
    return mean_effect(first, UNIT) if second is None else group_effect(first, second, UNIT)


@dataclass(frozen=True)
class _Design:
    """Which languages N pairs have, and which of one or two means each belongs to.

    ``members`` [N, L] is 1 where a language is in a pair, ``weights`` [N] make the contrast of means,
    ``residuals`` [N, N] take the means away.
    """

    members: Floats
    weights: Floats
    residuals: Floats
    means: int

    @classmethod
    def of(cls, groups: Sequence[Sequence[str]]) -> "_Design":
        pairs = [pair.split("-") for group in groups for pair in group]
        codes = sorted({code for pair in pairs for code in pair})
        members = np.array([[float(code in pair) for code in codes] for pair in pairs])
        members = members[:, members.mean(0) < 1]  # what is in every pair varies nothing
        sides = np.repeat(np.eye(len(groups)), [len(group) for group in groups], axis=0)
        averages = sides / sides.sum(0)
        weights = averages @ np.array([1.0, -1.0][: len(groups)])
        return cls(members, weights, np.eye(len(pairs)) - averages @ sides.T, len(groups))

    @property
    def shares(self) -> bool:
        """Whether any two pairs have a language in common."""
        return bool((self.members.sum(0) > 1).any())

    def error(self, values: Floats) -> tuple[float, float] | None:
        """(standard error, degrees of freedom); None where the variances cannot be told apart."""
        taken, common = self.residuals, self.members @ self.members.T
        others = (common > 0).astype(float) - np.eye(len(common))
        products = taken @ others @ taken
        left = taken @ values
        moments = np.array(
            [
                [_trace(taken, common), np.trace(taken)],
                [_trace(products, common), np.trace(products)],
            ]
        )
        if np.linalg.cond(moments) > _SINGULAR:
            return None
        of_language, of_pair = np.linalg.solve(moments, [left @ left, left @ others @ left])
        spread = np.array([self.weights @ common @ self.weights, self.weights @ self.weights])
        independent = float(left @ left) / (len(values) - self.means) * spread[1]
        if of_language <= 0:  # pairs that share a language are no more alike than others
            return float(np.sqrt(independent)), float(len(values) - self.means)
        if of_pair > 0:
            scale = spread @ np.linalg.inv(moments)
            form = scale[0] * taken + scale[1] * products
        else:
            of_pair, of_language = 0.0, float(left @ left) / _trace(taken, common)
            form = spread[0] / _trace(taken, common) * taken
        variance = of_language * spread[0] + of_pair * spread[1]
        noise = form @ (of_language * common + of_pair * np.eye(len(common)))
        freedom = float(np.trace(noise) ** 2 / _trace(noise, noise))
        # Few pairs may leave a fraction of a degree, which no test is defined for in earnest.
        return float(np.sqrt(max(variance, independent))), max(1.0, freedom)


def _trace(first: Floats, second: Floats) -> float:
    """The trace of a product."""
    return float((first * second.T).sum())

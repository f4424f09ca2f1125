"""How alike two gradients are, from disjoint parts of the data, one group of parameters at a time.

A gradient is a mapping of parameters' names to tensors. Sums of products are taken parameter by
parameter in float64, a block at a time; no gradient is ever flattened into one vector.

Near-zero cosines are what noise alone gives in many dimensions. Parts of the data that do not
overlap tell noise from signal: the inner product of the gradients of two parts has the squared
length of the noiseless gradient as its expected value.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from torch import Tensor

Gradient = Mapping[str, Tensor]
BLOCK = 1 << 20
"""Elements that are made float64 at a time: 8 MiB for each of two tensors."""

IMPLAUSIBLE = 1.5
"""A corrected cosine beyond it is flagged: no cosine is, and a good estimate is not so far off."""


class Value(NamedTuple):
    """A measured value, which a reason flags, or None and the reason why it is undefined."""

    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class Mean:
    """The mean of the gradients of P disjoint parts, P >= 2, and what its noise is known by.

    ``total`` is the sum of the parts; ``squares`` has each part's squared length, ``products`` the
    sum of the inner products of two different parts, both by parameter.
    """

    parts: int
    total: Mapping[str, Tensor]
    squares: Mapping[str, tuple[float, ...]]
    products: Mapping[str, float]


@dataclass(frozen=True)
class Length:
    """The length of a mean gradient over a group of parameters.

    ``square`` is the squared length of the mean of all parts, noise included; ``signal`` is the
    mean inner product of two different parts, whose expected value is the squared length of the
    noiseless gradient; it may be negative. ``ceiling`` is the cosine of different parts.
    """

    square: float
    signal: float
    ceiling: float | None

    @property
    def norm(self) -> float:
        """Length of the mean gradient."""
        return math.sqrt(max(self.square, 0.0)) if math.isfinite(self.square) else self.square


@dataclass(frozen=True)
class Comparison:
    """Two mean gradients over a group of parameters: their lengths and their inner product.

    ``inner`` is unbiased where the parts of the first and of the second gradient are disjoint.
    """

    first: Length
    second: Length
    inner: float


def dot(first: Tensor, second: Tensor) -> float:
    """Sum of the products of two tensors of one shape, in float64.

    Raises ``ValueError`` where the shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"shapes {tuple(first.shape)} and {tuple(second.shape)} differ")
    one, other = first.detach().reshape(-1), second.detach().reshape(-1)
    blocks = [slice(start, start + BLOCK) for start in range(0, one.numel(), BLOCK)]
    return sum((float(one[block].double() @ other[block].double()) for block in blocks), 0.0)


def mean_gradient(parts: Iterable[Gradient]) -> Mean:
    """The mean over parts, which are asked for one after the other and not kept.

    Holds a sum and one part: two copies of the gradient. The parts are left as they are; a
    parameter that a part does not name has the gradient zero there. Raises ``ValueError`` for
    fewer than two parts.
    """
    total: dict[str, Tensor] = {}
    squares: dict[str, tuple[float, ...]] = {}
    products: dict[str, float] = {}
    count = 0
    for part in parts:
        for name in part:
            own = dot(part[name], part[name])
            squares[name] = (*squares.get(name, (0.0,) * count), own)
            if name in total:
                products[name] += dot(total[name], part[name])
                total[name] += part[name].detach()
            else:
                products[name] = 0.0
                total[name] = part[name].detach().clone()
        squares |= {name: (*found, 0.0) for name, found in squares.items() if name not in part}
        count += 1
        del part  # else it would live on while the next one is made
    if count < 2:
        raise ValueError(f"noise is known from two disjoint parts on, got {count}")
    return Mean(count, total, squares, products)


def inner_products(first: Mean, second: Mean) -> dict[str, float]:
    """Parameter that both have -> inner product of two mean gradients.

    It is the mean of the inner products of every part of one with every part of the other. Raises
    ``ValueError`` where they have no parameter in common.
    """
    shared = [name for name in first.total if name in second.total]
    if not shared:
        raise ValueError("the two gradients are of different parameters")
    scale = first.parts * second.parts
    return {name: dot(first.total[name], second.total[name]) / scale for name in shared}


def compare(
    first: Mean, second: Mean, inner: Mapping[str, float], names: Collection[str]
) -> Comparison:
    """Two gradients over the parameters called ``names``, with :func:`inner_products` of both."""
    total = sum((inner.get(name, 0.0) for name in names), 0.0)
    return Comparison(length(first, names), length(second, names), total)


def length(mean: Mean, names: Collection[str]) -> Length:
    """The length of a mean gradient over the parameters called ``names``.

    With g_p the gradient of part p of P: the square is ``|sum_p g_p / P|^2``, the signal
    ``sum_(p<q) <g_p, g_q> / (P (P - 1) / 2)``, the ceiling ``sum_(p<q) <g_p, g_q> / sum_(p<q)
    |g_p| |g_q|``: for two parts their cosine.
    """
    own = [name for name in names if name in mean.squares]
    squares = [sum(mean.squares[name][part] for name in own) for part in range(mean.parts)]
    products = sum(mean.products[name] for name in own)
    square = (sum(squares) + 2 * products) / mean.parts**2
    pairs = [math.sqrt(one * other) for one, other in combinations(squares, 2)]
    ceiling = products / sum(pairs) if sum(pairs) > 0 else None
    return Length(square, products / len(pairs), ceiling)


def cosine(pair: Comparison) -> Value:
    """``<g, h> / (|g| |h|)``."""
    return _defined(pair) or Value(pair.inner / (pair.first.norm * pair.second.norm))


def corrected_cosine(pair: Comparison) -> Value:
    """The cosine that gradients without noise would have.

    With g_p and h_q the gradients of disjoint parts: the mean of ``<g_p, h_q>`` over all p and q,
    over the geometric mean of the mean ``<g_p, g_p'>`` and the mean ``<h_q, h_q'>`` of different
    parts. Numerator and both parts of the denominator are unbiased, their ratio is not: at low signal
    it is too large. Of two gradients that are equal, of 400 parameters in 4 parts each, it is 1.00 in
    the mean where the ceiling is .2, 1.05 at .08 and 1.2 at .05; more parameters make it less. An
    estimate far beyond 1 is flagged. Undefined where one of the latter is not
    positive: the data do not tell that gradient from noise. This is the correction for attenuation
    of Spearman 1904.
    """
    undefined = _defined(pair)
    if undefined:
        return undefined
    for which, each in (("first", pair.first), ("second", pair.second)):
        if each.signal <= 0:
            return Value(
                None,
                f"the {which} gradient cannot be told from noise: those of disjoint parts do not "
                f"agree; take more batches",
            )
    value = pair.inner / math.sqrt(pair.first.signal * pair.second.signal)
    note = "far beyond 1: too noisy to read; take more batches" if abs(value) > IMPLAUSIBLE else ""
    return Value(value, note)


def ratio(pair: Comparison) -> Value:
    """``|h| / |g|``: how much longer the second gradient is."""
    return _defined(pair, second=False) or Value(pair.second.norm / pair.first.norm)


def similarity(pair: Comparison) -> Value:
    """``2 |g| |h| / (|g|^2 + |h|^2)``: 1 for equal lengths (Yu et al. 2020, PCGrad, definition 2)."""
    undefined = _defined(pair, first=False, second=False)
    if undefined:
        return undefined
    both = pair.first.square + pair.second.square
    if both <= 0:
        return Value(None, "both gradients are zero")
    return Value(2 * pair.first.norm * pair.second.norm / both)


def interference(pair: Comparison) -> Value:
    """``<g, h> / |h|``: what a step of length 1 down the second gradient takes off the first loss.

    To first order; negative where such a step raises the first loss.
    """
    return _defined(pair, first=False) or Value(pair.inner / pair.second.norm)


def norm(one: Length) -> Value:
    """Length of a mean gradient, of which noise is a part."""
    if not math.isfinite(one.square):
        return Value(None, "the gradient is not finite")
    return Value(one.norm)


def ceiling(one: Length) -> Value:
    """Cosine of a gradient with itself on other data: what noise leaves of a cosine of 1."""
    if not math.isfinite(one.square):
        return Value(None, "the gradient is not finite")
    return Value(one.ceiling, "" if one.ceiling is not None else "the gradient is zero")


def conflict_rate(cosines: Iterable[Value]) -> tuple[Value, int]:
    """Share of the defined cosines that are negative, and how many are defined."""
    defined = [found.value for found in cosines if found.value is not None]
    if not defined:
        return Value(None, "no layer has a defined cosine"), 0
    return Value(sum(value < 0 for value in defined) / len(defined)), len(defined)


def _defined(pair: Comparison, first: bool = True, second: bool = True) -> Value | None:
    """Why there is no value; ``first`` and ``second`` say which may not be zero. None: there is one."""
    if not all(math.isfinite(x) for x in (pair.inner, pair.first.square, pair.second.square)):
        return Value(None, "a gradient is not finite")
    for which, each, needed in (("first", pair.first, first), ("second", pair.second, second)):
        if needed and each.norm == 0:
            return Value(None, f"the {which} gradient is zero")
    return None

"""What a measure gives, and which vectors a measure can be taken of."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

_SAME = 1e-5  # of the unit length; the same text encoded in two batches differs by less in float32


@dataclass(frozen=True)
class Measured:
    """A number; what each item contributed, with the number as their mean; what to know about it.

    ``value`` is None where the measure is undefined, and ``reason`` says why; a reason beside a value
    flags it. ``n`` overrides the number of items that the value is of.
    """

    value: float | None
    items: Tensor | None = None
    reason: str = ""
    n: int | None = None

    def flagged(self, note: str) -> "Measured":
        """The same with a further reason; an empty note changes nothing."""
        return replace(self, reason="; ".join(part for part in (self.reason, note) if part))


Named = Mapping[str, Measured]


def mean_of(items_N: Tensor) -> Measured:
    """The mean of [N] items, in float64; undefined without any, or where it is not finite."""
    if not len(items_N):
        return undefined("there is nothing to take a mean of")
    mean = number(items_N.double().mean())
    return mean if mean.value is None else replace(mean, items=items_N)


def number(value: float | Tensor, reason: str = "") -> Measured:
    """A number without items; undefined where it is not finite."""
    value = float(value)
    if math.isfinite(value):
        return Measured(value, reason=reason)
    return undefined(reason or "the sums that it is made of leave the range of numbers")


def ratio(above: float | Tensor, below: float | Tensor, reason: str) -> Measured:
    """``above / below``; undefined, for ``reason``, where ``below`` is not positive."""
    above, below = float(above), float(below)
    return number(above / below) if below > 0 else undefined(reason)


def too_few(names: Iterable[str], count: int, least: int) -> Named:
    """Every one of ``names`` undefined: of ``count`` vectors or pairs, where it takes ``least``."""
    reason = f"it takes {least} sentences or words, and there are {count}"
    return dict.fromkeys(names, undefined(reason))


def undefined(reason: str) -> Measured:
    """No number, and why."""
    return Measured(None, reason=reason)


def usable(vectors_ND: Tensor, name: str, least: int = 2) -> tuple[Tensor, str]:
    """([n, D] the vectors that are not zero, a note on those left out).

    Raises ``ValueError``, naming ``name``, where nothing can be measured: the vectors are not
    finite, all zero, all of one direction, or fewer than ``least``.
    """
    if vectors_ND.dim() != 2:
        raise ValueError(f"{name}: expected vectors [N, D], the shape is {list(vectors_ND.shape)}")
    (kept_nD,), note = _usable((vectors_ND,), (name,), least)
    return kept_nD, note


def usable_pairs(
    first_ND: Tensor, second_ND: Tensor, names: tuple[str, str], least: int = 2
) -> tuple[Tensor, Tensor, str]:
    """The pairs of which no side is zero, and a note on those left out.

    Raises ``ValueError`` as ``usable`` does for either side, and where rows do not pair up.
    """
    if first_ND.dim() != 2 or first_ND.shape != second_ND.shape:
        raise ValueError(
            f"{'-'.join(names)}: row i of both sides is a pair, but the shapes are "
            f"{list(first_ND.shape)} and {list(second_ND.shape)}"
        )
    (first_nD, second_nD), note = _usable((first_ND, second_ND), names, least)
    return first_nD, second_nD, note


def _usable(
    sides: tuple[Tensor, ...], names: tuple[str, ...], least: int
) -> tuple[list[Tensor], str]:
    count = len(sides[0])
    for side, name in zip(sides, names, strict=True):
        spoilt = int((~torch.isfinite(side)).any(dim=1).sum())
        if spoilt:
            raise ValueError(
                f"{spoilt} of {count} vectors of {name} are not finite: the encoder has diverged or "
                f"its file is damaged, or half precision overflows"
            )
        if count and not bool(side.any()):
            raise ValueError(f"all vectors of {name} are zero")
    there_N = torch.stack([side.any(dim=1) for side in sides]).all(0)
    kept, left = [side[there_N] for side in sides], int(there_N.sum())
    if left < least:
        raise ValueError(f"{'-'.join(names)}: {left} vectors, and the measure needs {least}")
    for side, name in zip(kept, names, strict=True):
        directions_nD = F.normalize(side, dim=1)
        if left > 1 and float((directions_nD - directions_nD[0]).norm(dim=1).max()) <= _SAME:
            raise ValueError(
                f"all vectors of {name} have the same direction: the encoder tells nothing apart"
            )
    note = f"{count - left} of {count} left out: the vector is zero" if left < count else ""
    return kept, note

"""Cosines of translation pairs against those of all other pairs. N pairs, D dimensions."""

import torch.nn.functional as F
from torch import Tensor

from xbench_plugins.measures.measured import (
    Measured,
    Named,
    mean_of,
    number,
    ratio,
    too_few,
    undefined,
)

_ROUNDING = 1e-7  # the root of what rounding leaves of a variance of cosines
NORMALISED = (
    "random_cosine",
    "random_cosine_sd",
    "cosine_difference",
    "cosine_ratio",
    "cosine_z",
)


def unit(vectors_ND: Tensor) -> Tensor:
    """[N, D] float64, each of length one."""
    return F.normalize(vectors_ND.double(), dim=1)


def pair_cosines(first_ND: Tensor, second_ND: Tensor) -> Tensor:
    """[N] float64 cosines of row i with row i.

    As ``1 - |u - v|^2 / 2`` of the unit vectors u and v, which is exactly 1 where they are equal.
    """
    return 1 - (unit(first_ND) - unit(second_ND)).square().sum(1) / 2


def mean_cosine(first_ND: Tensor, second_ND: Tensor) -> Measured:
    """``1/N sum_i cos(u_i, v_i)``: the mean cosine of the pairs (the reference study's Table 2)."""
    return mean_of(pair_cosines(first_ND, second_ND))


def normalised_cosines(first_ND: Tensor, second_ND: Tensor) -> Named:
    """The pairs' mean cosine set against the N (N - 1) pairs that are no translations.

    With ``c`` the mean over pairs, and ``r`` and ``s`` the mean and standard deviation (divided by
    its number of cases) of ``cos(u_i, v_j)`` over all i != j: the difference ``c - r``, the ratio
    ``c / r`` (undefined where r is not positive) and ``z = (c - r) / s``. All non-pairs count,
    through sums: no matrix of N x N is made. Items of the difference are
    ``cos(u_i, v_i) - mean_{j != i} cos(u_i, v_j)``.

    Source: Haemmerl et al. 2024, *Understanding Cross-Lingual Alignment* (arXiv 2404.06228), which
    asks for normalisation by the average cosine. One pair alone has no non-pairs: undefined.
    """
    if len(first_ND) < 2:
        return too_few(NORMALISED, len(first_ND), 2)
    u_ND, v_ND = unit(first_ND), unit(second_ND)
    own_N = (u_ND * v_ND).sum(1)
    others_N = (u_ND @ v_ND.sum(0) - own_N) / (len(u_ND) - 1)
    mean = others_N.mean()
    # sum_ij cos^2 = sum over the two D x D matrices of second moments; minus the pairs themselves
    squares = (u_ND.T @ u_ND * (v_ND.T @ v_ND)).sum() - own_N.square().sum()
    deviation = (squares / (len(u_ND) * (len(u_ND) - 1)) - mean.square()).clamp(min=0).sqrt()
    difference = mean_of(own_N - others_N)
    flat = "cosines of random pairs do not vary"
    values = (
        number(mean),
        number(deviation),
        difference,
        ratio(own_N.mean(), mean, "the mean cosine of random pairs is not positive"),
        number((own_N - others_N).mean() / deviation)
        if float(deviation) > _ROUNDING
        else undefined(flat),
    )
    return dict(zip(NORMALISED, values, strict=True))


def random_cosines(first_ND: Tensor, second_ND: Tensor) -> Tensor:
    """[N] float64: the mean cosine of row i with all rows but i of the other side.

    Raises ``ValueError`` where there is no other row.
    """
    if len(first_ND) < 2:
        raise ValueError(f"a random pair takes 2 rows, and there are {len(first_ND)}")
    u_ND, v_ND = unit(first_ND), unit(second_ND)
    found_N: Tensor = (u_ND @ v_ND.sum(0) - (u_ND * v_ND).sum(1)) / (len(u_ND) - 1)
    return found_N


def anisotropy(vectors_ND: Tensor) -> Measured:
    """The mean cosine of two different vectors, over all N (N - 1) of them; undefined for one.

    Source: Ethayarajh 2019, *How Contextual are Contextualized Word Representations?* (arXiv
    1909.00512), there from a sample.
    """
    if len(vectors_ND) < 2:
        return too_few(["anisotropy"], len(vectors_ND), 2)["anisotropy"]
    return mean_of(random_cosines(vectors_ND, vectors_ND))

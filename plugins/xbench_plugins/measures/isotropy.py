"""How evenly vectors fill their space. N vectors, D dimensions."""

import torch
from torch import Tensor

from xbench_plugins.measures.measured import Measured, number, too_few, undefined

_ENOUGH = 10  # vectors for each dimension, below which IsoScore is flagged


def isoscore(vectors_ND: Tensor) -> Measured:
    """IsoScore: 1 where variance is the same in every direction, 0 where it is all in one.

    With lambda the D eigenvalues of the covariance, ``l = sqrt(D) lambda / |lambda|``,
    ``d = |l - 1| / sqrt(2 (D - sqrt(D)))`` and ``phi = (D - d^2 (D - sqrt(D)))^2 / D^2`` the score
    is ``(D phi - 1) / (D - 1)``. This equals ``(t - 1) / (D - 1)`` with
    ``t = (sum lambda)^2 / sum lambda^2``, the participation ratio, which needs no eigenvalues.

    Few vectors lower it: of N from an isotropic cloud t is about ``D / (1 + D / N)``. With fewer
    than 10 per dimension the value is flagged, with what such a cloud would score.

    Source: Rudman et al. 2022, *IsoScore: Measuring the Uniformity of Embedding Space Utilization*
    (arXiv 2108.07344), Algorithm 1.
    """
    count, width = vectors_ND.shape
    if count < 2:
        return too_few(["isoscore"], count, 2)["isoscore"]
    if width < 2:
        return undefined("one dimension has no directions to compare")
    centred_ND = vectors_ND.double() - vectors_ND.double().mean(0)
    covariance_DD = centred_ND.T @ centred_ND
    squares = covariance_DD.square().sum()
    if not float(squares) > 0:
        return undefined("the vectors do not vary")
    taking_part = float(covariance_DD.trace().square() / squares)
    note = ""
    if count < _ENOUGH * width:
        cloud = (width / (1 + width / count) - 1) / (width - 1)
        note = (
            f"{count} vectors of {width} dimensions: isotropic ones would score about {cloud:.2f}"
        )
    return number((taking_part - 1) / (width - 1), note)


def partition_ratio(vectors_ND: Tensor) -> Measured:
    """``min_c Z(c) / max_c Z(c)`` with ``Z(c) = sum_i exp(c . x_i)``: 1 where isotropic, towards 0.

    c are the eigenvectors of ``X^T X``, each in both directions, since an eigenvector's sign is
    nobody's choice. Sums are taken in the logarithm; a ratio below the least float64 is 0. It
    depends on the length of the vectors, which are taken as they are. Undefined for fewer than 2.

    Source: Mu & Viswanath 2018, *All-but-the-Top* (arXiv 1702.01417), equation 5.
    """
    if len(vectors_ND) < 2:
        return too_few(["ratio"], len(vectors_ND), 2)["ratio"]
    vectors_ND = vectors_ND.double()
    _, directions_DC = torch.linalg.eigh(vectors_ND.T @ vectors_ND)
    along_NC = vectors_ND @ directions_DC
    logarithms = torch.cat([along_NC.logsumexp(0), (-along_NC).logsumexp(0)])
    return number((logarithms.min() - logarithms.max()).exp())

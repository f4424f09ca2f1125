"""How alike two languages' spaces are, from sentences that say the same. N pairs, D dimensions.

All are sums over the N x N similarities within each language, written so that only D x D matrices
are made.
"""

import torch
from torch import Tensor

from xbench_plugins.measures.cosines import unit
from xbench_plugins.measures.measured import Measured, Named, number, ratio, too_few, undefined

SIMILARITIES = ("cka", "cka_debiased", "rsim", "anc", "centroid_distance", "centroid_gap")
_CONSTANT = 1e-7  # relative spread below which a dimension counts as constant
_NO_SPREAD = "a language's vectors do not vary"


def similarities(first_ND: Tensor, second_ND: Tensor) -> Named:
    """All of ``SIMILARITIES``."""
    plain, debiased = cka(first_ND, second_ND)
    correlation = average_neuron_correlation(first_ND, second_ND)
    gap = centroids(first_ND, second_ND)
    values = plain, debiased, rsim(first_ND, second_ND), correlation, *gap
    return dict(zip(SIMILARITIES, values, strict=True))


def cka(first_ND: Tensor, second_ND: Tensor) -> tuple[Measured, Measured]:
    """(linear CKA, its debiased form) of two languages, dimension by dimension centred X and Y.

    ``|Y^T X|_F^2 / (|X^T X|_F |Y^T Y|_F)`` is near 1 for any X and Y of fewer rows than columns;
    with N < 10 D it is flagged; of 2 sentences it is 1 whatever they are, and undefined. The debiased
    form puts the unbiased estimator

        ``HSIC_1(K, L) = [tr(K L) + (1'K1)(1'L1) / ((N - 1)(N - 2)) - 2 / (N - 2) 1'K L 1]``

    (K and L the N x N inner products, their diagonals set to zero; a factor of N cancels) into
    ``HSIC_1(K, L) / sqrt(HSIC_1(K, K) HSIC_1(L, L))``. It needs 4 sentences, may be negative, and is
    undefined where a factor under the root is not positive.

    Sources: Kornblith et al. 2019 (arXiv 1905.00414), section 3; Song et al. 2012, *Feature Selection
    via Dependence Maximization* (JMLR 13), equation 5; Nguyen et al. 2021 (arXiv 2010.15327).
    """
    if len(first_ND) < 3:
        nothing = too_few(("cka", "cka_debiased"), len(first_ND), 3)
        return nothing["cka"], nothing["cka_debiased"]
    x_ND, y_ND = (side.double() - side.double().mean(0) for side in (first_ND, second_ND))
    shared, own_x, own_y = (_product(*both) for both in ((x_ND, y_ND), (x_ND, x_ND), (y_ND, y_ND)))
    count, width = x_ND.shape
    plain = ratio(shared, (own_x * own_y).sqrt(), _NO_SPREAD)
    if count < 10 * width:
        plain = plain.flagged(f"{count} sentences of {width} dimensions: biased upwards")
    if count < 4:
        return plain, undefined(f"{count} sentences, and the estimator needs 4")
    hsic_x, hsic_y = _unbiased(x_ND, x_ND, own_x), _unbiased(y_ND, y_ND, own_y)
    if not min(float(hsic_x), float(hsic_y)) > 0:
        return plain, undefined(
            "a language's own HSIC is estimated as not positive: too few sentences"
        )
    return plain, number(_unbiased(x_ND, y_ND, shared) / (hsic_x * hsic_y).sqrt())


def _product(x_ND: Tensor, y_ND: Tensor) -> Tensor:
    """``tr(K L) = |X^T Y|_F^2`` of the inner products with their diagonals."""
    return (x_ND.T @ y_ND).square().sum()


def _unbiased(x_ND: Tensor, y_ND: Tensor, product: Tensor) -> Tensor:
    """``HSIC_1`` times ``N (N - 3)``, of the inner products without their diagonals."""
    count = len(x_ND)
    k_N, l_N = x_ND.square().sum(1), y_ND.square().sum(1)
    rows_k_N, rows_l_N = x_ND @ x_ND.sum(0) - k_N, y_ND @ y_ND.sum(0) - l_N
    whole = rows_k_N.sum() * rows_l_N.sum() / ((count - 1) * (count - 2))
    return product - (k_N * l_N).sum() + whole - 2 / (count - 2) * (rows_k_N * rows_l_N).sum()


def rsim(first_ND: Tensor, second_ND: Tensor) -> Measured:
    """Pearson correlation of ``cos(u_i, u_j)`` and ``cos(v_i, v_j)`` over all i < j.

    The vectors are made unit length, centred, and made unit length again. Needs 3 sentences.
    Source: Vulic et al. 2020, *Are All Good Word Vector Spaces Isomorphic?* (arXiv 2004.04070),
    section 3, there of word vectors.
    """
    count = len(first_ND)
    if count < 3:
        return undefined(f"{count} sentences have one similarity, and a correlation needs 3")
    sides = [unit(side) - unit(side).mean(0) for side in (first_ND, second_ND)]
    lengths_2N = torch.stack([side.norm(dim=1) for side in sides])
    if float(lengths_2N.min()) < _CONSTANT:
        return undefined("a language's vectors differ in length only")
    x_ND, y_ND = (unit(side) for side in sides)
    off = count * (count - 1)
    mean_x, mean_y = ((side.sum(0).square().sum() - count) / off for side in (x_ND, y_ND))
    shared = (_product(x_ND, y_ND) - count) / off - mean_x * mean_y
    own_x = (_product(x_ND, x_ND) - count) / off - mean_x.square()
    own_y = (_product(y_ND, y_ND) - count) / off - mean_y.square()
    if min(float(own_x), float(own_y)) < _CONSTANT**2:
        return undefined("the similarities within a language are all equal")
    return number(shared / (own_x * own_y).sqrt())


def average_neuron_correlation(first_ND: Tensor, second_ND: Tensor) -> Measured:
    """ANC: ``1/D sum_d |corr(u_d, v_d)|`` over the parallel sentences.

    Dimensions that are constant in a language are left out and counted. Two sentences correlate
    perfectly in any dimension: it needs 3. Source: Del & Fishel 2022, *Cross-lingual Similarity of
    Multilingual Representations Revisited* (arXiv 2212.01924).
    """
    count, width = first_ND.shape
    if count < 3:
        return undefined(f"{count} sentences correlate perfectly whatever they are")
    x_ND, y_ND = (side.double() - side.double().mean(0) for side in (first_ND, second_ND))
    varies_D = torch.ones(width, dtype=torch.bool)
    for centred_ND, side in ((x_ND, first_ND), (y_ND, second_ND)):
        varies_D &= centred_ND.abs().amax(0) > _CONSTANT * side.double().abs().amax(0)
    if not bool(varies_D.any()):
        return undefined(_NO_SPREAD)
    x_Nd, y_Nd = x_ND[:, varies_D], y_ND[:, varies_D]
    correlation_d = (x_Nd * y_Nd).sum(0) / (x_Nd.norm(dim=0) * y_Nd.norm(dim=0))
    left_out = width - int(varies_D.sum())
    note = f"{left_out} of {width} dimensions are constant" if left_out else ""
    return number(correlation_d.abs().mean(), note)


def centroids(first_ND: Tensor, second_ND: Tensor) -> tuple[Measured, Measured]:
    """(``|m_1 - m_2|``, the same over the spread within languages) of the means m of two languages.

    The spread is ``sqrt((s_1^2 + s_2^2) / 2)`` with ``s^2`` the mean squared distance of a language's
    sentences to their mean: 0 where the languages lie upon each other, above 1 where they are
    farther apart than their sentences are scattered.
    """
    if not len(first_ND):
        nothing = too_few(("distance", "gap"), 0, 1)
        return nothing["distance"], nothing["gap"]
    sides = [side.double() for side in (first_ND, second_ND)]
    distance = (sides[0].mean(0) - sides[1].mean(0)).norm()
    spreads = [(side - side.mean(0)).square().sum(1).mean() for side in sides]
    return number(distance), ratio(distance, (sum(spreads) / 2) ** 0.5, _NO_SPREAD)

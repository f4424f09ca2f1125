"""HiCTL's smoothed hard negatives: negatives are moved towards their anchor as training succeeds.

Source: Wei et al. 2021 (HiCTL, arXiv 2007.15960), the hard negatives of the sentence-level loss.
"""

import torch
from torch import Tensor

from xbench_plugins.losses.contrastive import Similarity, comparable


def smoothed_similarities(z_KD: Tensor, exponent: Tensor | float, similarity: Similarity) -> Tensor:
    """[K, K] similarities of anchors (rows) with negatives that were moved towards them.

    Rows i and i + K/2 of ``z_KD`` are partners. For the anchor q, its partner at the distance d+
    and a negative k at the distance d-::

        k' = q + lambda (k - q)   where d- > d+, else k        lambda = (d+ / d-) ** exponent

    ``exponent`` is zeta times the mean probability that recent batches gave the partner: at 0
    nothing moves, at 1 a negative comes as near as the partner.
    Distances are between the compared vectors (unit vectors for cosine), and lambda is a constant
    to the gradient. Similarities with the partner and with itself are left as they are.
    The moved vectors are never formed: all follows from the products of the original ones.
    """
    with torch.autocast(z_KD.device.type, enabled=False):
        z_KD = comparable(z_KD, similarity)
        product_KK = z_KD @ z_KD.T
        square_K = z_KD.square().sum(1)
        fraction_KK = _fraction(product_KK.detach(), square_K.detach(), exponent)
        anchor_K1 = square_K[:, None]
        moved_KK = (1 - fraction_KK) * anchor_K1 + fraction_KK * product_KK
        if similarity == "cosine":
            norm_KK = (
                (1 - fraction_KK) ** 2 * anchor_K1
                + 2 * fraction_KK * (1 - fraction_KK) * product_KK
                + fraction_KK**2 * square_K
            )
            moved_KK = moved_KK / norm_KK.clamp(min=1e-12).sqrt()
        return torch.where(fraction_KK < 1, moved_KK, product_KK)


def _fraction(product_KK: Tensor, square_K: Tensor, exponent: Tensor | float) -> Tensor:
    """[K, K] lambda: 1 where a candidate stays, which includes the partner and the anchor."""
    anchors = len(product_KK)
    distance_KK = (square_K[:, None] + square_K - 2 * product_KK).clamp(min=0).sqrt()
    partner_K = torch.arange(anchors, device=product_KK.device).roll(anchors // 2)
    partner_distance_K1 = distance_KK.gather(1, partner_K[:, None])
    farther_KK = distance_KK > partner_distance_K1
    ratio_KK = torch.where(farther_KK, partner_distance_K1 / distance_KK, 1.0)
    return ratio_KK**exponent

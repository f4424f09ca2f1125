"""Contrastive losses over paired vectors: InfoNCE and NT-Xent.

Row i of ``u_ND`` and row i of ``v_ND`` are a pair. N pairs, D dimensions, K = 2N vectors in all.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Similarity = Literal["cosine", "dot"]


def comparable(vectors: Tensor, similarity: Similarity) -> Tensor:
    """Vectors whose dot products are the similarity: unit length for ``cosine``.

    A zero vector stays zero. Half precision is raised to float32.
    """
    if similarity not in get_args(Similarity):
        raise ValueError(f"similarity must be one of {get_args(Similarity)}, not {similarity!r}")
    if vectors.dtype in (torch.float16, torch.bfloat16):
        vectors = vectors.float()
    return F.normalize(vectors, dim=-1) if similarity == "cosine" else vectors


def similarities(a_ND: Tensor, b_MD: Tensor, similarity: Similarity = "cosine") -> Tensor:
    """[N, M] cosine or dot products of every row of ``a_ND`` with every row of ``b_MD``.

    Autocast is switched off here: at a temperature of 0.1 an error in the third decimal of a
    cosine, which is bfloat16's precision, is one in the second decimal of a logit.
    """
    with torch.autocast(a_ND.device.type, enabled=False):
        return comparable(a_ND, similarity) @ comparable(b_MD, similarity).T


def nt_xent(
    u_ND: Tensor, v_ND: Tensor, temperature: float, similarity: Similarity = "cosine"
) -> tuple[Tensor, int]:
    """NT-Xent: each of the 2N vectors must find its partner among the 2N - 1 others.

    ``-log exp(s(z_i, z_p(i)) / t) / sum_{k != i} exp(s(z_i, z_k) / t)``, summed over the 2N
    anchors; the count is 2N. Negatives come from both languages. Source: Chen et al. 2020
    (SimCLR), equation 1; over translations it is the "strong" loss of Wu and Dredze 2020.

    A single pair has no negatives: its loss and its gradient are zero.
    """
    z_KD = torch.cat([u_ND, v_ND])
    return nt_xent_of(similarities(z_KD, z_KD, similarity), temperature)


def nt_xent_of(similarities_KK: Tensor, temperature: float) -> tuple[Tensor, int]:
    """NT-Xent from given similarities, row = anchor; rows i and i + N are partners.

    The diagonal is ignored.
    """
    anchors = len(similarities_KK)
    logits_KK = (similarities_KK / temperature).masked_fill(
        torch.eye(anchors, dtype=torch.bool, device=similarities_KK.device), -torch.inf
    )
    partner_K = torch.arange(anchors, device=logits_KK.device).roll(anchors // 2)
    return F.cross_entropy(logits_KK, partner_K, reduction="sum"), anchors


def info_nce(
    u_ND: Tensor,
    v_ND: Tensor,
    temperature: float,
    similarity: Similarity = "cosine",
    bidirectional: bool = True,
    same_language_negatives: bool = False,
) -> tuple[Tensor, int]:
    """InfoNCE: each u_i must find v_i among all v; ``bidirectional`` also each v_i among all u.

    Summed over the anchors; the count is N, or 2N where bidirectional.
    ``same_language_negatives`` adds the other anchors' own vectors to the candidates. Both
    together are NT-Xent; bidirectional alone is the "weak" loss of Wu and Dredze 2020.
    Source: van den Oord et al. 2018, equation 4.
    """
    total = _one_direction(u_ND, v_ND, temperature, similarity, same_language_negatives)
    if not bidirectional:
        return total, len(u_ND)
    back = _one_direction(v_ND, u_ND, temperature, similarity, same_language_negatives)
    return total + back, 2 * len(u_ND)


def _one_direction(
    anchors_ND: Tensor,
    positives_ND: Tensor,
    temperature: float,
    similarity: Similarity,
    same_language_negatives: bool,
) -> Tensor:
    logits = similarities(anchors_ND, positives_ND, similarity) / temperature
    if same_language_negatives:
        own_NN = similarities(anchors_ND, anchors_ND, similarity) / temperature
        itself = torch.eye(len(own_NN), dtype=torch.bool, device=own_NN.device)
        logits = torch.cat([logits, own_NN.masked_fill(itself, -torch.inf)], dim=1)
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device), reduction="sum")

"""The contrastive kernel: InfoNCE and its relatives over the vectors of two languages.

Every contrastive objective is this softmax over similarities; :class:`Contrast` lists in what they
differ. D dimensions; M and L vectors of the two languages, K links between them; with one vector per
sentence of N pairs, K = M = L = N and row i belongs to row i.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Similarity = Literal["cosine", "dot"]


@dataclass(frozen=True)
class Contrast:
    """What a contrastive loss compares, and with what.

    An anchor's candidates are its partner, the other language's further vectors
    (``in_batch_negatives``) and its own language's (``same_language_negatives``). ``margin`` is
    taken off the similarity with the partner; ``bidirectional`` makes anchors of both languages.
    """

    temperature: float
    similarity: Similarity = "cosine"
    bidirectional: bool = True
    in_batch_negatives: bool = True
    same_language_negatives: bool = False
    margin: float = 0.0


class Negatives(NamedTuple):
    """Q further negatives, ``vectors`` [Q, D]; ``excluded`` [K, Q] bool: not for this anchor."""

    vectors: Tensor
    excluded: Tensor | None = None


def contrast(
    u_MD: Tensor,
    v_LD: Tensor,
    how: Contrast,
    links_K2: Tensor | None = None,
    negatives: Negatives | None = None,
) -> tuple[Tensor, int]:
    """Each linked vector must find its partner among its candidates, by cross-entropy.

    For the link (i, j), temperature t, margin m and candidates C(i)::

        -log e^((s(u_i, v_j) - m) / t) / (e^((s(u_i, v_j) - m) / t) + sum_{c in C(i)} e^(s(u_i, c) / t))

    summed over the links, and where ``bidirectional`` over the same with u and v exchanged. The
    count is the number of anchors, K or 2K. ``links_K2`` are rows of ``u_MD`` and of ``v_LD``;
    without it, row i of both is a link.

    In one direction: van den Oord et al. 2018 (InfoNCE), equation 4. With a queue as the only
    negatives: He et al. 2020 (MoCo), equation 1. Bidirectional: "weak" of Wu and Dredze 2020; with
    same-language negatives: "strong", which is :func:`nt_xent`. An anchor without negatives costs
    nothing. Without links the sum is zero.
    """
    if links_K2 is None:
        if len(u_MD) != len(v_LD):
            raise ValueError(f"{len(u_MD)} and {len(v_LD)} vectors are no pairs: give their links")
        links_K2 = torch.arange(len(u_MD), device=u_MD.device).unsqueeze(1).expand(-1, 2)
    first_K, second_K = links_K2.unbind(1)
    total = _one_direction((u_MD, first_K), (v_LD, second_K), how, negatives)
    if not how.bidirectional:
        return total, len(links_K2)
    back = _one_direction((v_LD, second_K), (u_MD, first_K), how, negatives)
    return total + back, 2 * len(links_K2)


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
    itself_K = torch.arange(anchors, device=similarities_KK.device)
    partner_K = itself_K.roll(anchors // 2)
    return _cross_entropy(_without(similarities_KK, itself_K), partner_K, temperature), anchors


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


def _one_direction(
    own: tuple[Tensor, Tensor],
    other: tuple[Tensor, Tensor],
    how: Contrast,
    negatives: Negatives | None,
) -> Tensor:
    """The loss of the anchors of one language; ``own`` and ``other`` are (vectors, rows [K])."""
    (own_MD, own_K), (other_LD, partner_K) = own, other
    anchors_KD = own_MD[own_K]
    if how.in_batch_negatives:
        found = similarities(anchors_KD, other_LD, how.similarity)
    else:
        found = _similarity_of_rows(anchors_KD, other_LD[partner_K], how.similarity)
        partner_K = torch.zeros_like(partner_K)
    if how.margin:
        at_partner = torch.arange(found.shape[1], device=found.device) == partner_K.unsqueeze(1)
        found = torch.where(at_partner, found - how.margin, found)
    blocks = [found]
    if how.same_language_negatives:
        blocks.append(_without(similarities(anchors_KD, own_MD, how.similarity), own_K))
    if negatives is not None:
        further_KQ = similarities(anchors_KD, negatives.vectors, how.similarity)
        if negatives.excluded is not None:
            further_KQ = further_KQ.masked_fill(negatives.excluded, -torch.inf)
        blocks.append(further_KQ)
    return _cross_entropy(torch.cat(blocks, dim=1), partner_K, how.temperature)


def _similarity_of_rows(a_KD: Tensor, b_KD: Tensor, similarity: Similarity) -> Tensor:
    """[K, 1] the similarity of row k with row k."""
    with torch.autocast(a_KD.device.type, enabled=False):
        products_KD = comparable(a_KD, similarity) * comparable(b_KD, similarity)
        return products_KD.sum(1, keepdim=True)


def _without(similarities_KM: Tensor, column_K: Tensor) -> Tensor:
    """The same with one column of each row struck out."""
    columns_M = torch.arange(similarities_KM.shape[1], device=similarities_KM.device)
    return similarities_KM.masked_fill(columns_M == column_K.unsqueeze(1), -torch.inf)


def _cross_entropy(similarities_KM: Tensor, right_K: Tensor, temperature: float) -> Tensor:
    """Summed over the rows, of a softmax over the columns at ``temperature``."""
    return F.cross_entropy(similarities_KM / temperature, right_K, reduction="sum")

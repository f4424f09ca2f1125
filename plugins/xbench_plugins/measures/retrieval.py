"""Translation retrieval: ranks, accuracies and errors. N pairs; row i's translation is row i."""

import torch
from torch import Tensor

from xbench.api.search import BUDGET, NEIGHBOURHOOD, Search, nearest
from xbench_plugins.measures.measured import Measured, Named, mean_of, undefined

DIRECTIONS = ("forward", "backward")
TOP = (1, 5, 10)
RANKED = tuple(f"{what}_{d}" for d in DIRECTIONS for what in (*(f"top{k}" for k in TOP), "mrr"))
XSIM = tuple(f"xsim_error_{d}" for d in DIRECTIONS)
NOT_POSITIVE = "the margin divides by mean cosines of neighbours, and these are not positive"


def both_ranks(first_ND: Tensor, second_ND: Tensor, search: Search) -> tuple[Tensor, Tensor]:
    """([N], [N]) int64 ranks, from 1, of the translation: of row i's, and from the other side.

    Candidates with the same score count as better, as in ``xbench.api.search.ranks``, of which this
    is both directions in one pass; scores are symmetric in the two sides.
    """
    own_N = torch.cat([block.diagonal(start) for start, block in search.blocks(first_ND, second_ND)])
    forward, backward_N = [], torch.zeros(len(own_N), dtype=torch.int64)
    for start, block_bN in search.blocks(first_ND, second_ND):
        own_b1 = own_N[start : start + len(block_bN), None]
        forward.append((block_bN >= own_b1).sum(1))
        backward_N += (block_bN >= own_N).sum(0)
    return torch.cat(forward), backward_N


def ranked(first_ND: Tensor, second_ND: Tensor, search: Search) -> Named:
    """Top-1, 5 and 10 and the mean reciprocal rank, each of ``RANKED``; items per sentence.

    Top-k is the share of sentences whose translation is among the k best candidates; MRR is
    ``1/N sum_i 1 / rank_i``. *Forward*, rows of the first side look for their translation in the
    second. A tie counts against the translation. The margin is undefined where the mean cosines
    that it divides by are not all positive.
    """
    if search.scoring == "margin" and not margin_is_defined(first_ND, second_ND, search.nearest):
        return dict.fromkeys(RANKED, undefined(NOT_POSITIVE))
    values = []
    for ranks_N in both_ranks(first_ND, second_ND, search):
        values += [mean_of((ranks_N <= k).float()) for k in TOP]
        values.append(mean_of(1 / ranks_N.double()))
    return dict(zip(RANKED, values, strict=True))


def margin_is_defined(first_ND: Tensor, second_ND: Tensor, k: int) -> bool:
    """Whether the mean cosine of the k nearest neighbours is positive wherever it is divided by."""
    search = Search()
    forward, _ = nearest(first_ND, second_ND, k, search)
    backward, _ = nearest(second_ND, first_ND, k, search)
    return float(forward.mean(1).min() + backward.mean(1).min()) > 0


def xsim_errors(first_ND: Tensor, second_ND: Tensor, budget: int = BUDGET) -> Named:
    """xSIM: the share of sentences whose best neighbour by ratio margin is not their translation.

    For sentence i the candidates are its k = 4 nearest neighbours by cosine, and the score is
    ``cos(u_i, v_j) / ((r_i + r_j) / 2)`` with r the mean cosine of the k nearest neighbours on the
    other side. A translation outside the neighbourhood is an error; so is one that another
    candidate equals. Items are 1 for an error. Of candidates that tie at the neighbourhood's edge
    the search takes any.

    Source: Heffernan et al. 2022 (arXiv 2205.12654, section 4.2) and its code (LASER, xsim);
    the margin is Artetxe & Schwenk's (arXiv 1811.01136).
    """
    search, k = Search(budget=budget), NEIGHBOURHOOD["margin"]
    sides = nearest(first_ND, second_ND, k, search), nearest(second_ND, first_ND, k, search)
    around = [cosines_Nk.mean(1) for cosines_Nk, _ in sides]
    if float(around[0].min() + around[1].min()) <= 0:
        return dict.fromkeys(XSIM, undefined(NOT_POSITIVE))
    values: list[Measured] = []
    for own, (cosines_Nk, places_Nk) in enumerate(sides):
        margins_Nk = cosines_Nk / ((around[own][:, None] + around[1 - own][places_Nk]) / 2)
        right_Nk = places_Nk == torch.arange(len(places_Nk), device=places_Nk.device)[:, None]
        translation_N = margins_Nk.masked_fill(~right_Nk, -torch.inf).amax(1)
        rival_N = margins_Nk.masked_fill(right_Nk, -torch.inf).amax(1)
        values.append(mean_of((translation_N <= rival_N).float()))
    return dict(zip(XSIM, values, strict=True))

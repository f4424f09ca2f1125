"""Translation retrieval: ranks, accuracies and errors. N pairs; row i's translation is row i."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from xbench.api.search import BUDGET, NEIGHBOURHOOD, Search, nearest
from xbench_plugins.measures.measured import Measured, Named, mean_of, too_few, undefined

DIRECTIONS = ("forward", "backward")
TOP = (1, 5, 10)
RANKED = tuple(f"{what}_{d}" for d in DIRECTIONS for what in (*(f"top{k}" for k in TOP), "mrr"))
XSIM = tuple(f"xsim_error_{d}" for d in DIRECTIONS)
NOT_POSITIVE = "the margin divides by mean cosines of neighbours, and these are not positive"


def both_ranks(first_ND: Tensor, second_ND: Tensor, search: Search) -> tuple[Tensor, Tensor]:
    """([N], [N]) int64 ranks, from 1, of the translation: of row i's, and from the other side.

    Candidates with the same score count as better, as in ``xbench.api.search.ranks``, of which this
    is both directions at once; scores are symmetric in the two sides. What does not fit into one
    block is scored twice.
    """
    blocks: Iterable[tuple[int, Tensor]] = search.blocks(first_ND, second_ND)
    again: Iterable[tuple[int, Tensor]] = search.blocks(first_ND, second_ND)
    if first_ND.element_size() * len(first_ND) ** 2 <= search.budget:
        blocks = again = list(blocks)
    own_N = torch.cat([block_bN.diagonal(start) for start, block_bN in blocks])
    forward, backward_N = [], torch.zeros(len(own_N), dtype=torch.int64)
    for start, block_bN in again:
        own_b1 = own_N[start : start + len(block_bN), None]
        forward.append((block_bN >= own_b1).sum(1))
        backward_N += (block_bN >= own_N).sum(0)
    return torch.cat(forward), backward_N


def ranked(first_ND: Tensor, second_ND: Tensor, search: Search, near: "Neighbourhoods") -> Named:
    """Top-1, 5 and 10 and the mean reciprocal rank, each of ``RANKED``; items per sentence.

    Top-k is the share of sentences whose translation is among the k best candidates; MRR is
    ``1/N sum_i 1 / rank_i``. *Forward*, rows of the first side look for their translation in the
    second. A tie counts against the translation. The margin is undefined where the mean cosines
    that it divides by, those of ``near``, are not all positive; top-k where there are no more than k
    candidates, since all are among the k best, and all of it for fewer than 2 sentences.
    """
    count = len(first_ND)
    if count < 2:
        return too_few(RANKED, count, 2)
    if search.scoring == "margin" and not near.positive:
        return dict.fromkeys(RANKED, undefined(NOT_POSITIVE))
    values = []
    for ranks_N in both_ranks(first_ND, second_ND, search):
        values += [_top(ranks_N, k) for k in TOP]
        values.append(mean_of(1 / ranks_N.double()))
    return dict(zip(RANKED, values, strict=True))


def _top(ranks_N: Tensor, k: int) -> Measured:
    if len(ranks_N) <= k:
        return undefined(f"{len(ranks_N)} sentences: all are among the {k} best")
    return mean_of((ranks_N <= k).float())


@dataclass(frozen=True)
class Neighbourhoods:
    """The k = 4 nearest neighbours of either side's rows on the other, as the margin needs them.

    ``cosines`` and ``places``, each [N, k] for the first side and for the second.
    """

    cosines: tuple[Tensor, Tensor]
    places: tuple[Tensor, Tensor]

    @classmethod
    def of(cls, first_ND: Tensor, second_ND: Tensor, budget: int = BUDGET) -> "Neighbourhoods":
        """By cosine, in blocks of at most ``budget`` bytes; of nothing, nothing."""
        if not len(first_ND):
            nobody, nowhere = first_ND.new_zeros(0, 1), torch.zeros(0, 1, dtype=torch.int64)
            return cls((nobody, nobody), (nowhere, nowhere))
        search, k = Search(budget=budget), NEIGHBOURHOOD["margin"]
        forward = nearest(first_ND, second_ND, k, search)
        backward = nearest(second_ND, first_ND, k, search)
        return cls((forward[0], backward[0]), (forward[1], backward[1]))

    @property
    def positive(self) -> bool:
        """Whether the margin divides by positive numbers only."""
        there = [cosines_Nk for cosines_Nk in self.cosines if len(cosines_Nk)]
        return sum(float(cosines_Nk.mean(1).min()) for cosines_Nk in there) > 0


def xsim_errors(near: Neighbourhoods) -> Named:
    """xSIM: the share of sentences whose best neighbour by ratio margin is not their translation.

    For sentence i the candidates are its k = 4 nearest neighbours by cosine, and the score is
    ``cos(u_i, v_j) / ((r_i + r_j) / 2)`` with r the mean cosine of the k nearest neighbours on the
    other side. A translation outside the neighbourhood is an error; so is one that another
    candidate equals. Items are 1 for an error. Of candidates that tie at the neighbourhood's edge
    the search takes any.

    Source: Heffernan et al. 2022 (arXiv 2205.12654, section 4.2) and its code (LASER, xsim);
    the margin is Artetxe & Schwenk's (arXiv 1811.01136). Undefined for fewer than 2 sentences.
    """
    count = len(near.places[0])
    if count < 2:
        return too_few(XSIM, count, 2)
    if not near.positive:
        return dict.fromkeys(XSIM, undefined(NOT_POSITIVE))
    around = [cosines_Nk.mean(1) for cosines_Nk in near.cosines]
    values: list[Measured] = []
    for own, (cosines_Nk, places_Nk) in enumerate(zip(near.cosines, near.places, strict=True)):
        margins_Nk = cosines_Nk / ((around[own][:, None] + around[1 - own][places_Nk]) / 2)
        right_Nk = places_Nk == torch.arange(len(places_Nk), device=places_Nk.device)[:, None]
        translation_N = margins_Nk.masked_fill(~right_Nk, -torch.inf).amax(1)
        rival_N = margins_Nk.masked_fill(right_Nk, -torch.inf).amax(1)
        values.append(mean_of((translation_N <= rival_N).float()))
    return dict(zip(XSIM, values, strict=True))

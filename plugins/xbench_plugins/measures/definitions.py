"""Definitions of alignment that papers use, never mixed up. N pairs (u_i, v_i), s the cosine."""

from dataclasses import dataclass

import torch
from torch import Tensor

from xbench.api.search import BUDGET, Search
from xbench_plugins.measures.measured import Named, mean_of, too_few

DEFINITIONS = (
    *(f"weak_eq1_{d}" for d in ("forward", "backward")),
    *(f"strong_eq2_{d}" for d in ("forward", "backward")),
    *(f"strong_joint_{d}" for d in ("forward", "backward")),
    "mexa",
)


@dataclass(frozen=True)
class Rivals:
    """[N] each: the pair's similarity, and the best of what it competes with.

    ``across`` are the other rows of the other side, ``within`` those of the same side, for queries
    of the first side and of the second; a row is no rival of itself.
    """

    own: Tensor
    across: tuple[Tensor, Tensor]
    within: tuple[Tensor, Tensor]


def rivals(first_ND: Tensor, second_ND: Tensor, budget: int = BUDGET) -> Rivals:
    """All that the definitions compare, in blocks of at most ``budget`` bytes."""
    search = Search(budget=budget)
    own, best, columns_N = [], [], first_ND.new_full((len(first_ND),), -torch.inf)
    for start, block_bN in search.blocks(first_ND, second_ND):
        own.append(block_bN.diagonal(start).clone())
        block_bN.diagonal(start).fill_(-torch.inf)
        best.append(block_bN.amax(1))
        columns_N = torch.maximum(columns_N, block_bN.amax(0))
    within = _best_within(first_ND, search), _best_within(second_ND, search)
    return Rivals(torch.cat(own), (torch.cat(best), columns_N), within)


def _best_within(vectors_ND: Tensor, search: Search) -> Tensor:
    """[N] similarity with the nearest other row of the same side."""
    best = []
    for start, block_bN in search.blocks(vectors_ND, vectors_ND):
        block_bN.diagonal(start).fill_(-torch.inf)
        best.append(block_bN.amax(1))
    return torch.cat(best)


def definitions(first_ND: Tensor, second_ND: Tensor, budget: int = BUDGET) -> Named:
    """The share of pairs that are aligned, by each definition of ``DEFINITIONS``; items per pair.

    *Forward*, with u_i as the query (*backward* with v_i, sides exchanged), pair i counts where

    - ``weak_eq1``: ``s(u_i, v_i) > max_{j != i} s(u_i, v_j)``;
    - ``strong_eq2``: ``s(u_i, v_i) > max_{j != i} s(u_i, u_j)``, rivals of the same language only;
    - ``strong_joint``: both, the best of the union of all v_j and all u_j with j != i;

    and ``mexa`` where ``weak_eq1`` holds forward and backward. All are strict: a tie does not
    count. A row's similarity with itself is no rival (some code sets it to 0, which is wrong where
    all cosines are negative). Each share falls as N grows: compare at equal N.

    Sources: Haemmerl et al. 2024 (arXiv 2404.06228), equations 1 and 2; Gaschi et al. 2023 (arXiv
    2306.02790) for the joint form; Kargaran et al. 2024 (MEXA, arXiv 2410.05873). A pair without
    rivals wins against nobody: undefined for fewer than 2.
    """
    if len(first_ND) < 2:
        return too_few(DEFINITIONS, len(first_ND), 2)
    found = rivals(first_ND, second_ND, budget)
    weak = [found.own > rival_N for rival_N in found.across]
    strong = [found.own > rival_N for rival_N in found.within]
    joint = [a & b for a, b in zip(weak, strong, strict=True)]
    shares = [*weak, *strong, *joint, weak[0] & weak[1]]
    values = [mean_of(share_N.float()) for share_N in shares]
    return dict(zip(DEFINITIONS, values, strict=True))

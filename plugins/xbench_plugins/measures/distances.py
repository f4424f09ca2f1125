"""Distances of translation pairs, and of random pairs beside them. N pairs, D dimensions."""

import torch
from torch import Tensor

from xbench.api.search import BUDGET
from xbench_plugins.measures.cosines import random_cosines, unit
from xbench_plugins.measures.measured import Measured, Named, mean_of, too_few

DISTANCES = (
    "cosine_distance",
    "cosine_distance_random",
    "euclidean_distance",
    "euclidean_distance_random",
)
LIMIT = 2048  # pairs of which every non-pair's Euclidean distance is taken


def distances(first_ND: Tensor, second_ND: Tensor, limit: int = LIMIT) -> Named:
    """Mean distances, each of ``DISTANCES``; items per pair.

    Cosine distance is ``1 - cos(u_i, v_i)``, Euclidean ``|u_i - v_i|`` in the encoder's own units.
    ``_random`` is the same over non-pairs ``(u_i, v_j)``, i != j, what the distance would be if row i
    were no translation of row i; an item is row i's mean over all j. The Euclidean baseline of more
    than ``limit`` pairs is of the non-pairs among a fixed random ``limit`` of them, flagged.

    Where an entry of a dictionary has two translations, the second counts among the non-pairs.
    Source: the reference study (arXiv 2603.18863), Figure 1, which has no baseline.
    """
    half_ND = unit(first_ND) - unit(second_ND)
    cosine = mean_of(half_ND.square().sum(1) / 2)  # 1 - cos, and exactly 0 for equal vectors
    euclidean = mean_of((first_ND.double() - second_ND.double()).norm(dim=1))
    alone = too_few(["random"], len(first_ND), 2)["random"]
    random = mean_of(1 - random_cosines(first_ND, second_ND)) if len(first_ND) > 1 else alone
    values = cosine, random, euclidean, _random_euclidean(first_ND, second_ND, limit)
    return dict(zip(DISTANCES, values, strict=True))


def _random_euclidean(first_ND: Tensor, second_ND: Tensor, limit: int) -> Measured:
    count = len(first_ND)
    if min(count, limit) < 2:
        return too_few(["random"], min(count, limit), 2)["random"]
    if count <= limit:
        return mean_of(_to_others(first_ND, second_ND))
    chance = torch.Generator().manual_seed(0)
    taken = torch.randperm(count, generator=chance)[:limit].sort().values
    sampled = mean_of(_to_others(first_ND[taken], second_ND[taken]))
    return Measured(sampled.value, reason=f"among {limit} of {count} pairs", n=limit)


def _to_others(first_ND: Tensor, second_ND: Tensor) -> Tensor:
    """[N] float64 mean Euclidean distance of row i to all rows but i of the other side."""
    centre_D = first_ND.double().mean(0)  # distances stay, and fewer digits cancel
    u_ND, v_ND = first_ND.double() - centre_D, second_ND.double() - centre_D
    squares_N = v_ND.square().sum(1)
    found = []
    for start in range(0, len(u_ND), size := max(1, BUDGET // (8 * len(v_ND)))):
        u_bD = u_ND[start : start + size]
        square_bN = u_bD.square().sum(1)[:, None] + squares_N - 2 * u_bD @ v_ND.T
        distance_bN = square_bN.clamp(min=0).sqrt()
        distance_bN.diagonal(start).zero_()
        found.append(distance_bN.sum(1) / (len(v_ND) - 1))
    return torch.cat(found)

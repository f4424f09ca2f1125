"""Hubs: vectors that are near neighbours of too many others. N pairs, k neighbours."""

import torch
from torch import Tensor

from xbench.api.search import BUDGET, Search, nearest
from xbench_plugins.measures.measured import Measured, Named, mean_of, number, undefined

NEIGHBOURS = 10
HUBNESS = tuple(
    f"{what}_{d}"
    for d in ("forward", "backward")
    for what in ("hub_skewness", "hub_largest", "antihub_share")
)


def occurrences(queries_ND: Tensor, candidates_MD: Tensor, k: int, budget: int = BUDGET) -> Tensor:
    """[M] int64: among the k nearest candidates (by cosine) of how many queries each candidate is.

    Where candidates tie for the last place the search takes any.
    """
    _, places_Nk = nearest(queries_ND, candidates_MD, k, Search(budget=budget))
    return torch.bincount(places_Nk.flatten(), minlength=len(candidates_MD))


def hubness(first_ND: Tensor, second_ND: Tensor, k: int, budget: int = BUDGET) -> Named:
    """Of the k-occurrences N_k of the second side's rows (*forward*) and of the first's (*backward*):

    ``hub_skewness``, ``E[(N_k - mean)^3] / sd^3``; ``hub_largest``, the share of queries that have
    the largest hub among their k nearest; ``antihub_share``, the share of candidates that are
    nobody's neighbour (items per candidate). Undefined where all N are neighbours of all.

    Source: Radovanovic et al. 2010, *Hubs in Space* (JMLR 11); for retrieval across languages
    Lazaridou et al. 2015 and Lample et al. 2018 (arXiv 1710.04087).
    """
    if len(first_ND) <= k:
        short = f"{len(first_ND)} pairs: all are among each other's {k} nearest"
        return dict.fromkeys(HUBNESS, undefined(short))
    values: list[Measured] = []
    for queries, candidates in ((first_ND, second_ND), (second_ND, first_ND)):
        times_N = occurrences(queries, candidates, k, budget)
        values += [skewness(times_N), number(int(times_N.max()) / len(times_N))]
        values.append(mean_of((times_N == 0).float()))
    return dict(zip(HUBNESS, values, strict=True))


def skewness(values_N: Tensor) -> Measured:
    """``m3 / m2^(3/2)`` of the central moments, each divided by N; undefined for equal values."""
    centred_N = values_N.double() - values_N.double().mean()
    variance = centred_N.square().mean()
    if not float(variance) > 0:
        return undefined("every vector is a neighbour equally often")
    return number(centred_N.pow(3).mean() / variance.pow(1.5))

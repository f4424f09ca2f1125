"""Exact nearest neighbours between two sets of vectors, in blocks that fit a memory budget.

N queries, M candidates, D dimensions. Scores are computed in the vectors' own precision (half is
raised to float32), a block of queries against all candidates at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Scoring = Literal["cosine", "csls", "margin"]
# How many nearest neighbours make the neighbourhood that a scoring corrects for.
NEIGHBOURHOOD: dict[str, int] = {"cosine": 0, "csls": 10, "margin": 4}
BUDGET = 64 * 2**20  # bytes of one block of scores


@dataclass(frozen=True)
class Search:
    """Which scoring, and how much memory a block of scores may take.

    ``cosine``; ``csls``: ``2 cos(u, v) - r(u) - r(v)`` with r the mean cosine of the k nearest of
    the other side, k = 10 (Lample et al. 2018, arXiv 1710.04087, equation 4); ``margin``: ``cos(u,
    v) / ((r(u) + r(v)) / 2)``, k = 4 (Artetxe & Schwenk 2019, arXiv 1811.01136, the ratio margin).
    ``neighbourhood`` overrides k; where there are fewer candidates than k, all of them count.
    """

    scoring: Scoring = "cosine"
    neighbourhood: int | None = None
    budget: int = BUDGET

    def __post_init__(self) -> None:
        if self.scoring not in get_args(Scoring):
            known = ", ".join(get_args(Scoring))
            raise ValueError(f"the scoring is {self.scoring!r}, expected one of {known}")

    @property
    def nearest(self) -> int:
        """k, the size of the neighbourhood that is corrected for."""
        return NEIGHBOURHOOD[self.scoring] if self.neighbourhood is None else self.neighbourhood

    def blocks(self, queries_ND: Tensor, candidates_MD: Tensor) -> Iterator[tuple[int, Tensor]]:
        """(first query, scores [b, M]) for runs of queries.

        Raises ``ValueError`` where there is nothing to search or a vector is not finite.
        """
        queries_ND, candidates_MD = _unit(queries_ND, "query"), _unit(candidates_MD, "candidate")
        if self.scoring == "cosine":
            yield from self._cosines(queries_ND, candidates_MD)
            return
        around_N = self._density(queries_ND, candidates_MD)
        around_M = self._density(candidates_MD, queries_ND)
        for start, cosine_bM in self._cosines(queries_ND, candidates_MD):
            around_b1 = around_N[start : start + len(cosine_bM), None]
            if self.scoring == "csls":
                yield start, 2 * cosine_bM - around_b1 - around_M
            else:
                yield start, cosine_bM / ((around_b1 + around_M) / 2)

    def _cosines(self, queries_ND: Tensor, candidates_MD: Tensor) -> Iterator[tuple[int, Tensor]]:
        size = max(1, self.budget // (len(candidates_MD) * candidates_MD.element_size()))
        for start in range(0, len(queries_ND), size):
            yield start, queries_ND[start : start + size] @ candidates_MD.T

    def _density(self, of_ND: Tensor, among_MD: Tensor) -> Tensor:
        """[N] the mean cosine of each vector's nearest neighbours on the other side."""
        k = min(self.nearest, len(among_MD))
        means = [block.topk(k, dim=1).values.mean(1) for _, block in self._cosines(of_ND, among_MD)]
        return torch.cat(means)


def nearest(
    queries_ND: Tensor, candidates_MD: Tensor, k: int = 1, search: Search | None = None
) -> tuple[Tensor, Tensor]:
    """(scores [N, k], places [N, k]) of each query's best candidates, best first.

    With ``k`` = 1 the first of equally good ones; which ones of several come first is not defined.
    """
    found = [
        block.max(dim=1, keepdim=True) if k == 1 else block.topk(min(k, len(candidates_MD)), dim=1)
        for _, block in (search or Search()).blocks(queries_ND, candidates_MD)
    ]
    return torch.cat([f.values for f in found]), torch.cat([f.indices for f in found])


def ranks(queries_ND: Tensor, candidates_MD: Tensor, search: Search | None = None) -> Tensor:
    """[N] int64 rank, from 1, of candidate i for query i.

    Candidates with the same score count as better: where all vectors are equal every rank is M,
    not 1, so that a collapsed encoder finds nothing.
    """
    found = []
    for start, block_bM in (search or Search()).blocks(queries_ND, candidates_MD):
        own = torch.arange(start, start + len(block_bM), device=block_bM.device)
        right_b1 = block_bM.gather(1, own[:, None])
        found.append((block_bM >= right_b1).sum(1))
    return torch.cat(found)


def _unit(vectors: Tensor, what: str) -> Tensor:
    if vectors.dim() != 2 or not len(vectors):
        raise ValueError(f"there is no {what} to search with: the shape is {list(vectors.shape)}")
    if not bool(torch.isfinite(vectors).all()):
        raise ValueError(f"a {what} is not finite: the encoder has diverged or its file is damaged")
    return F.normalize(vectors.float() if vectors.dtype.itemsize < 4 else vectors, dim=-1)

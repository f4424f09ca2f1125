"""Nearest neighbours against slow loops, in one block and in many; ties, duplicates, nonsense."""

import pytest
import torch
from torch import Tensor

from xbench.api.search import Search, nearest, ranks

TINY = 200  # bytes: a block of few queries


def vectors(count: int, seed: int) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(count, 6, dtype=torch.float64, generator=stream)


def cosine(u: Tensor, v: Tensor) -> float:
    return float(u @ v / (u.norm() * v.norm()))


def slowly(queries: Tensor, candidates: Tensor, scoring: str, k: int) -> Tensor:
    plain = [[cosine(u, v) for v in candidates] for u in queries]
    around_u = [sum(sorted(row, reverse=True)[:k]) / k for row in plain]
    columns = list(zip(*plain, strict=True))
    around_v = [sum(sorted(column, reverse=True)[:k]) / k for column in columns]
    rows = []
    for i, row in enumerate(plain):
        if scoring == "csls":
            rows.append([2 * c - around_u[i] - around_v[j] for j, c in enumerate(row)])
        elif scoring == "margin":
            rows.append([c / ((around_u[i] + around_v[j]) / 2) for j, c in enumerate(row)])
        else:
            rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("budget", [TINY, 10**6])
@pytest.mark.parametrize(("scoring", "k"), [("cosine", 1), ("csls", 10), ("margin", 4)])
def test_scores_equal_a_slow_implementation(scoring: str, k: int, budget: int) -> None:
    queries, candidates = vectors(17, 1), vectors(23, 2) + 0.8
    search = Search(scoring, budget=budget)  # type: ignore[arg-type]
    blocks = list(search.blocks(queries, candidates))
    assert (len(blocks) > 1) == (budget == TINY)
    scores = torch.cat([block for _, block in blocks])
    expected = slowly(queries, candidates, scoring, k)
    torch.testing.assert_close(scores, expected, rtol=1e-9, atol=1e-12)
    values, places = nearest(queries, candidates, 3, search)
    ordered = expected.sort(dim=1, descending=True)
    torch.testing.assert_close(values, ordered.values[:, :3])
    assert torch.equal(places, ordered.indices[:, :3])


@pytest.mark.parametrize("scoring", ["cosine", "csls", "margin"])
def test_ranks_count_the_candidates_that_are_as_good_or_better(scoring: str) -> None:
    queries, candidates = vectors(20, 3), vectors(20, 4)
    candidates[7] = candidates[2]  # a duplicate shares the place
    k = {"cosine": 1, "csls": 10, "margin": 4}[scoring]
    expected = slowly(queries, candidates, scoring, k)
    slow = [int((row >= row[i]).sum()) for i, row in enumerate(expected)]
    fast = ranks(queries, candidates, Search(scoring, budget=TINY))  # type: ignore[arg-type]
    slow[2] = slow[7] = 0  # rounding decides which of two equal scores is larger
    fast[2] = fast[7] = 0
    assert fast.tolist() == slow


def test_a_permutation_of_the_candidates_permutes_the_places() -> None:
    queries, candidates = vectors(9, 5), vectors(9, 6)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    _, places = nearest(queries, candidates)
    _, moved = nearest(queries, candidates[order])
    assert torch.equal(order[moved], places)


def test_equal_vectors_are_found_and_a_collapsed_encoder_finds_nothing() -> None:
    queries = vectors(8, 7)
    assert ranks(queries, queries.clone()).tolist() == [1] * 8
    assert ranks(torch.ones(8, 3), torch.ones(8, 3)).tolist() == [8] * 8
    assert ranks(torch.zeros(8, 3), torch.zeros(8, 3)).tolist() == [8] * 8


def test_fewer_candidates_than_the_neighbourhood() -> None:
    queries, candidates = vectors(2, 8), vectors(2, 9)
    values, _ = nearest(queries, candidates, 5, Search("csls"))
    torch.testing.assert_close(values[:, 0], slowly(queries, candidates, "csls", 2).max(1).values)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        ranks(torch.full((2, 3), torch.nan), vectors(2, 1)[:, :3].float())
    with pytest.raises(ValueError, match="no candidate"):
        ranks(vectors(2, 1), torch.empty(0, 6))
    with pytest.raises(ValueError, match="expected one of cosine, csls, margin"):
        Search("euclid")  # type: ignore[arg-type]

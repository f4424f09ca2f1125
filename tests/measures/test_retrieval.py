"""Ranks, accuracies and xSIM against slow loops; ties; blocks; chance."""

import pytest
import torch

from xbench.api.search import Search, ranks
from xbench_plugins.measures.retrieval import Neighbourhoods, both_ranks, ranked, xsim_errors

from . import slow
from .vectors import pair, vectors

SCORES = {"cosine": lambda plain: plain, "csls": slow.csls, "margin": slow.margin}
TINY = 400  # bytes: blocks of a few queries


@pytest.mark.parametrize("budget", [TINY, 10**6])
@pytest.mark.parametrize("scoring", SCORES)
def test_accuracies_and_mrr_equal_slow_ones(scoring: str, budget: int) -> None:
    first, second = pair()
    search = Search(scoring, budget=budget)  # type: ignore[arg-type]
    found = ranked(first, second, search, Neighbourhoods.of(first, second))
    table = SCORES[scoring](slow.cosines(first, second))
    for direction, scores in (("forward", table), ("backward", slow.turned(table))):
        places = slow.ranks(scores)
        assert len(set(places)) > 3  # neither all right nor all wrong
        for k in (1, 5, 10):
            expected = sum(place <= k for place in places) / len(places)
            assert found[f"top{k}_{direction}"].value == pytest.approx(expected, abs=1e-9)
        expected = sum(1 / place for place in places) / len(places)
        assert found[f"mrr_{direction}"].value == pytest.approx(expected, abs=1e-9)
        items = found[f"mrr_{direction}"].items
        assert items is not None
        assert items.tolist() == pytest.approx([1 / place for place in places])


@pytest.mark.parametrize("scoring", SCORES)
def test_both_directions_are_those_of_the_search(scoring: str) -> None:
    first, second = pair(40)
    second[7] = second[3]  # of two equals, both count as better
    search = Search(scoring, budget=TINY)  # type: ignore[arg-type]
    forward, backward = both_ranks(first, second, search)
    assert torch.equal(forward, ranks(first, second, search))
    assert torch.equal(backward, ranks(second, first, search))
    assert min(int(forward[3]), int(forward[7])) > 1


@pytest.mark.parametrize("budget", [TINY, 10**6])
@pytest.mark.parametrize("noise", [0.3, 1.5])
def test_xsim_equals_a_slow_one(noise: float, budget: int) -> None:
    first, second = pair(noise=noise)
    plain = slow.cosines(first, second)
    found = xsim_errors(Neighbourhoods.of(first, second, budget))
    expected = slow.xsim_error(plain), slow.xsim_error(slow.turned(plain))
    assert 0 < expected[0] < 1
    assert found["xsim_error_forward"].value == pytest.approx(expected[0], abs=1e-9)
    assert found["xsim_error_backward"].value == pytest.approx(expected[1], abs=1e-9)


def test_a_tie_is_an_error() -> None:
    first, second = pair(20, noise=0.01)
    near = Neighbourhoods.of(first, second)
    assert xsim_errors(near)["xsim_error_forward"].value == 0
    twin = torch.tensor([0, 0, *range(2, 20)])
    near = Neighbourhoods.of(first[twin], second[twin])
    assert xsim_errors(near)["xsim_error_forward"].value == pytest.approx(2 / 20)
    found = ranked(first[twin], second[twin], Search(), near)
    assert found["top1_forward"].value == pytest.approx(0.9)


def test_a_margin_over_cosines_that_are_not_positive_is_undefined() -> None:
    first = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.8, -0.1]])
    near = Neighbourhoods.of(first, -first)
    found = {**ranked(first, -first, Search("margin"), near), **xsim_errors(near)}
    assert {one.value for one in found.values()} == {None}
    assert all("not positive" in one.reason for one in found.values())


@pytest.mark.parametrize("scoring", SCORES)
def test_a_shuffled_corpus_is_at_chance(scoring: str) -> None:
    first = vectors(400, 1, 16) + 0.5
    second = first[torch.randperm(400, generator=torch.Generator().manual_seed(5))]
    search = Search(scoring)  # type: ignore[arg-type]
    near = Neighbourhoods.of(first, second)
    found = ranked(first, second, search, near)
    for name, k in (("top1", 1), ("top5", 5), ("top10", 10)):
        expected, bound = k / 400, 5 * (k / 400 / 400) ** 0.5
        assert found[f"{name}_forward"].value == pytest.approx(expected, abs=bound)
        assert found[f"{name}_backward"].value == pytest.approx(expected, abs=bound)
    assert xsim_errors(near)["xsim_error_forward"].value > 0.97  # type: ignore[operator]

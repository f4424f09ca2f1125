"""Hubs against counting, skewness against scipy."""

import pytest
import torch
from scipy.stats import skew

from xbench_plugins.measures.hubness import HUBNESS, hubness, occurrences, skewness

from .slow import cosines, turned
from .vectors import pair, vectors


def counted(scores: list[list[float]], k: int) -> list[int]:
    times = [0] * len(scores)
    for row in scores:
        for j in sorted(range(len(row)), key=lambda j: -row[j])[:k]:
            times[j] += 1
    return times


@pytest.mark.parametrize("budget", [400, 10**6])
@pytest.mark.parametrize("k", [1, 5, 10])
def test_they_equal_counts(k: int, budget: int) -> None:
    first, second = pair(45)
    plain = cosines(first, second)
    found = hubness(first, second, k, budget)
    assert tuple(found) == HUBNESS
    for direction, scores in (("forward", plain), ("backward", turned(plain))):
        times = counted(scores, k)
        assert found[f"hub_skewness_{direction}"].value == pytest.approx(skew(times), abs=1e-9)
        assert found[f"hub_largest_{direction}"].value == pytest.approx(max(times) / 45)
        assert found[f"antihub_share_{direction}"].value == pytest.approx(times.count(0) / 45)
    assert occurrences(first, second, k).tolist() == counted(plain, k)


def test_a_hub_is_found() -> None:
    first, second = vectors(50, 1) + 1, vectors(50, 2)
    second[17] = 1.0  # in the middle of all queries
    found = hubness(first, second, 5)
    assert found["hub_largest_forward"].value >= 0.9
    assert found["hub_skewness_forward"].value > 1.5  # type: ignore[operator]


def test_undefined_where_all_are_neighbours_or_all_alike() -> None:
    first, second = pair(10)
    few = hubness(first, second, 10)
    assert {one.value for one in few.values()} == {None}
    assert all("10 pairs" in one.reason for one in few.values())
    assert skewness(torch.tensor([3, 3, 3])).value is None
    assert hubness(first, first, 1)["hub_skewness_forward"].value is None  # each its own nearest
    assert hubness(first, first, 1)["antihub_share_forward"].value == 0

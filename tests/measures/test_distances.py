"""Distances and their baselines against loops over all pairs."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from xbench.api import search
from xbench_plugins.measures import distances as module
from xbench_plugins.measures.distances import DISTANCES, distances

from .vectors import pair


@pytest.mark.parametrize("budget", [600, search.BUDGET])
def test_they_equal_loops(monkeypatch: pytest.MonkeyPatch, budget: int) -> None:
    monkeypatch.setattr(module, "BUDGET", budget)
    first, second = pair()
    off = ~np.eye(len(first), dtype=bool)
    expected = {}
    for name in ("cosine", "euclidean"):
        table = cdist(first.numpy(), second.numpy(), name)
        expected[f"{name}_distance"] = np.diag(table).mean()
        expected[f"{name}_distance_random"] = table[off].mean()
    found = distances(first, second)
    assert tuple(found) == DISTANCES
    assert {name: one.value for name, one in found.items()} == pytest.approx(expected, abs=1e-9)
    for one in found.values():
        assert one.items is not None
        assert float(one.items.mean()) == pytest.approx(one.value)


def test_clones_are_at_distance_zero_exactly() -> None:
    first = pair()[0].float()
    found = distances(first, first.clone())
    assert found["cosine_distance"].value == 0
    assert found["euclidean_distance"].value == 0
    assert found["cosine_distance_random"].value > 0.1  # type: ignore[operator]


def test_far_from_the_origin_float32_keeps_its_digits() -> None:
    first, second = (side + 1000 for side in pair(40))
    exact = distances(first.float().double(), second.float().double())
    found = distances(first.float(), second.float())
    for name in DISTANCES:
        assert found[name].value == pytest.approx(exact[name].value, rel=1e-9)


def test_of_many_pairs_a_sample_is_the_baseline_and_says_so() -> None:
    first, second = pair(300)
    exact, sampled = distances(first, second), distances(first, second, limit=100)
    one = sampled["euclidean_distance_random"]
    assert one.reason == "among 100 of 300 pairs"
    assert one.n == 100
    assert one.value == pytest.approx(exact["euclidean_distance_random"].value, rel=0.05)
    assert one.value != exact["euclidean_distance_random"].value
    for name in DISTANCES[:3]:
        assert sampled[name].value == exact[name].value


def test_permuting_pairs_changes_nothing() -> None:
    first, second = pair(50)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    one, other = distances(first, second), distances(first[order], second[order])
    for name in DISTANCES:
        assert one[name].value == pytest.approx(other[name].value, abs=1e-12)

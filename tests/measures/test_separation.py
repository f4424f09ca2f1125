"""The error curve of a margin against all comparisons made one by one, and Mann-Whitney."""

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu

from xbench_plugins.measures.separation import Separation

from .slow import cosines
from .vectors import pair

GAMMAS = (-0.5, 0.0, 0.03, 0.1, 0.25, 1.0, 3.0)


def differences(first: torch.Tensor, second: torch.Tensor) -> np.ndarray:
    """[N^2 (N - 1)] s+ - s- of every pair and every non-pair."""
    table = np.array(cosines(first, second))
    others = table[~np.eye(len(table), dtype=bool)]
    return np.subtract.outer(np.diag(table), others).ravel()


@pytest.mark.parametrize("budget", [31 * 8 * 31, 10**6])
def test_the_curve_equals_all_comparisons(budget: int) -> None:
    first, second = pair()
    apart = Separation(first, second, budget)
    every = differences(first, second)
    for gamma, found in zip(GAMMAS, apart.curve(GAMMAS), strict=True):
        assert found.value == pytest.approx(float((every < gamma).mean()), abs=1e-9)
        assert not found.reason


def test_at_no_margin_it_is_mann_whitney() -> None:
    first, second = pair()
    table = np.array(cosines(first, second))
    others = table[~np.eye(len(table), dtype=bool)]
    won = mannwhitneyu(np.diag(table), others).statistic / (len(table) * len(others))
    assert Separation(first, second).epsilon(0.0) == pytest.approx(1 - won, abs=1e-9)


@pytest.mark.parametrize("epsilon", [0.01, 0.05, 0.5])
def test_the_margin_is_the_largest_that_errs_no_more(epsilon: float) -> None:
    first, second = pair()
    found = Separation(first, second).gamma(epsilon).value
    every = np.sort(differences(first, second))
    assert found == pytest.approx(every[int(epsilon * len(every))], abs=2e-9)


def test_a_tie_is_no_error_at_no_margin() -> None:
    first = torch.eye(3, dtype=torch.float64)
    assert Separation(first, first[[0, 0, 0]]).epsilon(0.0) == pytest.approx(4 / 18)


def test_float32_is_compared_exactly() -> None:
    first, second = (side.float() for side in pair(60))
    unit = [torch.nn.functional.normalize(side, dim=1) for side in (first, second)]
    table = (unit[0] @ unit[1].T).numpy()
    others = table[~np.eye(len(table), dtype=bool)].astype(np.float64)
    every = np.subtract.outer(np.diag(table).astype(np.float64), others)
    apart = Separation(first, second)
    for gamma in GAMMAS:
        assert apart.epsilon(gamma) == float((every < gamma).mean())


def test_beyond_the_budget_a_sample_stands_for_all_and_is_stated() -> None:
    first, second = pair(300, noise=0.7)
    exact, sampled = Separation(first, second), Separation(first, second, 60 * 300 * 8)
    assert not exact.note
    found = sampled.gamma(0.05)
    assert found.reason == "against the non-pairs of 60 of 300 sentences"
    assert sampled.epsilon(0.1) != exact.epsilon(0.1)
    assert sampled.epsilon(0.1) == pytest.approx(exact.epsilon(0.1), abs=0.03)
    assert Separation(first, second, 60 * 300 * 8).gamma(0.05) == found  # the same sample again

"""Means, deviations and paired intervals against closed forms, numpy and scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from xbench.stats import mean_sd, paired_t_interval

numbers = st.lists(st.floats(-1, 1, allow_nan=False), min_size=2, max_size=12)


def test_mean_and_deviation_by_hand() -> None:
    assert mean_sd([1.0, 2.0, 3.0]) == (2.0, 1.0)


def test_a_single_value_has_no_deviation() -> None:
    assert mean_sd([0.7]) == (0.7, None)


@given(numbers)
def test_mean_and_deviation_match_numpy(values: list[float]) -> None:
    mean, sd = mean_sd(values)
    assert mean == pytest.approx(np.mean(values), abs=1e-12)
    assert sd == pytest.approx(np.std(values, ddof=1), abs=1e-12)


@given(numbers, st.randoms())
def test_order_does_not_matter(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert mean_sd(values)[0] == mean_sd(shuffled)[0]


@pytest.mark.parametrize("bad", [[], [math.nan], [0.5, math.inf]])
def test_nothing_and_infinity_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match=r"no values|finite"):
        mean_sd(bad)


@given(numbers, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_interval_matches_scipy_on_pairs(values: list[float], level: float) -> None:
    interval = paired_t_interval(values, level)
    assert interval is not None
    if np.ptp(values) < 1e-9:
        assert interval == pytest.approx((np.mean(values),) * 2, abs=1e-8)
        return
    before = np.linspace(0.1, 0.9, len(values))
    expected = stats.ttest_rel(before + values, before).confidence_interval(level)
    assert interval == pytest.approx((expected.low, expected.high), abs=1e-9, rel=1e-6)


def test_interval_of_two_by_the_closed_form() -> None:
    """With one degree of freedom t is Cauchy: its quantile is the tangent."""
    quantile = math.tan(math.pi * (0.975 - 0.5))
    assert paired_t_interval([0.01, 0.03]) == pytest.approx(
        (0.02 - quantile * 0.01, 0.02 + quantile * 0.01), rel=1e-9
    )


def test_interval_of_three_by_the_closed_form() -> None:
    """With two degrees of freedom the quantile is a / sqrt(2 p (1 - p)), a = 2p - 1."""
    quantile = (2 * 0.975 - 1) / math.sqrt(2 * 0.975 * 0.025)
    half = quantile * 1.0 / math.sqrt(3)
    assert paired_t_interval([1.0, 2.0, 3.0]) == pytest.approx((2 - half, 2 + half), rel=1e-9)


def test_fewer_than_two_differences_have_no_interval() -> None:
    assert paired_t_interval([]) is None
    assert paired_t_interval([0.2]) is None


def test_equal_differences_have_an_interval_of_no_width() -> None:
    assert paired_t_interval([0.25, 0.25, 0.25]) == (0.25, 0.25)


def test_the_interval_covers_as_often_as_it_says() -> None:
    """3,000 studies of three seeds, true effect 0.3: binomial sd of the coverage is 0.4 points."""
    draws = np.random.default_rng(0).normal(0.3, 1.0, size=(3000, 3))
    intervals = [paired_t_interval(list(map(float, draw))) for draw in draws]
    covered = np.mean([low <= 0.3 <= high for low, high in filter(None, intervals)])
    assert covered == pytest.approx(0.95, abs=0.016)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_outside_zero_and_one_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        paired_t_interval([0.1, 0.2], level)

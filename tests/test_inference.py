"""Tests, intervals and corrections against scipy, slow obvious code, and simulated studies."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from xbench.api.claim import Effect
from xbench.report.statistics import inference
from xbench.report.statistics.inference import (
    PairedItems,
    combined,
    crossed_error,
    group_effect,
    holm,
    interval,
    item_effect,
    mean_effect,
    minimal_detectable_effect,
    p_above,
    p_below,
    p_beyond,
    p_within,
    units_needed,
)

STUDIES = 2000
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=9)
VALUES = [0.012, 0.031, -0.004, 0.02, 0.011]


def accuracy(sums: Any) -> Any:
    return sums[..., 0] / sums[..., 1]


# Against scipy and by hand.


def test_a_mean_effect_is_the_paired_t_test() -> None:
    effect = mean_effect(VALUES, "seeds")
    expected = stats.ttest_1samp(VALUES, 0.0)
    bounds = expected.confidence_interval(0.95)
    assert interval(effect) == pytest.approx((bounds.low, bounds.high), rel=1e-12)
    assert p_beyond(effect) == pytest.approx(expected.pvalue, rel=1e-9)
    for alternative, found in (("greater", p_above(effect, 0.01)), ("less", p_below(effect, 0.01))):
        one_sided = stats.ttest_1samp(VALUES, 0.01, alternative=alternative)
        assert found == pytest.approx(one_sided.pvalue, rel=1e-9)


def test_groups_are_compared_as_by_welch() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(1, 1, 4), rng.normal(0, 3, 9)
    effect = group_effect(first, second, "pairs")
    expected = stats.ttest_ind(first, second, equal_var=False)
    bounds = expected.confidence_interval(0.95)
    assert effect.freedom == pytest.approx(expected.df)
    assert interval(effect) == pytest.approx((bounds.low, bounds.high), rel=1e-9)
    assert p_beyond(effect) == pytest.approx(expected.pvalue, rel=1e-9)


def test_a_correlation_has_its_interval_on_fishers_scale() -> None:
    effect = Effect(0.6, 0.2, 9, 10, "languages", correlation=True)
    half = stats.t.ppf(0.975, 9) * 0.2
    assert interval(effect) == pytest.approx(
        (math.tanh(math.atanh(0.6) - half), math.tanh(math.atanh(0.6) + half))
    )
    expected = stats.t.sf((math.atanh(0.6) - math.atanh(0.3)) / 0.2, 9)
    assert p_above(effect, 0.3) == pytest.approx(expected)


@pytest.mark.parametrize("margin", [0.01, 0.03, 0.1])
def test_equivalence_is_an_interval_within_the_margin(margin: float) -> None:
    """Two one-sided tests at 5 % agree with the 90% interval."""
    effect = mean_effect(VALUES, "seeds")
    bounds = interval(effect, 0.90)
    assert bounds is not None
    p = p_within(effect, margin)
    assert p is not None
    assert (p < 0.05) == (-margin < bounds[0] and bounds[1] < margin)


@given(p_values)
def test_holm_matches_its_definition(given: list[float]) -> None:
    """A hypothesis is rejected at a level where all smaller p values are, one by one."""
    adjusted = holm(given)
    for level in (0.01, 0.05, 0.2):
        rejected: set[int] = set()
        for rank, place in enumerate(sorted(range(len(given)), key=given.__getitem__)):
            if given[place] * (len(given) - rank) > level:
                break
            rejected.add(place)
        assert {place for place, p in enumerate(adjusted) if p <= level} == rejected


def test_corrections_of_nothing_are_nothing_and_of_nonsense_an_error() -> None:
    assert holm([]) == []
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm([0.5, 1.5])


def test_the_minimal_detectable_effect_is_found_as_often_as_it_says() -> None:
    size = minimal_detectable_effect(Effect(0.0, 0.5, 3, 4))
    assert size is not None
    draws = np.random.default_rng(4).normal(size, 1.0, (20_000, 4))
    # At the true spread, not the one of each sample: standard error 1 / sqrt(4).
    found = stats.ttest_1samp(draws, 0, axis=1, alternative="greater").pvalue < 0.025
    assert np.mean(found) == pytest.approx(0.8, abs=0.012)


@pytest.mark.parametrize(("freedom", "critical"), [(1, 12.7), (2, 4.3), (4, 6.1), (30, 2.0)])
def test_missed_effects_match_the_noncentral_t_distribution(freedom: int, critical: float) -> None:
    for away in (0.5, 3.0, 9.0):
        expected = stats.nct.cdf(critical, freedom, away)
        assert inference.missed(critical, freedom, away) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("freedom", [1, 2, 9])
@pytest.mark.parametrize("level", [0.05, 0.0005])
def test_a_detectable_effect_is_found_at_any_level(freedom: int, level: float) -> None:
    size = minimal_detectable_effect(Effect(0.0, 1.0, freedom, freedom + 1), level)
    assert size is not None
    assert size > stats.t.ppf(1 - level / 2, freedom)


def test_units_needed_are_the_fewest_that_suffice() -> None:
    effect = mean_effect(VALUES, "seeds")
    assert effect.error is not None
    sd = effect.error * math.sqrt(5)
    needed = units_needed(effect, 0.012)
    assert needed is not None

    def finds(n: int) -> float:
        size = minimal_detectable_effect(Effect(0.0, sd / math.sqrt(n), n - 1, n))
        assert size is not None
        return size

    assert finds(needed) <= 0.012 < finds(needed - 1)
    assert units_needed(effect, 1e-6) is None
    assert units_needed(effect, 0.0) is None


# What is lacking is said, and never a number.


@pytest.mark.parametrize(
    ("values", "words"),
    [([], "no values"), ([0.1], "one of seeds"), ([0.1, 0.1, 0.1], "no spread")],
)
def test_without_spread_there_is_no_test(values: list[float], words: str) -> None:
    effect = mean_effect(values, "seeds")
    assert words in effect.reason
    assert effect.value == (pytest.approx(0.1) if values else None)
    assert interval(effect) is p_above(effect) is p_within(effect, 1.0) is None
    assert minimal_detectable_effect(effect) is units_needed(effect, 1.0) is None


def test_infinite_values_and_no_margin_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        mean_effect([0.1, math.inf], "seeds")
    with pytest.raises(ValueError, match="margin"):
        p_within(mean_effect(VALUES, "seeds"), 0.0)


@pytest.mark.parametrize(("first", "second"), [([], [1.0]), ([1.0], [1.0, 2.0]), ([1, 1], [1, 1])])
def test_groups_without_spread_have_no_test(first: list[float], second: list[float]) -> None:
    effect = group_effect(first, second, "pairs")
    assert effect.reason
    assert effect.error is None


# Test items.


def items(right: Any, ids: Any = None) -> PairedItems:
    """Items with one label each; ``right`` [n, 2] says whether before and after were right."""
    contributions = np.stack([right, np.ones_like(right)], axis=-1).astype(np.float64)
    names = [f"{n:04}" for n in range(len(right))] if ids is None else ids
    return PairedItems(names, contributions[:, 0], contributions[:, 1])


def test_items_match_the_closed_form() -> None:
    """The variance of a mean paired difference over n items, with n - 1."""
    right = np.random.default_rng(5).random((204, 2)) < (0.7, 0.8)
    effect = item_effect([items(right)], accuracy)
    differences = right[:, 1].astype(float) - right[:, 0]
    assert effect.value == pytest.approx(differences.mean(), abs=1e-12)
    assert effect.error == pytest.approx(differences.std(ddof=1) / math.sqrt(204), rel=0.06)


def test_translations_are_one_item() -> None:
    """Ten languages that agree on every item are worth one language, not ten."""
    right = np.random.default_rng(6).random((100, 2)) < (0.6, 0.75)
    one = item_effect([items(right)], accuracy)
    ten = item_effect([items(right)] * 10, accuracy)
    apart = [items(right, [f"{k}-{n}" for n in range(100)]) for k in range(10)]
    assert (ten.value, ten.error) == pytest.approx((one.value, one.error))
    many = item_effect(apart, accuracy)
    assert many.n == 1000
    assert many.error is not None
    assert one.error is not None
    assert many.error == pytest.approx(one.error / math.sqrt(10), rel=0.1)


def test_the_order_of_items_does_not_matter() -> None:
    right = np.random.default_rng(7).random((60, 2)) < 0.5
    order = np.random.default_rng(8).permutation(60)
    names = [f"{n:03}" for n in range(60)]
    first = item_effect([items(right, names)], accuracy)
    second = item_effect([items(right[order], [names[n] for n in order])], accuracy)
    assert first == second


def test_large_test_sets_are_resampled_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same draws, whatever is kept of them at once."""
    right = np.random.default_rng(17).random((70, 2)) < (0.4, 0.6)
    whole = item_effect([items(right)], accuracy)
    monkeypatch.setattr(inference, "MOST_KEPT", 70 * 300)
    parts = item_effect([items(right)], accuracy)
    assert (parts.value, parts.error) == pytest.approx((whole.value, whole.error), rel=1e-12)


def test_cells_may_have_items_of_their_own() -> None:
    """A language that lacks some sentences is averaged over those that it has."""
    right = np.random.default_rng(9).random((80, 2)) < (0.4, 0.6)
    both = item_effect([items(right), items(right[:50])], accuracy)
    changes = [part[:, 1].mean() - part[:, 0].mean() for part in (right, right[:50])]
    assert both.value == pytest.approx(np.mean(changes))
    assert both.n == 80


def test_few_changed_items_have_no_interval() -> None:
    right = np.ones((204, 2), dtype=bool)
    right[:9, 0] = False
    effect = item_effect([items(right)], accuracy)
    assert effect.value == pytest.approx(9 / 204)
    assert "9 items changed" in effect.reason
    assert interval(effect) is None
    assert item_effect([], accuracy).value is None


def test_a_metric_that_resamples_leave_undefined_has_no_interval() -> None:
    right = np.random.default_rng(10).random((30, 2)) < 0.5
    cell = items(right)
    cell.before[1:, 1] = cell.after[1:, 1] = 0.0  # only the first item has a label
    with np.errstate(invalid="ignore", divide="ignore"):
        effect = item_effect([cell], accuracy)
    assert "undefined" in effect.reason


def test_crossed_seeds_have_both_variances() -> None:
    """Against a two-way analysis of variance, cell by cell, of 3 alignments and 4 fine-tuning seeds."""
    values = np.random.default_rng(5).normal(0, 1, (3, 4))
    rows, columns = [sum(row) / 4 for row in values], [sum(column) / 3 for column in values.T]
    first = sum((r - sum(rows) / 3) ** 2 for r in rows) / 2 / 3
    second = sum((c - sum(columns) / 4) ** 2 for c in columns) / 3 / 4
    found = crossed_error(values)
    assert found is not None
    assert found[0] == pytest.approx((first + second) ** 0.5)
    assert found[1] == pytest.approx((first + second) ** 2 / (first**2 / 2 + second**2 / 3))
    assert crossed_error(values.T) == pytest.approx(found)


def test_one_kind_of_seeds_is_students_t() -> None:
    effect = mean_effect(VALUES, "seeds")
    for table in (np.array([VALUES]), np.array([VALUES]).T):
        assert crossed_error(table) == pytest.approx((effect.error, effect.freedom))
    assert crossed_error(np.array([[0.3]])) is None
    assert crossed_error(np.zeros((3, 3))) == (0.0, 2.0)
    assert (crossed_error(np.array([[0.1, 0.2, 0.4], [0.2, 0.2, 0.3]])) or (0, 0))[1] == 1.0


def test_kinds_of_noise_are_combined_as_in_welchs_test() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(1, 1, 4), rng.normal(0, 3, 9)
    effects = [mean_effect(values.tolist(), "units") for values in (first, second)]
    both, welch = combined(*effects), group_effect(first.tolist(), second.tolist(), "units")
    assert both is not None
    assert (both.error, both.freedom) == pytest.approx((welch.error, welch.freedom))
    assert both.value == effects[0].value
    assert combined(effects[0], mean_effect([0.1], "units")) is None
    few, many = Effect(0.1, 1.0, 2.0, 3, "seeds", "t"), Effect(0.1, 0.5, 200.0, 201, "items", "t")
    both, alone = combined(few, many), interval(few)
    assert both is not None
    assert interval(both) == pytest.approx(alone)  # not narrower, though there is more freedom
    assert combined(Effect(None), effects[0]) is None


# Simulated studies: what is offered covers 93 to 97 %. Binomial sd of a coverage: 0.5 points.


def normal(rng: Any, shape: Any) -> Any:
    return rng.normal(0, 1, shape)


def collapsing(rng: Any, shape: Any) -> Any:
    """Mostly good seeds, and a tail of bad ones: skewness -2."""
    return -rng.exponential(1, shape)


def slightly_skewed(rng: Any, shape: Any) -> Any:
    """Skewness 1."""
    return (rng.gamma(4, 1, shape) - 4) / 2


def coverage(differences: Any, truth: float) -> float:
    inside = []
    for row in differences:
        bounds = interval(mean_effect(row.tolist(), "seeds"))
        assert bounds is not None
        inside.append(bounds[0] <= truth <= bounds[1])
    return float(np.mean(inside))


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("arm", [normal, collapsing])
def test_intervals_over_seeds_cover(arm: Any, seeds: int) -> None:
    """Both arms have seed effects of one kind: paired differences are symmetric, skewed arms or not."""
    rng = np.random.default_rng(seeds)
    shape = (STUDIES, seeds)
    found = coverage(0.3 + arm(rng, shape) - arm(rng, shape), 0.3)
    assert 0.93 <= found <= 0.975


def crossed(spreads: Any, shape: tuple[int, int], rng: Any) -> Any:
    """[STUDIES, A, S] differences without an effect: noise of alignments, of fine-tuning seeds, of both.

    The second is shared by all alignments, as the untouched encoder's noise is.
    """
    aligned, tuned, both = spreads
    found = rng.normal(0, 1, (STUDIES, shape[0], 1)) * aligned
    found = found + rng.normal(0, 1, (STUDIES, 1, shape[1])) * tuned
    return found + rng.normal(0, 1, (STUDIES, *shape)) * both


def covered(values: Any) -> float:
    """How often zero lies in the 95% interval."""
    errors = [crossed_error(table) or (0.0, 1.0) for table in values]
    means = values.mean(axis=(1, 2))
    return float(
        np.mean(
            [abs(m) <= stats.t.ppf(0.975, f) * e for m, (e, f) in zip(means, errors, strict=True)]
        )
    )


@pytest.mark.parametrize("shape", [(2, 3), (3, 3), (3, 5), (5, 3), (5, 5)])
@pytest.mark.parametrize(
    "spreads", [(1, 0.04, 0.04), (1, 0, 0.3), (0.04, 1, 0.04), (0, 0, 1), (1, 1, 1), (1, 0, 1)]
)
def test_intervals_over_crossed_seeds_cover(spreads: Any, shape: tuple[int, int]) -> None:
    """Whichever kind of noise there is, and however little of the others: never less than said."""
    rng = np.random.default_rng([*shape, int(100 * sum(spreads))])
    assert 0.92 <= covered(crossed(spreads, shape, rng)) <= 1.0


def test_a_t_test_over_one_kind_of_seeds_misses_the_other() -> None:
    """Why the seeds are crossed: of three seeds each, one t over nine runs, or over three means."""
    rng = np.random.default_rng(8)
    frozen, shared = crossed((1, 0, 0.04), (3, 3), rng), crossed((0, 1, 0.04), (3, 3), rng)
    runs = coverage(frozen.reshape(STUDIES, 9)[:500], 0.0)
    heads = coverage(frozen[:500, 0], 0.0)
    means = coverage(shared.mean(axis=2)[:500], 0.0)
    assert runs < 0.75
    assert heads < 0.2
    assert means < 0.2


@pytest.mark.parametrize("spread", [0.0, 0.03])
def test_intervals_over_seeds_and_items_together_cover(spread: float) -> None:
    """Other models and other items of the same kinds: 3 alignments x 3 seeds, 200 items, no effect."""
    rng, inside, studies = np.random.default_rng(4), [], 300
    for _ in range(studies):
        chance = 0.7 + rng.normal(0, 0.1, 200)  # of items: what they gain is theirs too
        gain = rng.normal(0, 0.15, 200)[:, None, None] + rng.normal(0, spread, (1, 3, 1))
        before = rng.random((200, 1, 3)) < chance[:, None, None]
        after = rng.random((200, 3, 3)) < chance[:, None, None] + gain
        ids = [f"{n}" for n in range(200)]
        ones = np.ones(200)
        cells = [
            PairedItems(
                ids,
                np.stack([before[:, 0, s], ones], -1).astype(float),
                np.stack([after[:, a, s], ones], -1).astype(float),
            )
            for a in range(3)
            for s in range(3)
        ]
        change = (after.mean(0) - before.mean(0)).astype(float)
        error, freedom = crossed_error(change) or (0.0, 1.0)
        seeds = Effect(float(change.mean()), error, freedom, 3, "seeds", "t")
        bounds = interval(combined(seeds, item_effect(cells, accuracy)) or seeds)
        assert bounds is not None
        inside.append(bounds[0] <= 0 <= bounds[1])
    assert np.mean(inside) >= 0.92


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_intervals_over_seeds_cover_slightly_skewed_differences(seeds: int) -> None:
    rng = np.random.default_rng(seeds + 100)
    assert 0.925 <= coverage(slightly_skewed(rng, (STUDIES, seeds)), 0.0) <= 0.97


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_seeds_that_collapse_in_one_arm_alone_are_no_purpose_of_the_interval(seeds: int) -> None:
    """The documented limit: what the module says of it is what happens."""
    rng = np.random.default_rng(seeds + 200)
    assert 0.86 <= coverage(collapsing(rng, (STUDIES, seeds)), -1.0) <= 0.92


def test_a_bootstrap_over_three_seeds_is_rightly_not_offered() -> None:
    rng = np.random.default_rng(11)
    draws = rng.normal(0, 1, (STUDIES, 3))
    weights = rng.multinomial(3, [1 / 3] * 3, 1000) / 3
    low, high = np.percentile(draws @ weights.T, [2.5, 97.5], axis=1)
    assert np.mean((low <= 0) & (high >= 0)) == pytest.approx(0.76, abs=0.03)
    assert not hasattr(inference, "bootstrap_over_seeds")


def intervals_of_all(changes: Any) -> tuple[Any, Any, Any]:
    """(low, high, whether offered) of many studies at once; ``changes`` [studies, languages, items].

    One matrix product in place of a call for each; the first studies are held against the calls.
    """
    count = changes.shape[-1]
    drawn = inference.draws(count)
    found = drawn @ changes.mean(axis=1).T / count
    half = stats.t.ppf(0.975, count - 1) * found[1:].std(axis=0) * math.sqrt(count / (count - 1))
    offered = (changes != 0).any(axis=1).sum(axis=1) >= inference.FEWEST_CHANGED
    low, high = found[0] - half, found[0] + half
    for study in range(5):
        cells = [items(np.stack([each < 0, each > 0], axis=-1)) for each in changes[study]]
        bounds = interval(item_effect(cells, accuracy))
        assert (bounds is not None) == offered[study]
        assert bounds is None or bounds == pytest.approx((low[study], high[study]))
    return low, high, offered


def binary(count: int, before: float, after: float, agreement: float) -> Any:
    """[studies, 1, items] changes of accuracy, from right before and after with these chances."""
    spread = math.sqrt(before * (1 - before) * after * (1 - after))
    both = min(before * after + agreement * spread, before, after)
    chances = [after - both, before - both, 1 - before - after + 2 * both]
    return np.random.default_rng(count).choice(
        [1.0, -1.0, 0.0], p=chances, size=(STUDIES, 1, count)
    )


@pytest.mark.parametrize(
    ("count", "before", "after", "agreement"),
    [
        (204, 0.88, 0.90, 0.8),
        (204, 0.60, 0.65, 0.5),
        (128, 0.70, 0.70, 0.6),
        (900, 0.95, 0.97, 0.7),
    ],
)
def test_intervals_over_binary_items_cover(
    count: int, before: float, after: float, agreement: float
) -> None:
    """Accuracy on SIB-sized test sets; of the studies that are offered an interval."""
    low, high, offered = intervals_of_all(binary(count, before, after, agreement))
    assert offered.sum() > 0.2 * STUDIES
    assert 0.93 <= np.mean(((low <= after - before) & (after - before <= high))[offered]) <= 0.975


def test_intervals_over_hardly_enough_items_are_never_too_narrow() -> None:
    """Ten changed items on average: half of the studies have an interval, the wider ones."""
    low, high, offered = intervals_of_all(binary(250, 0.95, 0.97, 0.4975))
    assert 0.3 * STUDIES < offered.sum() < 0.8 * STUDIES
    assert 0.93 <= np.mean(((low <= 0.02) & (high >= 0.02))[offered]) <= 0.99


def test_intervals_over_items_shared_by_languages_cover() -> None:
    """Five languages, each item as easy in all of them: taken for 500 items it would cover far less."""
    rng = np.random.default_rng(12)
    ease, learnable = rng.random((2, STUDIES, 1, 100))
    before = rng.random((STUDIES, 5, 100)) < ease
    learnt = (learnable < 0.5) & (rng.random((STUDIES, 5, 100)) < 0.8)
    changes = (learnt & ~before).astype(float)
    truth = 0.5 * 0.5 * 0.8  # not known before, learnable, and learnt
    low, high, offered = intervals_of_all(changes)
    assert offered.mean() > 0.99
    assert 0.93 <= np.mean((low <= truth) & (truth <= high)) <= 0.97
    apart = changes.reshape(STUDIES, -1)
    half = stats.t.ppf(0.975, 499) * apart.std(axis=1, ddof=1) / math.sqrt(500)
    assert np.mean(np.abs(apart.mean(axis=1) - truth) <= half) < 0.9


# False positives under the null, after correction.


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_holm_keeps_the_family_wise_error(seeds: int) -> None:
    """28 comparisons without an effect, sharing the untouched encoder: one false call in 20 families."""
    rng = np.random.default_rng(seeds + 300)
    treated = rng.normal(0, 1, (STUDIES, 28, seeds))
    untouched = rng.normal(0, 1, (STUDIES, 1, seeds))
    p = stats.ttest_1samp(treated - untouched, 0, axis=2).pvalue
    wrong = np.mean([min(holm(row)) <= 0.05 for row in p.tolist()])
    uncorrected = np.mean((p <= 0.05).any(axis=1))
    assert wrong <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / STUDIES)
    assert uncorrected > 0.25


def test_equivalence_is_wrongly_claimed_as_seldom_as_it_says() -> None:
    """The effect lies on the margin: no more than one call in 20."""
    draws = np.random.default_rng(14).normal(0.5, 0.2, (STUDIES, 5))
    wrong = [p_within(mean_effect(row.tolist(), "seeds"), 0.5) for row in draws]
    assert np.mean([p is not None and p < 0.05 for p in wrong]) == pytest.approx(0.05, abs=0.015)

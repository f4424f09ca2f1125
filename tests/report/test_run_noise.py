"""Effects over runs: which noise counts, and why there is none where there is none."""

import numpy as np
import pytest
from scipy import stats

from xbench.report.results.results import NOT_TUNED, Run
from xbench.report.statistics.inference import interval, p_beyond
from xbench.report.statistics.run_noise import alignments, effect_over

SEEDS = (15, 33, 42)
NOISE = np.random.default_rng(2).normal(0.02, 0.01, (4, 3))


def runs(*align_seeds: int | None) -> dict[Run, float]:
    return {
        Run(seed, each): float(NOISE[row, column])
        for row, each in enumerate(align_seeds)
        for column, seed in enumerate(SEEDS)
    }


@pytest.mark.parametrize("align_seed", [None, 42])
def test_one_alignment_or_none_is_the_paired_t_test(align_seed: int | None) -> None:
    effect = effect_over(runs(align_seed))
    expected = stats.ttest_1samp(NOISE[0], 0.0)
    bounds = expected.confidence_interval(0.95)
    assert interval(effect) == pytest.approx((bounds.low, bounds.high))
    assert p_beyond(effect) == pytest.approx(expected.pvalue)
    assert (effect.n, effect.unit, effect.test) == (3, "fine-tuning seeds", "paired t")


def test_several_alignments_are_crossed_with_fine_tuning_seeds() -> None:
    found = runs(42, 43, 44, 45)
    effect, again = effect_over(found), effect_over(dict(reversed(found.items())))
    rows, columns = NOISE.mean(axis=1), NOISE.mean(axis=0)
    squared = stats.sem(rows) ** 2 + stats.sem(columns) ** 2
    assert effect.value == pytest.approx(NOISE.mean())
    assert effect.error == pytest.approx(squared**0.5)
    assert (effect.value, effect.error) == pytest.approx((again.value, again.error))
    assert (effect.n, effect.unit) == (3, "seeds of each kind")
    assert effect.test == "crossed t (4 alignment x 3 fine-tuning)"
    assert alignments(found) == (42, 43, 44, 45)


def test_where_nothing_is_fine_tuned_alignments_are_the_sample() -> None:
    effect = effect_over({Run(NOT_TUNED, 42 + row): float(NOISE[row, 0]) for row in range(4)})
    expected = stats.ttest_1samp(NOISE[:, 0], 0.0)
    assert p_beyond(effect) == pytest.approx(expected.pvalue)
    assert (effect.n, effect.unit) == (4, "alignment seeds")
    assert effect.test == "paired t"


def test_without_a_full_crossing_or_spread_there_is_no_error() -> None:
    ragged = runs(42, 43)
    del ragged[Run(33, 43)]
    single = {Run(15, 42): 0.1, Run(15, 43): 0.2}
    same = dict.fromkeys(runs(42, 43), 0.25)
    for values, reason in (
        (ragged, "an alignment lacks fine-tuning seeds"),
        (single, "no test with one of fine-tuning seeds"),
        (same, "all seeds of each kind agree"),
    ):
        effect = effect_over(values)
        assert effect.value == pytest.approx(np.mean(list(values.values())))
        assert (effect.error, effect.reason[: len(reason)]) == (None, reason)

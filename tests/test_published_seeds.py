"""The statistics on published results with five seeds each: what they say, and what correction leaves."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xbench.api.claim import Effect
from xbench.report.statistics.inference import (
    holm,
    interval,
    mean_effect,
    p_beyond,
    p_within,
)
from xbench.report.statistics.stats import mean_sd

TABLE = pd.read_csv(Path(__file__).parent / "published" / "udpos_xlmr_base.csv")
LANGUAGES = [name for name in TABLE.columns if len(name) == 2]
CRITICAL = 2.776  # Student's t, 4 degrees of freedom, 5 % two-sided


def scores(method: str) -> pd.DataFrame:
    return TABLE[TABLE["method"] == method].set_index("seed")[LANGUAGES]


def changes() -> pd.DataFrame:
    """[seeds, languages], paired by seed."""
    after, before = scores("before_fastalign"), scores("baseline")
    return after - before.loc[after.index]


@pytest.fixture(scope="module")
def effects() -> dict[str, Effect]:
    return {code: mean_effect(changes()[code].tolist(), "seeds") for code in LANGUAGES}


def test_the_table_is_what_was_published() -> None:
    """34 languages; each row has the mean that the source states for it."""
    assert len(LANGUAGES) == 34
    assert TABLE[LANGUAGES].mean(axis=1).to_numpy() == pytest.approx(TABLE["average"], abs=1e-5)


def test_mean_and_spread_of_the_baseline() -> None:
    mean, sd = mean_sd(scores("baseline").mean(axis=1).tolist())
    assert (round(mean, 4), round(sd or 0, 4)) == (0.8090, 0.0011)


def test_four_languages_gain_and_five_lose_uncorrected(effects: dict[str, Effect]) -> None:
    """The reading of these results, language by language: effects change their sign."""
    t = {code: (each.value or 0) / (each.error or 1) for code, each in effects.items()}
    assert {code for code in t if t[code] > CRITICAL} == {"de", "ar", "fr", "ta"}
    assert {code for code in t if t[code] < -CRITICAL} == {"fa", "ko", "ru", "th", "vi"}
    for code, each in effects.items():
        expected = stats.ttest_rel(scores("before_fastalign")[code], scores("baseline")[code])
        assert p_beyond(each) == pytest.approx(expected.pvalue, rel=1e-6)


def test_of_nine_correction_leaves_one_or_two(effects: dict[str, Effect]) -> None:
    """Holm over 34 languages: Thai alone, which loses. Exploring, with false ones allowed: Russian too."""
    p = [p_beyond(each) or 0.0 for each in effects.values()]
    strict, exploring = (
        {code for code, q in zip(LANGUAGES, adjust(p), strict=True) if q <= 0.05}
        for adjust in (holm, lambda p: stats.false_discovery_control(p, method="bh"))
    )
    assert strict == {"th"}
    assert exploring == {"th", "ru"}


def test_the_average_says_nothing_either_way() -> None:
    """No effect beyond seeds on average, and one that is surely smaller than half a point."""
    differences = changes().mean(axis=1).tolist()
    effect = mean_effect(differences, "seeds")
    bounds = interval(effect)
    assert bounds is not None
    assert bounds[0] < 0 < bounds[1]
    p = p_within(effect, 0.005)
    assert p is not None
    assert p < 0.05
    flipped = stats.permutation_test((differences,), np.mean, permutation_type="samples")
    assert flipped.pvalue == pytest.approx(10 / 32)

"""Averages against a slow obvious computation, and every kind of gap."""

import numpy as np
import pytest
from scipy import stats

from xbench.report.results.averages import CellAverage, average, difference
from xbench.report.results.results import Block, Measurement, Run

LANGUAGES = ("deu", "eng", "kaz", "kor")
SEEDS = (Run(15), Run(33), Run(42))


def random_block(seed: int) -> tuple[Block, np.ndarray]:
    values = np.random.default_rng(seed).uniform(size=(len(LANGUAGES), len(SEEDS)))
    block = {
        (language, s): Measurement("done", float(values[i, j]), 10, f"{language}{s.seed}", None)
        for i, language in enumerate(LANGUAGES)
        for j, s in enumerate(SEEDS)
    }
    return block, values


def without(block: Block, *places: tuple[str, Run], status: str | None = None) -> Block:
    gap = {p: Measurement(status, None, None, None, "why") for p in places} if status else {}
    return {p: m for p, m in block.items() if p not in places} | gap


def test_mean_over_languages_then_over_seeds() -> None:
    block, values = random_block(0)
    result = average(block, LANGUAGES, SEEDS)
    per_seed = values.mean(axis=0)
    assert result.status == "done"
    assert result.per_run(LANGUAGES, SEEDS) == pytest.approx(per_seed)
    assert result.mean_sd() == pytest.approx((per_seed.mean(), per_seed.std(ddof=1)))
    assert len(result.keys) == len(set(result.keys)) == 12


def test_differences_are_paired_by_seed() -> None:
    (treated, after), (baseline, before) = random_block(1), random_block(2)
    result = difference(
        average(treated, LANGUAGES, SEEDS), average(baseline, LANGUAGES, tuple(reversed(SEEDS)))
    )
    expected = stats.ttest_rel(after.mean(axis=0), before.mean(axis=0))
    interval = expected.confidence_interval(0.95)
    assert result is not None
    assert result.mean == pytest.approx((after - before).mean())
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high))
    assert result.n == 3


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["failed", "blocked", "missing"], "failed"),
        (["blocked", "missing"], "blocked"),
        (["missing"], "incomplete"),
    ],
)
def test_the_worst_gap_names_the_cell(statuses: list[str], expected: str) -> None:
    block, _ = random_block(0)
    for place, status in zip(list(block)[2:], statuses, strict=False):
        block = without(block, place, status=status)
    result = average(block, LANGUAGES, SEEDS)
    assert (result.status, result.have, result.want) == (expected, 12 - len(statuses), 12)
    assert not result.shown
    assert result.keys == ()


def test_nothing_computed_is_missing_and_nothing_asked_is_absent() -> None:
    block, _ = random_block(0)
    assert average(without(block, *block, status="missing"), LANGUAGES, SEEDS).status == "missing"
    for allowed in (False, True):
        assert average({}, LANGUAGES, SEEDS, allowed).status == "absent"


def test_an_absent_row_of_a_computed_block_makes_it_incomplete() -> None:
    block, _ = random_block(0)
    result = average(without(block, ("kaz", Run(33))), LANGUAGES, SEEDS)
    assert (result.status, result.have) == ("incomplete", 11)
    assert result.gaps == [("kaz", Run(33))]


def partial(*gaps: tuple[str, Run]) -> tuple[CellAverage, np.ndarray]:
    block, values = random_block(3)
    return average(without(block, *gaps), LANGUAGES, SEEDS, allow_partial=True), values


def test_a_part_is_a_full_rectangle() -> None:
    """Seed 42 has nothing and goes; Kazakh lacks seed 15 and goes: three by two remain."""
    result, values = partial(*((language, Run(42)) for language in LANGUAGES), ("kaz", Run(15)))
    assert result.status == "partial"
    assert (result.languages, result.runs) == (("deu", "eng", "kor"), SEEDS[:2])
    assert result.mean_sd()[0] == pytest.approx(values[[0, 1, 3]][:, :2].mean())
    assert len(result.keys) == 6


def test_a_part_without_a_common_language_is_refused() -> None:
    result, _ = partial(*((la, s) for i, la in enumerate(LANGUAGES) for s in SEEDS[i % 3 :][:1]))
    assert result.status == "incomplete"


def test_differences_of_parts_compare_the_same_languages_and_seeds() -> None:
    treated, after = partial(("deu", Run(15)))
    block, before = random_block(4)
    baseline = average(without(block, ("eng", Run(33))), LANGUAGES, SEEDS, allow_partial=True)
    result = difference(treated, baseline)
    assert result is not None
    assert result.mean == pytest.approx((after - before)[2:].mean())


def test_no_difference_without_both_numbers() -> None:
    block, _ = random_block(0)
    complete = average(block, LANGUAGES, SEEDS)
    assert difference(complete, average({}, LANGUAGES, SEEDS)) is None
    assert difference(average({}, LANGUAGES, SEEDS), complete) is None
    assert difference(complete, average(block, LANGUAGES, ())) is None


def test_one_seed_has_a_difference_and_no_interval() -> None:
    block, _ = random_block(0)
    result = difference(average(block, LANGUAGES, SEEDS[:1]), average(block, LANGUAGES, SEEDS[:1]))
    assert result is not None
    assert (result.mean, result.low, result.high, result.n) == (0.0, None, None, 1)


def test_seeds_that_only_one_side_has_are_not_compared() -> None:
    (treated, after), (baseline, before) = random_block(5), random_block(6)
    result = difference(average(treated, LANGUAGES, SEEDS), average(baseline, LANGUAGES, SEEDS[1:]))
    assert result is not None
    assert result.mean == pytest.approx((after - before)[:, 1:].mean())
    assert result.n == 2

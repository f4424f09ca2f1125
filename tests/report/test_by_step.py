"""The comparison of checkpoints: which numbers stand where, and the paired difference."""

from typing import Any

import pandas as pd
import pytest
from scipy import stats

from xbench.report.statistics.stats import paired_t_interval
from xbench.report.tables.study import build_tables
from xbench.report.write import render


def frame_of(make: Any, steps: tuple[int, ...]) -> pd.DataFrame:
    rows = make.block(value=make.score(0.5))
    for place, step in enumerate(steps):
        names = make.aligned("S1W0M0") | {"align_step": step}
        rows += make.block(value=make.score(0.5 + 0.02 * place, 1 + place), **names)
    return pd.DataFrame(rows)


def tables(make: Any, *steps: int) -> list[Any]:
    return [t for t in build_tables(frame_of(make, steps)) if t.name == "by_step"]


def test_one_step_needs_no_comparison(make: Any) -> None:
    assert tables(make, 100) == []


def test_each_step_has_its_mean_and_the_last_is_compared_with_the_first(make: Any) -> None:
    (table,) = tables(make, 3000, 6000)
    assert [column.label for column in table.columns] == ["3000", "6000", "last to first"]
    assert [row.label for row in table.rows] == ["deu-eng S1W0M0"]
    (first, last, change) = table.cells[0]
    assert first.value == pytest.approx(0.6)
    assert last.value == pytest.approx(0.62)
    # seeds differ by -0.01, 0, +0.01 times the slope, which is 1 and 2
    differences = [0.02 - 0.01, 0.02, 0.02 + 0.01]
    low, high = paired_t_interval(differences) or (None, None)
    assert change.difference.mean == pytest.approx(0.02)
    assert (change.difference.low, change.difference.high) == pytest.approx((low, high))
    assert change.text == "+2.0"


def test_three_steps_are_in_order(make: Any) -> None:
    (table,) = tables(make, 900, 100, 500)
    assert [column.label for column in table.columns] == ["100", "500", "900", "last to first"]
    assert "after 100, 500 and 900 steps" in table.caption


@pytest.mark.parametrize("format", ["markdown", "latex", "terminal"])
def test_every_renderer_takes_it(make: Any, format: str) -> None:
    rendered = render(tables(make, 3000, 6000), format)
    assert "3000" in rendered
    assert "last to first" in rendered


def test_a_failed_step_is_named_and_gives_no_difference(make: Any) -> None:
    frame = frame_of(make, (3000, 6000))
    lost = (frame["align_step"] == 6000) & (frame["seed"] == 33)
    frame.loc[lost, ["status", "value", "reason"]] = ["failed", None, "loss is NaN"]
    (table,) = [t for t in build_tables(frame) if t.name == "by_step"]
    _, last, change = table.cells[0]
    assert (last.status, change.status) == ("failed", "absent")
    assert any("loss is NaN" in note for note in table.notes)


def test_steps_are_compared_within_each_alignment(make: Any) -> None:
    """Alignments differ by tenths, and gain .02 each: .019, .02 and .021 on average of their seeds."""
    rows = make.block(value=make.score(0.5))
    for seed, base in ((42, 0.4), (43, 0.6), (44, 0.5)):
        for step, gain in ((3000, 0.0), (6000, 0.02 + (seed - 43) / 1000)):
            names = make.aligned("S1W0M0", align_seed=seed) | {"align_step": step}
            rows += make.block(value=make.score(base + gain), **names)
    (table,) = [t for t in build_tables(pd.DataFrame(rows)) if t.name == "by_step"]
    first, _, change = table.cells[0]
    assert (first.value, first.n) == (pytest.approx(0.6), 9)
    error = (
        0.001 / 3**0.5
    )  # fine-tuning seeds do not vary, and alignments have two degrees of freedom
    assert change.difference.mean == pytest.approx(0.02)
    assert change.difference.high == pytest.approx(0.02 + stats.t.ppf(0.975, 2) * error)
    assert any("over 3 alignment seeds (42, 43, 44)" in note for note in table.notes)
    assert "of aligned encoders over 3 alignment seeds too" in table.caption

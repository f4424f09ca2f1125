"""Stars in Table 1: paired t tests, corrected for how many differences a panel shows."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xbench.report.results.averages import CellAverage, average, difference
from xbench.report.results.results import Measurement, Run
from xbench.report.statistics.inference import holm
from xbench.report.table import COVERED, TableCell
from xbench.report.tables.significance import STAR, corrected

from .conftest import Make
from .test_table1 import build, cell, notes

SEEDS = (Run(15), Run(33), Run(42))


def block(values: list[float]) -> CellAverage:
    found = {
        ("deu", seed): Measurement("done", value, 100, f"key {seed.seed}", None)
        for seed, value in zip(SEEDS, values, strict=True)
    }
    return average(found, ["deu"], SEEDS)


def changed(values: list[float]) -> TableCell:
    """A cell with the difference of these values to .5, .52 and .51."""
    change = difference(block(values), block([0.5, 0.52, 0.51]))
    assert change is not None
    return TableCell("x", value=0.5, difference=change, details=("+1.0", "[0.0, +2.0]"))


ROWS = ([0.55, 0.571, 0.56], [0.52, 0.535, 0.55], [0.51, 0.50, 0.53], [0.48, 0.51, 0.49])


def test_p_values_are_scipys_and_corrected_over_all_lines() -> None:
    cells = [changed(values) for values in ROWS]
    found = corrected({"one": tuple(cells[:3]), "two": (cells[3], COVERED)}, "full")
    given = [stats.ttest_rel(values, [0.5, 0.52, 0.51]).pvalue for values in ROWS]
    shown = [c.difference.adjusted for line in found.values() for c in line if c.difference]
    assert shown == pytest.approx(holm([float(p) for p in given]), rel=1e-6)
    starred = [c.details[0].endswith(STAR) for line in found.values() for c in line if c.difference]
    assert starred == [p <= 0.05 for p in shown if p is not None]
    assert starred == [True, False, False, False]
    assert found["two"][1] == COVERED


def test_differences_without_interval_or_spread_are_no_part_of_the_family() -> None:
    """One seed; and three that agree to the last digit."""
    single = difference(
        average({("deu", Run(15)): block(ROWS[0]).block["deu", Run(15)]}, ["deu"], [Run(15)]),
        block(ROWS[0]),
    )
    same = changed([0.6, 0.62, 0.61])
    alone = TableCell("y", difference=single, details=("0.0",))
    found = corrected({"a": (changed(ROWS[0]), same, alone, TableCell("z"))}, "full")["a"]
    assert found[1:] == (same, alone, TableCell("z"))
    assert found[0].difference is not None
    expected = stats.ttest_rel(ROWS[0], [0.5, 0.52, 0.51]).pvalue
    assert found[0].difference.adjusted == pytest.approx(expected, rel=1e-6)


def test_averages_over_a_part_are_not_tested() -> None:
    partial = replace(changed(ROWS[0]), details=("+5.0†", "[+4.0, +6.0]"))
    assert corrected({"a": (partial,)}, "full")["a"] == (partial,)


def test_no_star_for_noise_alone(make: type[Make]) -> None:
    """28 differences of nothing but seeds: at 5 % each, one in four such tables would have a star."""
    rng = np.random.default_rng(3)
    noisy: Any = lambda language, seed: 0.6 + rng.normal(0, 0.01)  # noqa: E731
    rows = make.block(value=noisy)
    for number in range(28):
        rows += make.block(value=noisy, **make.aligned(f"V{number}"))
    table = build(rows)
    assert STAR not in "".join(c.details[0] for line in table.cells for c in line if c.details)


def test_table_1_says_what_a_star_is(study: pd.DataFrame, make: type[Make]) -> None:
    table = build(study)
    assert "* significant in a paired t test after Holm's correction." in table.caption
    assert "Holm's correction over all differences of a panel" in notes(table)
    shown = cell(table, "deu-eng", "S0W0M1")
    assert shown.difference is not None
    assert shown.difference.adjusted is not None
    single = build([make.row(), make.row(value=0.6, **make.aligned("S1W0M0"))])
    assert "Holm" not in single.caption + notes(single)


def test_a_star_stays_with_its_panel(make: type[Make]) -> None:
    """The family is that of one task and mode: what another panel holds changes nothing in it."""
    rows = make.block(value=make.score(0.5))
    rows += make.block(
        value=lambda lang, s: make.score(0.55)(lang, s) + s / 1e5, **make.aligned("A")
    )
    other = [row | {"mode": "linear", "key": f"linear {row['key']}"} for row in rows]
    alone, both = build(rows), build([*rows, *other])
    (first,) = [c for c in alone.cells[1] if c.difference]
    (again,) = [c for c in both.cells[1] if c.difference]
    assert first.difference == again.difference
    assert first.details[0].endswith(STAR)

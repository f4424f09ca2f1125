"""Tasks without fine-tuning: alignment seeds are all the seeds that there are."""

from typing import Any

import pandas as pd
import pytest
from scipy import stats

from xbench.report.table import Table
from xbench.report.tables.study import build_tables

GAINS = {42: 0.1, 43: 0.16, 44: 0.13}


def tables(make: Any, gains: dict[int, float], fails: int | None = None) -> dict[str, Table]:
    """A search for translations, beside a task that is fine-tuned."""
    found = {"task": "finding", "mode": None, "seed": None, "metric": "accuracy"}
    rows = make.block()
    rows += [make.row(value=0.4, language=code, **found) for code in make.languages]
    for seed, gain in gains.items():
        names = make.aligned("A", align_seed=seed)
        rows += make.block(value=0.6, **names)
        lost = {"status": "failed", "value": None, "reason": "no memory"} if seed == fails else {}
        rows += [
            make.row(**{"value": 0.4 + gain, "language": code, **names, **found, **lost})
            for code in make.languages
        ]
    frame = pd.DataFrame(rows).astype({"align_seed": "Int64", "seed": "Int64"})
    return {table.name: table for table in build_tables(frame)}


def last(table: Table) -> Any:
    """The cell of the aligned encoder in the last column."""
    return table.cells[-1][-1]


def test_the_interval_is_students_over_alignments(make: Any) -> None:
    found = tables(make, GAINS)
    cell = last(found["overview"])
    bounds = stats.ttest_1samp([*GAINS.values()], 0.0).confidence_interval(0.95)
    assert cell.value == pytest.approx(0.53)
    assert (cell.n, cell.spread) == (3, pytest.approx(0.03))
    assert (cell.difference.low, cell.difference.high) == pytest.approx((bounds.low, bounds.high))
    own = found["untrained"]
    assert [row.label for row in own.rows] == ["none (control)", "deu-eng A"]
    assert last(own).value == pytest.approx(0.53)
    assert any("Averages over 3 alignment seeds" in note for note in own.notes)


def test_one_alignment_seed_has_no_interval_and_one_that_failed_is_a_gap(make: Any) -> None:
    single = last(tables(make, {42: 0.1})["overview"])
    assert (single.difference.mean, single.difference.low) == (pytest.approx(0.1), None)
    assert last(tables(make, GAINS, fails=43)["overview"]).text == "failed"

"""Selecting rows of the tidy table: what is kept, and what is refused with a clear message."""

import math
from typing import Any

import pandas as pd
import pytest

from xbench.report.results.reading import read_results
from xbench.report.results.results import ComparedEncoder, Results, Run, Selection

NONE = ComparedEncoder("none")
FULL = ("pos", "full")


def read(rows: list[dict[str, Any]], **selection: Any) -> Results:
    return read_results(pd.DataFrame(rows), Selection(**selection))


def test_the_study_is_read(study: pd.DataFrame) -> None:
    results = read_results(study, Selection())
    assert (results.suite, results.model) == ("mini", "small")
    assert results.panels == [
        ("pos", "full"),
        ("pos", "linear"),
        ("topic", "full"),
        ("topic", "linear"),
    ]
    assert [e.arm for e in results.encoders] == ["none", *["aligned"] * 6, "shuffled"]
    assert results.languages[FULL] == ("deu", "eng", "kaz")
    assert results.seeds[FULL] == (15, 33, 42)
    assert results.unavailable == {("pos", "kas_Deva"): "UD has no Kashmiri treebank."}
    assert results.blocks[FULL, NONE]["deu", Run(33)].value == pytest.approx(0.5)


def test_order_of_rows_does_not_matter(study: pd.DataFrame) -> None:
    shuffled = study.sample(frac=1, random_state=1)
    assert read_results(shuffled, Selection()) == read_results(study, Selection())


def test_other_metrics_splits_probes_and_retrieval_are_left_out(make: Any) -> None:
    others = [
        make.row(metric="macro_f1", value=0.1),
        make.row(split="dev", value=0.2),
        make.row(probe="retrieval", metric="recall", value=0.3),
        make.row(mode=None, seed=None, task="retrieval", value=0.4),
    ]
    results = read([make.row(), *others])
    assert {p: len(b) for p, b in results.blocks.items()} == {(FULL, NONE): 1}
    chosen = read([make.row(), *others], metrics={"pos": "macro_f1"})
    assert chosen.blocks[FULL, NONE]["deu", Run(15)].value == pytest.approx(0.1)


def test_a_cell_without_a_value_may_have_no_metric_or_split(make: Any) -> None:
    results = read(
        [make.row(), make.row(seed=33, status="failed", metric=None, split=None, value=None)]
    )
    assert results.blocks[FULL, NONE]["deu", Run(33)].status == "failed"


def test_the_largest_step_by_default_and_another_by_choice(make: Any) -> None:
    rows = [make.row(**make.aligned("S1W0M0", align_step=s, value=s / 10000)) for s in (3000, 6000)]
    latest, chosen = read(rows), read(rows, align_step=3000)
    assert (latest.align_step, latest.other_steps) == (6000, (3000,))
    (encoder,) = latest.encoders
    assert latest.blocks[FULL, encoder]["deu", Run(15, 42)].value == pytest.approx(0.6)
    assert chosen.blocks[FULL, encoder]["deu", Run(15, 42)].value == pytest.approx(0.3)
    with pytest.raises(ValueError, match="no rows of alignment step 10; there are 3000, 6000"):
        read(rows, align_step=10)


def test_alignment_seeds_are_runs_of_one_encoder(make: Any) -> None:
    rows = [make.row(), *(make.row(**make.aligned("S1W0M0", align_seed=s)) for s in (43, 42))]
    rows.append(make.row(**make.aligned("S1W0M0", align_seed=None, align_step=None)))
    both, one = read(rows), read(rows, align_seed=43)
    none, aligned, during = both.encoders
    assert (aligned.has_alignment, during.has_alignment, none.has_alignment) == (True, False, False)
    assert (both.align_seeds, one.align_seeds) == ((42, 43), (43,))
    assert both.runs(FULL, aligned) == (Run(15, 42), Run(15, 43))
    assert set(both.blocks[FULL, aligned]) == {("deu", run) for run in both.runs(FULL, aligned)}
    assert one.runs(FULL, aligned) == (Run(15, 43),)
    for unaligned in (none, during):
        assert both.runs(FULL, unaligned) == (Run(15),)
    with pytest.raises(ValueError, match="no rows of alignment seed 7; there are 42, 43"):
        read(rows, align_seed=7)


def test_a_language_with_data_somewhere_is_a_gap_not_unavailable(make: Any) -> None:
    rows = [make.row(), make.row(seed=33, status="unavailable", value=None, reason="gone")]
    results = read(rows)
    assert results.unavailable == {}
    assert results.blocks[FULL, NONE]["deu", Run(33)].status == "missing"


def test_an_undefined_value_is_a_failure(make: Any) -> None:
    measurement = read([make.row(value=math.nan)]).blocks[FULL, NONE]["deu", Run(15)]
    assert (measurement.status, measurement.value) == ("failed", None)
    assert "accuracy is undefined" in str(measurement.reason)


def test_one_key_listed_twice_is_one_measurement(make: Any) -> None:
    results = read([make.row(), make.row(), make.row(status="missing", value=None, key=None)])
    assert results.blocks[FULL, NONE]["deu", Run(15)].status == "done"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([{}, {"key": "other"}], "two results for the cell .*keys none-.*, other"),
        ([{"value": 0.1}, {"value": 0.2}], "two results for the cell"),
        ([{}, {"suite": "paper"}], r"several values of suite \(mini, paper\)"),
        ([{}, {"model": "large"}], "several values of model"),
        ([{"status": "fine"}], "status 'fine' .*is not one of done, failed"),
        ([{"arm": "mlm"}], "arm 'mlm' .*is not one of none, aligned, shuffled"),
        ([{"value": 88.0}], r"value 88.0 .*outside \[0, 1\].*not percent"),
        ([{"value": -0.1}], "outside"),
        ([{"seed": None}], "a mode but no seed"),
        ([{"metric": "f1"}], "task pos has no rows of metric 'accuracy'; it has f1"),
        ([{"probe": "geometry"}], "no downstream rows"),
        ([{"status": "unavailable", "value": None}], "no downstream rows"),
    ],
)
def test_what_is_wrong_is_named(make: Any, changes: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read([make.row(**change) for change in changes])


def test_lacking_columns_are_named(study: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="lacks the columns mode, key"):
        read_results(study.drop(columns=["mode", "key", "reason"]), Selection())


def test_the_reason_is_optional(study: pd.DataFrame) -> None:
    assert read_results(study.drop(columns="reason"), Selection()).unavailable == {
        ("pos", "kas_Deva"): "no reason was recorded"
    }

"""Table 1: numbers against pandas, the order of the study, controls, and every status."""

from typing import Any

import pandas as pd
import pytest
from scipy import stats

from xbench.report.results.reading import read_results
from xbench.report.results.results import Selection
from xbench.report.table import Table, TableCell
from xbench.report.tables.notes import selection
from xbench.report.tables.table1 import table1

from .styles import VARIANT_ORDER, study_style


def build(frame: pd.DataFrame | list[Any], **style: Any) -> Table:
    return table1(read_results(pd.DataFrame(frame), Selection()), study_style(**style))


def cell(table: Table, row: str, column: str, group: str = "pos, full") -> TableCell:
    (i,) = [i for i, r in enumerate(table.rows) if (r.label, r.group) == (row, (group,))]
    (j,) = [j for j, c in enumerate(table.columns) if c.label == column]
    return table.cells[i][j]


def notes(table: Table) -> str:
    return "\n".join(table.notes)


def test_numbers_match_pandas(study: pd.DataFrame) -> None:
    table = build(study)
    done = study[(study.status == "done") & (study["task"] == "pos") & (study["mode"] == "full")]
    per_seed = done.groupby(["arm", "pair", "variant", "seed"], dropna=False)["value"].mean()
    none = per_seed["none"].droplevel([0, 1])
    for pair in ("deu-eng", "kaz-kor"):
        for variant in ("S1W0M0", "S0W1M0", "S0W0M1"):
            seeds, shown = per_seed["aligned", pair, variant], cell(table, pair, variant)
            assert shown.value == pytest.approx(seeds.mean())
            assert shown.spread == pytest.approx(seeds.std())
            assert shown.difference is not None
            assert shown.difference.mean == pytest.approx((seeds - none).mean())
            assert (shown.n, len(shown.keys)) == (3, 9)


def test_texts(study: pd.DataFrame) -> None:
    table = build(study)
    shown = cell(table, "deu-eng", "S1W0M0")
    assert (shown.text, shown.details) == ("61.0 ± 3.0", ("+1.0", "[−4.0, +6.0]"))
    same = cell(table, "deu-eng", "S0W1M0")
    assert (same.text, same.details) == ("59.0 ± 1.0", ("−1.0", "[−1.0, −1.0]"))


def test_the_untouched_encoder_is_one_number(study: pd.DataFrame) -> None:
    table = build(study)
    first, *covered = table.cells[0]
    assert (table.rows[0].label, first.text, first.span) == ("none (control)", "60.0 ± 1.0", 3)
    assert first.difference is None
    assert {c.status for c in covered} == {"covered"}


def test_columns_keep_the_order_of_the_study(make: Any) -> None:
    rows = make.block()
    for variant in ("other", "S0.5", *reversed(VARIANT_ORDER)):
        rows += make.block(**make.aligned(variant))
    rows += make.block(**make.aligned("S0W1M0", objective="amber"))
    rows += make.block(**make.aligned(None, objective="procrustes", align_step=None))
    columns = [(c.group[-1], c.label) for c in build(rows).columns]
    assert columns == [
        ("amber", "S0W1M0"),
        *(("hictl", variant) for variant in VARIANT_ORDER),
        ("hictl", "S0.5"),
        ("hictl", "other"),
        ("procrustes", "procrustes"),
    ]


def test_rows_are_pairs_then_controls(study: pd.DataFrame) -> None:
    codes = {"deu": "de", "eng": "en"}
    table = build(study, short_codes=codes)
    expected = ["none (control)", "de-en", "kaz-kor", "de-en shuffled (control)"]
    assert [row.label for row in table.rows[:4]] == expected
    assert [row.control for row in table.rows[:4]] == [True, False, False, True]
    assert len(table.rows) == 16


def test_best_of_a_panel_and_ties_as_they_read(study: pd.DataFrame, make: Any) -> None:
    table = build(study)
    best = [c.text for row in table.cells for c in row if c.best]
    assert best == ["64.0 ± 6.0", "69.0 ± 6.0", "74.0 ± 6.0", "79.0 ± 6.0"]
    near = make.block(value=0.6) + make.block(value=0.6001, **make.aligned("S1W0M0"))
    assert all(c.best for row in build(near).cells for c in row)
    apart = make.block(value=0.6) + make.block(value=0.601, **make.aligned("S1W0M0"))
    assert [c.best for row in build(apart).cells for c in row] == [False, True]


def test_nothing_is_best_alone(make: Any) -> None:
    table = build(make.block())
    assert [c.best for row in table.cells for c in row] == [False]


def test_a_failure_is_never_a_number_and_says_why(study: pd.DataFrame) -> None:
    table = build(study)
    failed = cell(table, "kaz-kor", "S0W1M0", "topic, full")
    assert (failed.text, failed.value, failed.difference) == ("failed", None, None)
    assert "failed: loss is NaN at step_7 - in: topic, full, kaz-kor S0W1M0; topic" in notes(table)


@pytest.mark.parametrize(
    ("status", "reason", "text", "note"),
    [
        ("failed", "out of memory", "failed", "failed: out of memory - in: pos, full, deu-eng"),
        ("blocked", "alignment failed", "blocked", "blocked: alignment failed - in: pos"),
        ("missing", None, "incomplete (8/9)", "incomplete; lacking kaz (seeds 33) - in: pos"),
        (None, None, "incomplete (8/9)", "incomplete; lacking kaz (seeds 33) - in: pos"),
    ],
)
def test_gaps(make: Any, status: str | None, reason: str | None, text: str, note: str) -> None:
    treated = make.block(**make.aligned("S1W0M0"))
    gap = next(r for r in treated if (r["language"], r["seed"]) == ("kaz", 33))
    if status is None:
        treated.remove(gap)
    gap |= {"status": status, "value": None, "reason": reason}
    table = build(make.block() + treated)
    shown = cell(table, "deu-eng", "S1W0M0")
    assert (shown.text, shown.value, shown.difference, shown.keys) == (text, None, None, ())
    assert not shown.best
    assert note in notes(table)


def test_missing_and_never_asked(make: Any) -> None:
    lacking = make.block(status="missing", **make.aligned("S1W0M0"))
    other = make.block(**make.aligned("S0W1M0", pair="kaz-kor"))
    table = build(make.block() + lacking + other)
    assert cell(table, "deu-eng", "S1W0M0").text == "missing"
    assert cell(table, "deu-eng", "S0W1M0").text == "–"
    assert "missing (not computed yet) - in: pos, full, deu-eng S1W0M0" in notes(table)
    assert "– not part of these runs." in notes(table)


def test_an_incomplete_baseline_gives_no_difference(make: Any) -> None:
    table = build(make.block()[:-1] + make.block(value=0.7, **make.aligned("S1W0M0")))
    assert cell(table, "none (control)", "S1W0M0").text == "incomplete (8/9)"
    shown = cell(table, "deu-eng", "S1W0M0")
    assert (shown.text, shown.difference) == ("70.0 ± 0.0", None)


def test_a_part_is_averaged_only_when_asked_and_marked(make: Any) -> None:
    treated = make.block(value=make.score(0.9, 0), **make.aligned("S1W0M0"))[:-1]
    rows = make.block(value=make.score(0.5)) + [r | {"value": r["value"] / 2} for r in treated]
    table = build(rows, allow_partial=True)
    shown = cell(table, "deu-eng", "S1W0M0")
    assert shown.status == "partial"
    assert shown.text == "47.5 ± 0.0†"
    assert shown.details[0] == "−7.5†"
    assert shown.difference is not None
    assert shown.difference.mean == pytest.approx(0.475 - 0.55)
    assert not shown.best
    assert "† averaged over a part (2 of 3 languages, 3 of 3 seeds; lacking kaz" in notes(table)


def test_one_seed_has_no_spread(make: Any) -> None:
    rows = [make.row(), make.row(value=0.6, **make.aligned("S1W0M0"))]
    table = build(rows)
    shown = cell(table, "deu-eng", "S1W0M0")
    assert (shown.text, shown.details, shown.spread) == ("60.0", ("+10.0",), None)
    assert "One seed has no spread and gives no interval." in notes(table)


def test_languages_seeds_and_steps_are_named(study: pd.DataFrame) -> None:
    text = notes(build(study, source_language="eng", notes=("A reconstruction.",)))
    assert "Languages averaged: 3 (eng, deu, kaz); the source language eng is" in text
    assert "Without data, not a gap: kas_Deva (pos): UD has no Kashmiri treebank." in text
    assert "n = 3 (15, 33, 42)" in text
    assert "paired by fine-tuning seed; 95% t interval over seeds (3 seeds)" in text
    assert "Aligned encoders after 100 steps." in text
    assert "One alignment seed (42)" in text
    assert "Test items per language: pos 128, topic 128." in text
    assert text.endswith("A reconstruction.")


def test_caption_names_metric_suite_and_model(study: pd.DataFrame) -> None:
    caption = build(study).caption
    assert caption.startswith("Accuracy in percent, averaged over languages: mean ± sd")
    assert "(n = 3)" in caption
    assert caption.endswith("Suite mini, model small.")


def test_controls_present_and_missing(study: pd.DataFrame, make: Any) -> None:
    assert "Controls: none, mlm (hictl:S0W0M1), shuffled." in build(study).notes
    lonely = build(make.block(**make.aligned("S1W0M0")))
    assert (
        "Controls: not one; MISSING controls: none, mlm (hictl:S0W0M1), shuffled." in lonely.notes
    )
    mixed = build(make.block() + make.block(mode="linear", **make.aligned("S0W0M1")))
    assert "pos, full: none; MISSING controls: mlm (hictl:S0W0M1), shuffled; pos, linear" in notes(
        mixed
    )


def test_differences_are_described_only_where_there_are_some(make: Any) -> None:
    for rows in (make.block(), make.block(**make.aligned("S1W0M0"))):
        table = build(rows)
        assert "ifference" not in table.caption + notes(table)


def test_panels_that_differ_are_described_apart(make: Any) -> None:
    rows = make.block() + make.block(languages=("deu", "eng"), task="topic")
    text = notes(build(rows))
    assert "pos, full: 3 (deu, eng, kaz); topic, full: 2 (deu, eng)." in text


def test_unequal_test_sets_are_flagged(make: Any) -> None:
    table = build(make.block() + make.block(n=64, **make.aligned("S1W0M0")))
    assert "Test items per language: pos 64 to 128." in table.notes
    assert "not tested on the same number of items throughout for deu, eng, kaz" in notes(table)


def three_alignments(make: Any, **panel: Any) -> list[Any]:
    """Of alignment seeds 42, 43 and 44, with scores around .5, .7 and .6; fine-tuning seeds .02 apart."""
    rows = make.block(value=make.score(0.4), **panel)
    for seed, base in ((42, 0.5), (43, 0.7), (44, 0.6)):
        names = make.aligned("S1W0M0", align_seed=seed) | panel
        rows += make.block(value=make.score(base, 2.0), **names)
    return rows


def test_alignment_seeds_are_averaged_and_their_noise_is_in_the_interval(make: Any) -> None:
    """By hand: alignments gain .1, .3 and .2; fine-tuning seeds .19, .2 and .21 more than none's."""
    table = build(three_alignments(make))
    shown = cell(table, "deu-eng", "S1W0M0")
    change = shown.difference
    assert shown.value == pytest.approx(0.7)  # languages are .1 apart, and the lowest is given
    assert (shown.n, len(shown.keys)) == (9, 27)
    assert change is not None
    assert (change.mean, change.n, change.alignments) == (pytest.approx(0.2), 9, 3)
    error = (0.01 / 3 + 0.0001 / 3) ** 0.5
    freedom = error**4 / ((0.01 / 3) ** 2 / 2 + (0.0001 / 3) ** 2 / 2)
    half = stats.t.ppf(0.975, freedom) * error
    assert (change.low, change.high) == pytest.approx((0.2 - half, 0.2 + half))
    assert "Averages over 3 alignment seeds (42, 43, 44)" in notes(table)
    assert "3 seeds crossed with 3 alignment seeds" in notes(table)
    assert "One alignment seed" not in notes(table)
    assert "of aligned encoders over 3 alignment seeds too" in table.caption


def test_an_alignment_that_failed_is_a_gap_with_its_seed(make: Any) -> None:
    rows = three_alignments(make)
    for row in rows:
        if row["align_seed"] == 43:
            row |= {"status": "blocked", "value": None, "reason": "align x: loss is NaN"}
    table = build(rows)
    shown = cell(table, "deu-eng", "S1W0M0")
    assert (shown.text, shown.difference) == ("blocked", None)
    assert "blocked: align x: loss is NaN - in: pos, full, deu-eng S1W0M0." in table.notes
    part = build(rows, allow_partial=True)
    assert cell(part, "deu-eng", "S1W0M0").n == 6
    words = "6 of 9 runs; lacking deu, eng, kaz (align seed 43: seeds 15, 33, 42))"
    assert words in notes(part)


def test_one_alignment_seed_is_not_tested_where_the_encoder_is_frozen(make: Any) -> None:
    """Fine-tuning seeds vary the head alone there: an interval of no width is no evidence."""

    def starred(rows: list[Any], mode: str) -> bool:
        details = cell(build(rows), "deu-eng", "S1W0M0", f"pos, {mode}").details
        return details[0].endswith("*")

    wobble = lambda language, seed: make.score(0.6)(language, seed) + seed / 1e5  # noqa: E731
    rows = []
    for mode in ("full", "linear"):
        rows += make.block(value=make.score(0.5), mode=mode)
        rows += make.block(value=wobble, mode=mode, **make.aligned("S1W0M0"))
    assert (starred(rows, "full"), starred(rows, "linear")) == (True, False)
    shown = cell(build(rows), "deu-eng", "S1W0M0", "pos, linear").difference
    assert shown is not None
    assert (shown.low is not None, shown.adjusted) == (True, None)
    text = notes(build(rows))
    assert "Not tested (pos, linear): aligned encoders." in text
    assert "--align-seed 42,43,44" in text
    assert "of the one aligned checkpoint, not another alignment run" in text
    assert "One alignment seed (42)" in text
    alone = build([row for row in rows if row["mode"] == "linear"])
    assert "*" not in alone.caption + "".join(alone.notes)
    for seed, shift in ((43, 0.004), (44, 0.002)):
        rows += [
            row | {"align_seed": seed, "value": row["value"] + shift, "key": f"{row['key']}{seed}"}
            for row in rows
            if row["align_seed"] == 42
        ]
    assert starred(rows, "linear")
    assert "Not tested" not in notes(build(rows))
    assert "one aligned checkpoint" not in notes(build(rows))


def test_what_another_alignment_seed_would_turn_has_no_star(make: Any) -> None:
    """Heads agree to .0004 within each alignment, which gain .02, lose .01, and gain .005."""
    rows = make.block(value=make.score(0.5), mode="linear")
    for seed, gain in ((42, 0.02), (43, -0.01), (44, 0.005)):
        value = lambda la, s, gain=gain: make.score(0.5 + gain)(la, s) + s / 1e5  # noqa: E731
        names = make.aligned("S1W0M0", align_seed=seed)
        rows += make.block(value=value, mode="linear", **names)
    shown = cell(build(rows), "deu-eng", "S1W0M0", "pos, linear")
    assert shown.difference is not None
    assert shown.difference.adjusted is not None
    assert shown.difference.adjusted > 0.5
    assert "*" not in shown.details[0]


def test_what_was_never_aligned_before_is_tested_everywhere(make: Any) -> None:
    """A fitted transform has no alignment run that another seed would repeat."""
    names = {"arm": "aligned", "objective": "centre", "align_step": None, "align_seed": None}
    rows = make.block(value=make.score(0.5), mode="linear")
    wobble = lambda language, seed: make.score(0.6)(language, seed) + seed / 1e5  # noqa: E731
    rows += make.block(value=wobble, mode="linear", **names)
    table = build(rows)
    assert cell(table, "no pair", "centre", "pos, linear").details[0].endswith("*")
    assert "Not tested" not in notes(table)


def test_a_control_that_a_panel_lacks_has_no_row_there(make: Any) -> None:
    rows = make.block() + make.block(mode="linear")
    rows += make.block(**make.aligned("S1W0M0", arm="shuffled"))
    assert [(r.group[0], r.label) for r in build(rows).rows] == [
        ("pos, full", "none (control)"),
        ("pos, full", "deu-eng shuffled (control)"),
        ("pos, linear", "none (control)"),
    ]


def test_one_seed_is_not_called_an_interval(make: Any) -> None:
    rows = [make.row(), make.row(value=0.6, **make.aligned("S1W0M0"))]
    text = notes(build(rows))
    assert "with the same fine-tuning seed; without an interval" in text
    assert "t interval" not in text
    more = [
        make.row(mode=mode, seed=seed, value=value, **names)
        for mode, seeds in (("full", (15,)), ("linear", (15, 33)))
        for seed in seeds
        for value, names in ((0.5, {}), (0.6, make.aligned("S1W0M0")))
    ]
    text = notes(build(more))
    assert "over seeds (pos, full: 1 seed, no interval; pos, linear: 2 seeds)" in text


def test_a_reason_ends_with_one_full_stop(make: Any) -> None:
    for reason in ("UD has no treebank", "UD has no treebank."):
        lost = make.row(language="kas_Deva", status="unavailable", value=None, reason=reason)
        text = notes(build([make.row(), lost]))
        assert "kas_Deva (pos): UD has no treebank.\n" in text + "\n"
        assert ".." not in text


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ({("pos", "full"): "last", ("pos", "linear"): "last"}, None),
        ({("pos", "full"): "best", ("pos", "linear"): "best"}, "Model selection: the step"),
        ({("pos", "full"): "best", ("pos", "linear"): "last"}, "Model selection (pos, full): the"),
        ({}, None),
    ],
)
def test_a_selected_step_is_said(kept: Any, expected: str | None) -> None:
    found = selection(kept)
    assert (len(found), expected is None) in ((0, True), (1, False))
    if expected:
        assert found[0].startswith(expected)
        assert "development split" in found[0]

"""Tables of probes: numbers by hand, gaps and their reasons, and which layer is shown."""

import dataclasses
from typing import Any

import pandas as pd
import pytest

from xbench.report.results.background import Background, ProbeTable
from xbench.report.results.probe_rows import AS_IT_IS, Measure, read_probes
from xbench.report.results.results import ComparedEncoder, Selection
from xbench.report.table import Table, TableCell
from xbench.report.tables.probes.probes import probe_tables
from xbench.report.tables.study import build_tables
from xbench.report.write import render

from .probed import BACKGROUND, TARGETS, Row, base_row, frame, smooth, study
from .styles import study_style


def tables(
    rows: list[Row], background: Background = BACKGROUND, **style: Any
) -> dict[str, list[Table]]:
    results = read_probes(frame(rows), Selection(), background.wanted)
    found: dict[str, list[Table]] = {}
    for table in probe_tables(results, background, study_style(source_language="eng", **style)):
        found.setdefault(table.name, []).append(table)
    return found


def cell(table: Table, row: str, column: str, group: str = "") -> TableCell:
    (i,) = [
        i
        for i, header in enumerate(table.rows)
        if header.label == row and group in ("", *header.group)
    ]
    (j,) = [j for j, header in enumerate(table.columns) if header.label == column]
    return table.cells[i][j]


PLAIN = study(smooth, smooth)


def of(variant: str | None, pair: str = "deu-eng") -> Row:
    return {} if variant is None else {"variant": variant, "pair": pair}


def test_pairs_by_group_with_their_means_and_changes() -> None:
    first, second = tables(PLAIN)["table2"]
    assert [t.title for t in (first, second)] == ["Similarity (deu-eng)", "Similarity (kaz-kor)"]
    assert [c.label for c in first.columns] == ["none", "S1W0M0", "S0W1M0", "S0W0M1"]
    found = cell(first, "deu-eng", "S1W0M0")
    before, after = (smooth(of(v), "deu", 8) for v in (None, "S1W0M0"))
    assert found.value == pytest.approx(after)
    assert (found.text, found.details) == (f"{after:.3f}", (f"+{after - before:.3f}",))
    assert cell(first, "deu-eng", "none").details == ()
    mean = cell(first, "mean", "S1W0M0", "G1: aligned")
    assert mean.value == pytest.approx((after + smooth(of("S1W0M0"), "kaz", 8)) / 2)
    other = cell(second, "kaz-eng", "S1W0M0")
    assert other.value == pytest.approx(smooth(of("S1W0M0", "kaz-kor"), "kaz", 8))
    everything = [smooth(of(None), code, 8) for code in ("deu", "kaz")] + [0.25]
    assert cell(first, "mean", "none", "all pairs").value == pytest.approx(sum(everything) / 3)


def test_the_layer_nearest_to_the_depth_is_shown_and_named() -> None:
    (table, _) = tables(PLAIN)["table2"]
    assert "Layer 8 (0 is the embedding output)." in table.notes
    deep = dataclasses.replace(BACKGROUND.tables["table2"], depth=1.0)
    table, _ = tables(PLAIN, dataclasses.replace(BACKGROUND, tables={"table2": deep}))["table2"]
    assert "Layer 12 (0 is the embedding output)." in table.notes
    expected = smooth(of(None), "deu", 12)
    assert cell(table, "deu-eng", "none").value == pytest.approx(expected)


def test_without_a_depth_layers_are_averaged_and_a_lacking_layer_is_a_gap() -> None:
    (table, _) = tables(PLAIN)["shares"]
    expected = sum(smooth(of(None), "deu", layer) / 2 for layer in (8, 12)) / 2
    found = cell(table, "deu-eng", "none")
    assert (found.value, found.text) == (pytest.approx(expected), f"{100 * expected:.1f}")
    assert "Mean over the layers 8, 12 (0 is the embedding output)." in table.notes


def test_pairs_without_data_are_named_and_no_gaps() -> None:
    reason = base = [r for r in PLAIN if r["language"] != "kaz-eng"]
    lacking = [
        r | {"value": None, "status": "unavailable", "reason": "FLORES-200 has no Kazakh today"}
        for r in PLAIN
        if r["language"] == "kaz-eng"
    ]
    table = tables(base + lacking)["table2"][0]
    assert "kaz-eng" not in [row.label for row in table.rows]
    assert "Without data, not a gap: kaz-eng: FLORES-200 has no Kazakh today" in table.notes
    assert "Without data, not a gap: hin-kas_Deva." in table.notes
    assert "Without data, not a gap: kaz-eng, hin-kas_Deva." in tables(reason)["table2"][0].notes


def gap(status: str, reason: str | None) -> list[Row]:
    return [
        r | {"value": None, "status": status, "reason": reason}
        if (r["language"], r["variant"], r["pair"]) == ("kaz-eng", "S1W0M0", "deu-eng")
        else r
        for r in PLAIN
    ]


@pytest.mark.parametrize(
    ("status", "text", "mean"),
    [
        ("unavailable", "undefined", "incomplete (1/2)"),
        ("failed", "failed", "failed"),
        ("blocked", "blocked", "blocked"),
        ("missing", "missing", "incomplete (1/2)"),
    ],
)
def test_gaps_are_no_numbers_and_leave_no_mean(status: str, text: str, mean: str) -> None:
    table = tables(gap(status, "states are not finite"))["table2"][0]
    found = cell(table, "kaz-eng", "S1W0M0")
    assert (found.text, found.value, found.details) == (text, None, ())
    assert cell(table, "mean", "S1W0M0", "G1: aligned").text == mean
    assert "kaz-eng: states are not finite" in table.notes


def test_a_part_is_averaged_only_when_asked_and_held_against_the_same_part() -> None:
    table = tables(gap("unavailable", "no"), allow_partial=True)["table2"][0]
    found = cell(table, "mean", "S1W0M0", "G1: aligned")
    before, after = (smooth(of(v), "deu", 8) for v in (None, "S1W0M0"))
    assert (found.status, found.value) == ("partial", pytest.approx(after))
    assert (found.text, found.details) == (f"{after:.3f}†", (f"+{after - before:.3f}",))


def test_languages_with_the_source_first_and_apart_from_the_mean() -> None:
    (table,) = tables(PLAIN)["table3"]
    assert [c.label for c in table.columns][:2] == ["eng", "bul"]
    assert table.columns[-1].label == "mean of targets"
    assert table.title == "Slopes (agreement, pos)"
    row = "deu-eng S1W0M0"
    found = cell(table, row, "spa")
    assert found.value == pytest.approx(smooth(of("S1W0M0"), "spa", 8) / 10)
    assert found.details == ()  # nothing was measured of the untouched encoder
    targets = [smooth(of("S1W0M0"), c.label, 8) / 10 for c in table.columns[1:-1]]
    assert cell(table, row, "mean of targets").value == pytest.approx(sum(targets) / 7)


def test_an_encoder_that_a_measure_does_not_exist_for_has_no_row() -> None:
    none = base_row(probe="slopes", metric="agreement", language="spa", task="pos", value=None)
    none |= {"status": "unavailable", "reason": "no objective"}
    (table,) = tables([*PLAIN, none])["table3"]
    assert not any(row.control for row in table.rows)
    assert "spa: no objective" in table.notes
    (table,) = tables([*PLAIN, none | {"status": "failed"}])["table3"]
    assert cell(table, "none (control)", "spa").text == "failed"


def test_depths_before_and_after_fine_tuning() -> None:
    (table,) = tables(study(smooth, smooth, finetuned=True))["figure1"]
    assert [c.label for c in table.columns] == ["layer 8", "layer 12"]
    labels = [row.label for row in table.rows]
    assert labels[:3] == [
        "none (control)",
        "none (control) fine-tuned on pos full",
        "deu-eng S0W0M1",
    ]
    (plain, tuned) = (cell(table, label, "layer 12") for label in labels[:2])
    assert plain.details == ()
    assert tuned.value == pytest.approx((plain.value or 0) - 0.1)
    assert tuned.details == ("−0.100",)
    aligned = cell(table, "deu-eng S0W0M1", "layer 12")
    assert aligned.details == ("+0.060",)


def with_table(spec: ProbeTable) -> Background:
    return dataclasses.replace(BACKGROUND, tables={"several": spec})


SEVERAL = ProbeTable(
    "measures", "Several", "finder", {"how near": "cosine", "found": "found"}, depth=2 / 3
)


def test_several_measures_beside_each_other_each_the_mean_over_pairs() -> None:
    rows = study(smooth, smooth, finetuned=True)
    (table,) = tables(rows, with_table(SEVERAL))["several"]
    assert [c.label for c in table.columns] == ["how near", "found"]
    assert [row.label for row in table.rows][:2] == [
        "none (control)",
        "none (control) fine-tuned on pos full",
    ]
    near, found = (cell(table, "deu-eng S0W0M1", label).value for label in ("how near", "found"))
    targets = [smooth(of("S0W0M1"), code, 8) for code in TARGETS]
    assert near == pytest.approx((sum(targets) + 0.25) / 8)
    assert found == pytest.approx(sum(targets) / 14)
    tuned = cell(table, "none (control) fine-tuned on pos full", "found")
    assert tuned.details == ("−0.050",)
    assert "Means over 7 or 8 languages or pairs." in table.notes


def test_what_is_of_all_languages_together_is_no_part_of_a_mean() -> None:
    rows = [*PLAIN, base_row(probe="finder", metric="cosine", value=9.0, layer=8)]
    (table,) = tables(rows, with_table(SEVERAL))["several"]
    value = cell(table, "none (control)", "how near").value
    assert value is not None
    assert value < 1
    alone = [r for r in rows if r["metric"] != "cosine" or r["value"] == 9.0]
    (table,) = tables(alone, with_table(SEVERAL))["several"]
    assert cell(table, "none (control)", "how near").value == 9.0


def test_fewer_items_after_fine_tuning_are_said() -> None:
    rows = study(smooth, smooth, finetuned=True)
    (table,) = tables(rows, with_table(SEVERAL))["several"]
    assert not any("at most" in note for note in table.notes)
    fewer = [r | {"n": 60} if r["probe"] and r["mode"] else r for r in rows]
    (table,) = tables(fewer, with_table(SEVERAL))["several"]
    (note,) = (note for note in table.notes if "at most" in note)
    assert note.startswith("fine-tuned on pos full: at most 60 items instead of 100")


def test_a_measure_that_has_nothing_to_do_with_the_task_is_shown_once() -> None:
    slopes = [r for r in PLAIN if r["probe"] == "slopes"]
    rows = [*PLAIN, *(r | {"task": "topic", "key": r["key"] + "/topic"} for r in slopes)]
    (table,) = tables(rows)["table3"]
    assert table.title == "Slopes (agreement, pos, topic)"
    other = [r | {"value": r["value"] + 0.1} if r["task"] == "topic" else r for r in rows]
    assert [t.title for t in tables(other)["table3"]] == [
        "Slopes (agreement, pos)",
        "Slopes (agreement, topic)",
    ]


def test_remarks_are_those_of_the_condition_that_a_table_shows() -> None:
    rows = study(smooth, smooth, finetuned=True)
    said = [r | {"reason": "too few"} if r["probe"] == "finder" and r["mode"] else r for r in rows]
    before, *_, after = tables(said)["table2"]
    assert not any("too few" in note for note in before.notes)
    assert any("too few" in note for note in after.notes)


def test_pairs_of_fine_tuned_encoders_have_tables_of_their_own() -> None:
    found = tables(study(smooth, smooth, finetuned=True))["table2"]
    assert [t.title for t in found] == [
        "Similarity (deu-eng)",
        "Similarity (kaz-kor)",
        "Similarity (deu-eng, fine-tuned on pos, full)",
        "Similarity (kaz-kor, fine-tuned on pos, full)",
    ]
    assert len({t.label for t in found}) == 4
    plain, tuned = (cell(t, "deu-eng", "S1W0M0") for t in (found[0], found[2]))
    assert plain.value == pytest.approx((tuned.value or 0) + 0.1)
    assert plain.details == tuned.details


def test_seeds_are_averaged_and_one_that_is_lacking_leaves_none() -> None:
    rows = study(smooth, smooth, finetuned=True)
    place = (ComparedEncoder("none"), ("pos", "full"), "deu-eng")
    measure = Measure("finder", "cosine", 8)

    def at(rows: list[Row]) -> Any:
        return read_probes(frame(rows), Selection(), BACKGROUND.wanted).at(measure, place)

    assert at(rows).value == pytest.approx(smooth({}, "deu", 8) - 0.1)
    assert len(at(rows).keys) == 3
    one = next(r for r in rows if r["probe"] and r["language"] == "deu-eng" and r["seed"] == 33)
    others = [r for r in rows if r is not one]
    lacking = at([*others, one | {"value": None, "status": "failed", "reason": "boom"}])
    assert (lacking.status, lacking.value, lacking.reason) == ("failed", None, "boom")


def test_a_probe_that_failed_is_named() -> None:
    failed = next(r for r in PLAIN if r["probe"]) | {"metric": None, "language": None}
    failed |= {"layer": None, "value": None, "status": "failed", "reason": "weights are NaN"}
    results = read_probes(frame([*PLAIN, failed]), Selection(), BACKGROUND.wanted)
    assert results.failures == ("finder: failed: weights are NaN",)
    assert "finder: failed: weights are NaN" in tables([*PLAIN, failed])["table2"][0].notes


def test_the_last_step_is_read_and_other_seeds_are_left_out() -> None:
    earlier = [r | {"align_step": 50, "value": 0.9, "key": "old"} for r in PLAIN if r["variant"]]
    assert tables(PLAIN) == tables(PLAIN + earlier)
    results = read_probes(frame(PLAIN + earlier), Selection(align_step=50), BACKGROUND.wanted)
    place = (ComparedEncoder("aligned", "hictl", "S1W0M0", "deu-eng"), AS_IT_IS, "deu-eng")
    found = results.at(Measure("finder", "cosine", 8), place)
    assert found is not None
    assert found.value == 0.9


def test_alignment_seeds_are_averaged_and_told() -> None:
    """The mean over both, one row of a table; a probe that failed for one of them leaves none."""
    tuned = [r for r in PLAIN if r["variant"] and r["probe"]]
    again = [
        r | {"align_seed": 43, "key": f"{r['key']}43", "value": r["value"] + 0.02} for r in tuned
    ]
    both = tables(PLAIN + again)
    for name, found in both.items():
        before = tables(PLAIN)[name]
        assert [[r.label for r in t.rows] for t in found] == [
            [r.label for r in t.rows] for t in before
        ]
    before, after = (
        cell(tables(rows)["table2"][0], "deu-eng", "S1W0M0") for rows in (PLAIN, PLAIN + again)
    )
    assert after.value == pytest.approx((before.value or 0) + 0.01)
    assert "Means over 2 alignment seeds (42, 43)." in both["table2"][0].notes
    assert not any("alignment seeds" in note for note in tables(PLAIN)["table2"][0].notes)
    one = next(r for r in again if r["variant"] == "S1W0M0" and r["probe"] == "finder")
    failed = one | {"metric": None, "language": None, "layer": None, "value": None}
    failed |= {"status": "failed", "reason": "weights are NaN"}
    kept = [r for r in again if r["key"] != one["key"]]
    lost = tables([*PLAIN, *kept, failed])["table2"][0]
    assert cell(lost, "deu-eng", "S1W0M0").text == "failed"
    assert cell(lost, "deu-eng", "S0W1M0").value is not None
    assert any("weights are NaN" in note for note in lost.notes)


def test_what_cannot_be_read_is_refused() -> None:
    wanted = BACKGROUND.wanted
    two = [*PLAIN, next(r for r in PLAIN if r["probe"]) | {"value": 0.1, "key": "other"}]
    with pytest.raises(ValueError, match="two results of finder cosine for bul-eng"):
        read_probes(frame(two), Selection(), wanted)
    models = [*PLAIN, next(r for r in PLAIN if r["probe"]) | {"model": "other"}]
    with pytest.raises(ValueError, match="several values of model"):
        read_probes(frame(models), Selection(), wanted)
    with pytest.raises(ValueError, match="lacks the columns layer"):
        read_probes(frame(PLAIN).drop(columns="layer"), Selection(), wanted)
    infinite = [r | {"value": float("inf")} if r["probe"] else r for r in PLAIN]
    with pytest.raises(ValueError, match="is inf"):
        read_probes(frame(infinite), Selection(), wanted)


def test_a_report_has_them_and_does_not_depend_on_the_order_of_rows() -> None:
    style = study_style(source_language="eng")
    whole = frame(study(smooth, smooth, finetuned=True))
    found = build_tables(whole, style=style, background=BACKGROUND)
    names = list(dict.fromkeys(table.name for table in found))
    assert names[-6:] == ["table2", "shares", "table3", "figure1", "transfer", "relatedness"]
    shuffled = whole.sample(frac=1, random_state=1)
    other = build_tables(shuffled, style=style, background=BACKGROUND)
    assert [render([t], "markdown") for t in other] == [render([t], "markdown") for t in found]
    for format in ("latex", "terminal"):
        assert "S1W0M0" in render(found, format)


def test_probes_alone_make_a_report() -> None:
    rows = [r for r in PLAIN if r["probe"]]
    found = build_tables(frame(rows), background=BACKGROUND)
    assert {table.name for table in found} == {"table2", "shares", "table3", "figure1"}


def test_nothing_of_probes_without_background() -> None:
    names = {table.name for table in build_tables(frame(PLAIN))}
    assert names == {"table1", "per_language"}


def test_numbers_match_pandas() -> None:
    whole = frame(PLAIN)
    (table, _) = tables(PLAIN)["table2"]
    rows: pd.DataFrame = whole[(whole["metric"] == "cosine") & (whole["layer"] == 8)]
    rows = rows[rows["language"].isin(["deu-eng", "kaz-eng"]) & (rows["pair"] == "deu-eng")]
    for variant, mean in rows.groupby("variant")["value"].mean().items():
        found = cell(table, "mean", str(variant), "G1: aligned").value
        assert found == pytest.approx(mean)

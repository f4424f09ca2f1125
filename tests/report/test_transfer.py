"""Does it predict transfer: cells against pandas, known truths, and what is left out."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xbench.report.results.changes import measure_changes, target
from xbench.report.results.probe_rows import AS_IT_IS, Measure, read_probes
from xbench.report.results.reading import read_results
from xbench.report.results.results import Selection
from xbench.report.style import Style
from xbench.report.table import Table
from xbench.report.tables.probes.transfer import Association, associations, transfer_table

from .probed import BACKGROUND, SOURCE, Number, Row, frame, noisy, smooth, study


def found(rows: list[Row], **options: Any) -> dict[tuple[str, str], Association]:
    """(mode, measure) -> association, of checkpoints as alignment left them."""
    results = read_results(frame(rows), Selection())
    probes = read_probes(frame(rows), Selection(), BACKGROUND.wanted)
    every = associations(results, probes, BACKGROUND.measures, options.get("source", SOURCE))
    return {(a.panel[1], a.measure.label): a for a in every if a.condition[1] is None}


def table_of(rows: list[Row]) -> Table:
    results = read_results(frame(rows), Selection())
    probes = read_probes(frame(rows), Selection(), BACKGROUND.wanted)
    (table,) = transfer_table(results, probes, BACKGROUND.measures, Style(source_language=SOURCE))
    return table


def test_cells_and_correlations_match_pandas() -> None:
    rows = study(noisy(1), noisy(2))
    whole = frame(rows)
    cell = ["objective", "variant", "pair", "language"]
    accuracy = whole[whole["probe"].isna() & (whole["mode"] == "full")]
    base = accuracy[accuracy["arm"] == "none"].set_index(["language", "seed"])["value"]
    tuned = accuracy[accuracy["arm"] == "aligned"].set_index([*cell, "seed"])["value"]
    gain = tuned - base.reindex(tuned.index.droplevel([0, 1, 2])).to_numpy()
    gain = gain.groupby(cell).mean()
    cosine = whole[(whole["metric"] == "cosine") & (whole["layer"] == 8)]
    cosine = cosine[cosine["language"].str.endswith("-eng")]
    cosine = cosine.assign(language=cosine["language"].str.removesuffix("-eng"))
    before = cosine[cosine["arm"] == "none"].set_index("language")["value"]
    after = cosine[cosine["arm"] == "aligned"].set_index(cell)["value"]
    change = after - before.reindex(after.index.get_level_values("language")).to_numpy()
    both = pd.concat({"gain": gain, "change": change}, axis=1).dropna()
    assert len(both) == 2 * 3 * 7

    one = found(rows)["full", "cosine, layer 8"].found
    expected = stats.spearmanr(both["change"], both["gain"]).statistic
    assert one.pooled.value == pytest.approx(expected, abs=1e-12)
    means = both.groupby("language").mean()
    between = stats.spearmanr(means["change"], means["gain"]).statistic
    assert one.between.value == pytest.approx(between, abs=1e-12)
    assert (one.cells, one.clusters) == (42, 7)
    level = base.groupby("language").mean().reindex(both.index.get_level_values("language"))
    ranks = [stats.rankdata(v) for v in (both["change"], both["gain"], level)]
    left = [r - np.polyval(np.polyfit(ranks[2], r, 1), ranks[2]) for r in ranks[:2]]
    assert one.partial.value == pytest.approx(stats.pearsonr(*left).statistic, abs=1e-12)


def related(slope: float, noise: float, seed: int) -> list[Row]:
    """Accuracy changes by ``slope`` times the change of the cosine, and noise."""
    cosine, rest = noisy(seed), noisy(seed + 1)

    def accuracy(encoder: Row, language: str, fine_tuning: int) -> float:
        if language == SOURCE:
            return 0.6
        return 0.5 + slope * cosine(encoder, language, 8) + noise * rest(encoder, language, 0)

    def measured(encoder: Row, language: str, layer: int) -> float:
        return cosine(encoder, language, layer)

    return study(_within(accuracy), measured)


def _within(number: Number) -> Number:
    return lambda *place: min(max(number(*place), 0.0), 1.0)


def test_a_measure_that_predicts_is_found_and_one_that_does_not_is_not() -> None:
    every = found(related(0.5, 0.1, 3))
    right, wrong = every["full", "cosine, layer 8"].found, every["full", "cosine, layer 12"].found
    assert right.pooled.value is not None
    assert right.pooled.low is not None
    assert right.within.low is not None
    assert right.pooled.value > 0.9
    assert right.pooled.low > 0.7
    assert right.within.low > 0.7
    low, high = wrong.within.low, wrong.within.high
    assert low is not None
    assert high is not None
    assert low < 0 < high


def test_a_measure_of_aligned_encoders_alone_is_taken_as_it_is() -> None:
    every = found(study(noisy(1), noisy(2)))
    one = every["full", "agreement"]
    assert not one.is_change
    assert every["full", "cosine, layer 8"].is_change
    assert ("full", "agreement, layer 1") not in every  # the whole encoder's is there
    table = table_of(study(noisy(1), noisy(2)))
    labels = {row.label for row in table.rows}
    assert "slopes: agreement (value)" in labels
    assert any(note.startswith("(value): not measured of the untouched") for note in table.notes)


def test_a_measure_of_one_task_or_mode_is_held_against_that_alone() -> None:
    rows = study(noisy(1), noisy(2), finetuned=True)
    rows += [r | {"task": "topic"} for r in rows if r["probe"] is None]
    results = read_results(frame(rows), Selection())
    probes = read_probes(frame(rows), Selection(), BACKGROUND.wanted)
    every = associations(results, probes, BACKGROUND.measures, SOURCE)
    panels = {
        (label, condition): {a.panel for a in every if (a.measure.label, a.condition) == key}
        for key in {(a.measure.label, a.condition) for a in every}
        for label, condition in [key]
    }
    four = {(task, mode) for task in ("pos", "topic") for mode in ("full", "linear")}
    assert panels["cosine, layer 8", AS_IT_IS] == four
    assert panels["cosine, layer 8", ("pos", "full")] == {("pos", "full")}
    assert panels["agreement", ("pos", None)] == {("pos", "full"), ("pos", "linear")}
    assert "finder: cosine, layer 8 (after fine-tuning)" in [r.label for r in table_of(rows).rows]


def test_cells_with_a_gap_are_left_out_and_counted() -> None:
    rows = study(noisy(1), noisy(2))
    place = {"variant": "S1W0M0", "pair": "deu-eng"}
    for r in rows:
        if all(r[name] == value for name, value in place.items()):
            if (r["language"], r["seed"], r["mode"]) == ("kaz", 33, "full"):
                r |= {"value": None, "status": "failed"}
            if (r["language"], r["metric"], r["layer"]) == ("kor-eng", "cosine", 8):
                r |= {"value": None, "status": "unavailable", "reason": "no"}
    one = found(rows)["full", "cosine, layer 8"]
    assert (one.found.cells, one.left_out) == (40, 2)
    assert "Left out, since a value is lacking: up to 2 cells of a line." in table_of(rows).notes


def test_controls_and_the_source_language_are_no_cells() -> None:
    rows = study(noisy(1), noisy(2))
    shuffled = [r | {"arm": "shuffled", "key": "s"} for r in rows if r["arm"] == "aligned"]
    assert found(rows + shuffled) == found(rows)
    assert found(rows, source=None)["full", "agreement"].found.clusters == 8


def test_alignment_seeds_are_averaged() -> None:
    rows = study(smooth, smooth)
    other = [
        r | {"align_seed": 43, "key": "o", "value": r["value"] + 0.01} for r in rows if r["variant"]
    ]
    results = read_probes(frame(rows + other), Selection(), BACKGROUND.wanted)
    one, two = (
        measure_changes(each, Measure("finder", "cosine", 8), AS_IT_IS, SOURCE).of
        for each in (read_probes(frame(rows), Selection(), BACKGROUND.wanted), results)
    )
    assert one.keys() == two.keys()
    assert all(two[name] == pytest.approx(one[name] + 0.005) for name in one)


def test_few_languages_are_pooled_and_marked() -> None:
    few = ("deu", "kaz", "kor")
    rows = [
        r for r in study(noisy(1), noisy(2)) if r["language"].removesuffix("-eng") in (*few, SOURCE)
    ]
    table = table_of(rows)
    pooled = table.cells[0][0]
    assert pooled.text.endswith("†")
    assert pooled.details == ()
    assert [cell.text for cell in table.cells[0][-2:]] == ["18", "3"]
    assert any(note.startswith("† fewer than 5 languages") for note in table.notes)


def test_texts_and_what_the_notes_say() -> None:
    table = table_of(related(0.5, 0.1, 3))
    (row,) = [
        cells
        for header, cells in zip(table.rows, table.cells, strict=True)
        if (header.label, header.group) == ("finder: cosine, layer 8", ("pos, full",))
    ]
    pooled = row[0]
    assert pooled.value is not None
    assert pooled.text == f"+{pooled.value:.2f}"
    assert pooled.details[0].startswith("[+0.")
    text = "\n".join(table.notes)
    assert "2000 resamples of whole languages" in text
    assert "Not adjusted for the number of measures" in text
    assert not any(note.startswith("†") for note in table.notes)


def test_no_table_without_cells_in_common() -> None:
    rows = [r for r in study(noisy(1), noisy(2)) if r["arm"] == "none"]
    results = read_results(frame(rows), Selection())
    probes = read_probes(frame(rows), Selection(), BACKGROUND.wanted)
    assert transfer_table(results, probes, BACKGROUND.measures) == []


@pytest.mark.parametrize(
    ("place", "language"),
    [
        ("deu", "deu"),
        ("eng", None),
        (None, None),
        ("deu-eng", "deu"),
        ("eng-kas_Deva", "kas_Deva"),
        ("jpn-kaz", None),
        ("eng-eng", None),
    ],
)
def test_what_a_measurement_is_about(place: str | None, language: str | None) -> None:
    assert target(place, "eng") == language

"""Relatedness: classes by hand, means against pandas, effects that were put in are found."""

import dataclasses
from typing import Any

import pytest

from xbench.report.results.probe_rows import read_probes
from xbench.report.results.reading import read_results
from xbench.report.results.results import Selection
from xbench.report.style import Style
from xbench.report.table import Table, TableCell
from xbench.report.tables.probes.relatedness import DIFFERENT, SAME, SEEN, relatedness, relation

from .probed import BACKGROUND, DISTANCES, SCRIPTS, SOURCE, TARGETS, Row, frame, noisy, study

FULL = "pos, full: accuracy"


def tables(rows: list[Row], background: Any = BACKGROUND, probes: bool = True) -> list[Table]:
    results = read_results(frame(rows), Selection())
    measured = read_probes(frame(rows), Selection(), background.wanted) if probes else None
    return relatedness(results, background, measured, Style(source_language=SOURCE))


def cell(table: Table, row: str, column: str) -> TableCell:
    (i,) = [i for i, header in enumerate(table.rows) if header.label == row]
    (j,) = [j for j, header in enumerate(table.columns) if header.label == column]
    return table.cells[i][j]


@pytest.mark.parametrize(
    ("pair", "language", "expected"),
    [
        ("deu-eng", "deu", SEEN),
        ("deu-eng", "spa", SAME),
        ("deu-eng", "kaz", DIFFERENT),
        ("kaz-kor", "bul", SAME),
        ("kaz-kor", "kor", SEEN),
        ("kaz-kor", "spa", DIFFERENT),
        ("deu-eng", "xxx", None),
        ("xxx-eng", "spa", None),
    ],
)
def test_relations(pair: str, language: str, expected: str | None) -> None:
    assert relation(("hictl", "S1W0M0", pair, language), SCRIPTS) == expected


def effect(encoder: Row, language: str, seed: int) -> float:
    """Seen +9 points, unseen +3 in the same script, -1 in another, -0.1 for each 0.1 of distance."""
    base = 0.4 + 0.001 * (seed % 7) + 0.01 * len(set(language))
    if not encoder or language == SOURCE:
        return base
    kind = relation(("", "", encoder["pair"], language), SCRIPTS)
    distance = DISTANCES[language]["syntactic"]
    return base + {SEEN: 0.09, SAME: 0.03, DIFFERENT: -0.01}[str(kind)] - 0.01 * distance


def test_means_of_classes_and_their_contrasts() -> None:
    rows = study(effect, noisy(1))
    table = tables(rows)[0]
    changes = {
        (pair, code): effect({"pair": pair}, code, 15) - effect({}, code, 15)
        for pair in ("deu-eng", "kaz-kor")
        for code in TARGETS
    }
    of = {
        kind: [v for place, v in changes.items() if relation(("", "", *place), SCRIPTS) == kind]
        for kind in (SEEN, SAME, DIFFERENT)
    }
    for kind, values in of.items():
        assert cell(table, FULL, kind).value == pytest.approx(sum(values) / len(values))
    unseen = [*of[SAME], *of[DIFFERENT]]
    expected = sum(of[SEEN]) / len(of[SEEN]) - sum(unseen) / len(unseen)
    assert cell(table, FULL, "seen less unseen").value == pytest.approx(expected)
    expected = sum(of[SAME]) / len(of[SAME]) - sum(of[DIFFERENT]) / len(of[DIFFERENT])
    assert cell(table, FULL, "same less different script").value == pytest.approx(expected)


def test_texts_with_intervals_and_counts() -> None:
    table = tables(study(effect, noisy(1)))[0]
    everything = cell(table, FULL, "all")
    assert everything.details[-1] == "42/7"
    assert everything.details[0].startswith("[")
    assert everything.text == f"+{100 * (everything.value or 0):.1f}"
    seen = cell(table, FULL, SEEN)
    assert seen.details == ("9/3",)  # deu, kaz and kor, three variants each
    assert seen.text.endswith("†")
    measure = cell(table, "finder: cosine, layer 8", "all")
    assert measure.details[-1] == "42/7"
    assert "." in measure.text


def test_measures_are_rows_where_they_are_changes_of_the_encoder() -> None:
    labels = [row.label for row in tables(study(effect, noisy(1), finetuned=True))[0].rows]
    assert labels == [
        FULL,
        "pos, linear: accuracy",
        "finder: cosine, layer 8",
        "finder: cosine, layer 12",
    ]
    alone = tables(study(effect, noisy(1)), probes=False)[0]
    assert [row.label for row in alone.rows] == labels[:2]


def test_distances_split_at_the_median_and_correlate() -> None:
    rows = study(effect, noisy(1))
    table = tables(rows)[1]
    near = cell(table, FULL, f"{DIFFERENT}, nearer").value
    far = cell(table, FULL, f"{DIFFERENT}, farther").value
    assert near is not None
    assert far is not None
    unseen = [
        (pair, code)
        for pair in ("deu-eng", "kaz-kor")
        for code in TARGETS
        if relation(("", "", pair, code), SCRIPTS) == DIFFERENT
    ]
    close = [p for p in unseen if DISTANCES[p[1]]["syntactic"] <= 0.6]
    assert near == pytest.approx(
        sum(effect({"pair": p}, c, 15) - effect({}, c, 15) for p, c in close) / len(close)
    )
    assert cell(table, FULL, "correlation with distance").details[-1].startswith("33/7")
    text = "\n".join(table.notes)
    assert "median (0.600) or at it: bul, deu, hin, spa; farther: jpn, kaz, kor" in text


def test_a_correlation_that_was_put_in_is_found() -> None:
    def far_gain(encoder: Row, language: str, seed: int) -> float:
        gain = DISTANCES[language]["syntactic"] / 4 if encoder and language != SOURCE else 0
        return 0.4 + gain

    table = tables(study(far_gain, noisy(1)))[1]
    assert cell(table, FULL, "correlation with distance").value == pytest.approx(1)


def test_languages_without_distance_or_script_are_named_or_left_to_all() -> None:
    fewer = {code: kinds for code, kinds in DISTANCES.items() if code != "hin"}
    _, table = tables(study(effect, noisy(1)), dataclasses.replace(BACKGROUND, distances=fewer))
    assert "No distance is known of hin." in table.notes
    scripts = {code: script for code, script in SCRIPTS.items() if code != "hin"}
    first, *_ = tables(study(effect, noisy(1)), dataclasses.replace(BACKGROUND, scripts=scripts))
    assert cell(first, FULL, "all").details[-1] == "42/7"
    assert cell(first, FULL, DIFFERENT).details[-1] == "21/6"  # bul, deu, jpn, kaz, kor, spa


def test_without_distances_or_scripts_or_alignment() -> None:
    rows = study(effect, noisy(1))
    assert len(tables(rows, dataclasses.replace(BACKGROUND, distances={}))) == 1
    assert tables(rows, dataclasses.replace(BACKGROUND, scripts={})) == []
    assert tables([r for r in rows if r["arm"] == "none"]) == []

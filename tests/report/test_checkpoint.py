"""Tables of one checkpoint: which measures, which layer, groups of pairs, means, and reasons."""

import dataclasses

import pytest

from xbench.report.table import Table
from xbench.report.tables.probes.checkpoint import checkpoint_tables

from .probed import BACKGROUND, Row, base_row, frame


def rows(metric: str, layer: int | None, **values: float | None) -> list[Row]:
    """A value for each pair with English."""
    return [
        base_row(
            probe="finder",
            metric=metric,
            layer=layer,
            language=f"{code}-eng",
            value=value,
            status="unavailable" if value is None else "done",
            reason="no text" if value is None else None,
        )
        for code, value in values.items()
    ]


ROWS = [
    *(r for layer in (4, 8, 12) for r in rows("cosine", layer, deu=layer / 20, kaz=0.1, jpn=None)),
    *rows("other", 8, deu=0.5, kaz=0.7),
    base_row(probe="finder", metric="other", layer=8, value=0.9),
]


def texts(table: Table) -> dict[str, list[str]]:
    return {
        row.label: [cell.text for cell in cells]
        for row, cells in zip(table.rows, table.cells, strict=True)
    }


def test_pairs_by_group_at_the_layer_that_reports_show() -> None:
    pairs, _ = checkpoint_tables(frame(ROWS), BACKGROUND)
    assert pairs.title == "finder, layer 8"
    assert [column.label for column in pairs.columns] == ["cosine"]  # the others no report shows
    assert texts(pairs) == {"deu-eng": ["0.400"], "kaz-eng": ["0.100"]}
    assert {row.group for row in pairs.rows} == {("G1: aligned",)}
    assert "suite paper; model base" in pairs.caption


def test_all_measures_are_means_by_layer_with_reasons() -> None:
    _, means = checkpoint_tables(frame(ROWS), BACKGROUND)
    assert [column.label for column in means.columns] == ["layer 4", "layer 8", "layer 12"]
    assert texts(means) == {
        "cosine": ["0.150", "0.250", "0.350"],
        "other": ["–", "0.600", "–"],
        "other (all languages together)": ["–", "0.900", "–"],
    }
    assert means.notes[-1] == "jpn-eng: no text"


def test_a_probe_that_no_report_knows_shows_all_it_has() -> None:
    unknown = dataclasses.replace(BACKGROUND, tables={}, groups={"G1": ("kaz-eng",)})
    pairs, _ = checkpoint_tables(frame(ROWS), unknown)
    assert pairs.title == "finder, layer 12"
    assert [(row.label, row.group) for row in pairs.rows] == [
        ("kaz-eng", ("G1",)),
        ("deu-eng", ("others",)),
    ]


def test_a_measure_of_no_layer_and_of_all_languages_only() -> None:
    (means,) = checkpoint_tables(
        frame([base_row(probe="whole", metric="norm", value=2.0, language=None)]), BACKGROUND
    )
    assert texts(means) == {"norm": ["2.000"]}
    assert [column.label for column in means.columns] == ["all"]


def test_measures_by_layer_and_measures_of_no_layer_are_tables_of_their_own() -> None:
    whole = [r for layer in (None, 8) for r in rows("norm", layer, deu=1.0)]
    _, by_layer, of_none = checkpoint_tables(
        frame([*whole, *rows("rate", None, deu=0.5)]), BACKGROUND
    )
    assert texts(by_layer) == {"norm": ["1.000", "1.000"]}
    assert [column.label for column in by_layer.columns] == ["all", "layer 8"]
    assert texts(of_none) == {"rate": ["0.500"]}
    assert (len(by_layer.notes), len(of_none.notes)) == (0, 1)


def test_where_nothing_could_be_measured_the_reason_is_left() -> None:
    (table,) = checkpoint_tables(frame(rows("cosine", 8, deu=None)), BACKGROUND)
    assert table.title == "finder: nothing could be measured"
    assert table.notes[-1] == "deu-eng: no text"
    assert not table.rows


def test_numbers_are_not_rounded_in_the_cells() -> None:
    pairs, _ = checkpoint_tables(frame(rows("cosine", 8, deu=1 / 3)), BACKGROUND)
    assert pairs.cells[0][0].value == pytest.approx(1 / 3)

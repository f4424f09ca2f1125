"""The tables per language: order, numbers, gaps."""

from typing import Any

import pandas as pd
import pytest

from xbench.report.results.reading import read_results
from xbench.report.results.results import Selection
from xbench.report.table import Table
from xbench.report.tables.per_language import per_language

from .styles import study_style


def build(frame: pd.DataFrame | list[Any], **style: Any) -> list[Table]:
    return per_language(read_results(pd.DataFrame(frame), Selection()), study_style(**style))


def test_one_table_per_task_and_mode_with_the_source_first(study: pd.DataFrame) -> None:
    tables = build(study, source_language="eng")
    assert [t.label for t in tables] == [
        "tab:per-language-pos-full",
        "tab:per-language-pos-linear",
        "tab:per-language-topic-full",
        "tab:per-language-topic-linear",
    ]
    assert [c.label for c in tables[0].columns] == ["eng", "deu", "kaz", "average"]
    assert [r.label for r in tables[0].rows] == [
        "none (control)",
        *(f"{p} {v}" for p in ("deu-eng", "kaz-kor") for v in ("S1W0M0", "S0W1M0", "S0W0M1")),
        "deu-eng shuffled (control) S1W0M0",
    ]


def test_numbers_match_pandas(study: pd.DataFrame) -> None:
    table = build(study)[0]
    chosen = study[(study.task == "pos") & (study["mode"] == "full") & (study.arm == "none")]
    values = chosen[chosen.status == "done"].groupby("language")["value"]
    for column, cell in zip(table.columns[:3], table.cells[0], strict=False):
        assert cell.value == pytest.approx(values.mean()[column.label])
        assert cell.spread == pytest.approx(values.std()[column.label])
        assert len(cell.keys) == 3
    average = table.cells[0][3]
    assert average.value == pytest.approx(values.mean().mean())
    assert (average.text, average.details, average.n) == ("60.0", ("±1.0",), 3)


def test_gaps_stand_in_their_language_and_in_the_average(make: Any) -> None:
    rows = make.block()
    rows[-1] |= {"status": "blocked", "value": None, "reason": "no encoder"}
    (table,) = build(rows)
    assert [c.text for c in table.cells[0]] == ["50.0", "50.0", "blocked", "blocked"]
    assert "blocked: no encoder - in: none (control), kaz." in table.notes
    (partial,) = build(rows, allow_partial=True)
    assert [c.text for c in partial.cells[0]] == ["50.0", "50.0", "50.0†", "50.0†"]


def test_notes_are_about_their_own_panel(study: pd.DataFrame) -> None:
    tagging, *_, topics = build(study)
    assert any("kas_Deva" in note for note in tagging.notes)
    assert not any("kas_Deva" in note for note in topics.notes)
    assert any("loss is NaN" in note for note in topics.notes)
    assert not any("loss is NaN" in note for note in tagging.notes)


def test_equal_variants_of_two_objectives_are_told_apart(make: Any) -> None:
    rows = make.block(**make.aligned("S1W0M0")) + make.block(
        **make.aligned("S1W0M0", objective="amber")
    )
    (table,) = build(rows)
    assert [r.label for r in table.rows] == ["deu-eng amber:S1W0M0", "deu-eng hictl:S1W0M0"]

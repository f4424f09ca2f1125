"""Two runs side by side, with numbers that can be followed by hand."""

from typing import Any

import pandas as pd
import pytest

from xbench.report.statistics.stats import paired_t_interval
from xbench.report.style import Style
from xbench.report.table import Table, TableCell
from xbench.report.tables.comparison.compare import Side, pair_up
from xbench.report.tables.comparison.compare_tables import compare
from xbench.report.write import render

from .conftest import SEEDS, Make, Row
from .hostile import NAMES

METRICS = {"pos": "accuracy"}


def side(name: str, rows: list[Row], **settings: Any) -> Side:
    return Side(name, pd.DataFrame(rows).astype({"align_seed": "Int64"}), settings)


def value(base: float, step: float = 0.0) -> Any:
    """``base``, and with each further seed a ``step`` more; languages 0.1 apart."""
    return lambda language, seed: (
        base + 0.1 * Make.languages.index(language) + step * SEEDS.index(seed)
    )


def cell(table: Table, row: str, column: int) -> TableCell:
    (found,) = [i for i, header in enumerate(table.rows) if header.label == row]
    return table.cells[found][column]


def test_differences_are_of_the_second_to_the_first_paired_by_seed(make: type[Make]) -> None:
    first = side("a", make.block(value=value(0.5, 0.01)))
    second = side("b", make.block(value=value(0.52, 0.03)))
    _, table, by_language = compare(first, second, METRICS)
    assert table.title == "Two runs compared: tasks"
    assert [column.label for column in table.columns] == ["a", "b", "difference"]
    assert cell(table, "none (control)", 0).value == pytest.approx(0.61)
    assert cell(table, "none (control)", 1).value == pytest.approx(0.65)
    change = cell(table, "none (control)", 2)
    assert change.difference
    assert change.difference.mean == pytest.approx(0.04)
    low, high = paired_t_interval([0.02, 0.04, 0.06]) or (0, 0)
    assert change.difference.low == pytest.approx(low)
    assert change.difference.high == pytest.approx(high)
    assert change.text == "+4.0"
    assert change.details == ("[−1.0, +9.0]",)
    assert len(change.keys) == len(change.against) == 9
    assert [column.label for column in by_language.columns] == ["deu", "eng", "kaz"]
    assert [round(c.value or 0, 9) for c in by_language.cells[0]] == [0.04] * 3


def test_runs_of_two_objectives_are_paired_across_them(make: type[Make]) -> None:
    def run(objective: str, base: float) -> list[Row]:
        names = make.aligned("v1") | {"objective": objective}
        return [*make.block(value=0.5), *make.block(value=base, **names)]

    first, second = side("a", run("one", 0.6)), side("b", run("other", 0.7))
    pairing = pair_up(first, second, METRICS)
    assert pairing.differing == {"objective": ("one", "other")}
    _, table, _ = compare(first, second, METRICS)
    assert [column.label for column in table.columns] == ["a (one)", "b (other)", "difference"]
    assert [row.label for row in table.rows] == ["none (control)", "v1 deu-eng"]
    assert [c.text for c in table.cells[1]] == ["60.0 ± 0.0", "70.0 ± 0.0", "+10.0"]
    assert "Paired across: objective: one in a, other in b." in table.notes


def test_what_only_one_run_has_is_counted_and_left_out(make: type[Make]) -> None:
    more = make.block(value=0.9, **make.aligned("only"))
    first = side("a", [*make.block(languages=("deu", "eng"), value=0.4), *more])
    second = side("b", [row for row in make.block(value=0.5) if row["seed"] != 42])
    _, table, by_language = compare(first, second, METRICS)
    assert [row.label for row in table.rows] == ["none (control)"]
    found = table.cells[0][2].difference
    assert found
    assert (found.mean, found.n) == (pytest.approx(0.1), 2)
    notes = " ".join(table.notes)
    assert "not shown: 1 cells of a, 0 of b" in notes
    assert "Of a alone, and left out: seeds 42." in notes
    assert "Of b alone, and left out: languages kaz." in notes
    assert [column.label for column in by_language.columns] == ["deu", "eng"]


def failed(rows: list[Row]) -> list[Row]:
    rows[0] |= {"status": "failed", "value": None, "reason": "loss is NaN"}
    return rows


def test_a_failed_cell_is_not_averaged_over(make: type[Make]) -> None:
    first, second = side("a", failed(make.block())), side("b", make.block(value=0.6))
    _, table, by_language = compare(first, second, METRICS)
    mine, other, change = table.cells[0]
    assert (mine.text, mine.status, mine.value) == ("failed", "failed", None)
    assert other.value == pytest.approx(0.6)
    assert (change.text, change.status) == ("failed", "failed")
    assert len(mine.gaps) == len(change.gaps) == 1
    assert any("failed: loss is NaN - in: pos, full: accuracy" in note for note in table.notes)
    assert [c.status for c in by_language.cells[0]] == ["failed", "done", "done"]


def test_a_part_is_averaged_where_it_is_asked_for_and_marked(make: type[Make]) -> None:
    first, second = side("a", failed(make.block())), side("b", make.block(value=0.6))
    _, table, _ = compare(first, second, METRICS, Style(allow_partial=True))
    mine, _, change = table.cells[0]
    assert mine.status == change.status == "partial"
    assert mine.text.endswith("†")
    assert change.text == "+10.0†"
    assert any("2 of 3 languages" in note for note in table.notes)


def test_an_undefined_value_is_a_failure(make: type[Make]) -> None:
    rows = make.block()
    rows[0]["value"] = float("nan")
    _, table, _ = compare(side("a", rows), side("b", make.block()), METRICS)
    assert table.cells[0][0].status == "failed"
    assert any("accuracy is undefined" in note for note in table.notes)


def probed(value: float, key: str, **given: Any) -> Row:
    row = Make.row(task=None, mode=None, seed=None, split=None, language="deu-eng", n=9)
    row |= {"probe": "retrieval", "metric": "cosine", "layer": 8, "value": value, "key": key}
    return row | given


def test_probes_are_compared_by_layer_and_are_no_percentages(make: type[Make]) -> None:
    first = side("a", [probed(0.5, "k1"), probed(-0.25, "k1", layer=12)])
    second = side("b", [probed(0.75, "k2"), probed(-0.5, "k2", layer=12)])
    _, table = compare(first, second, {})
    assert [row.label for row in table.rows] == [
        "none layer 8 (control)",
        "none layer 12 (control)",
    ]
    assert table.rows[0].group == ("retrieval: cosine",)
    assert [c.text for c in table.cells[0]] == ["0.500", "0.750", "+0.250"]
    assert [c.text for c in table.cells[1]] == ["−0.250", "−0.500", "−0.250"]
    assert table.cells[0][2].where == (
        ("metric", ("cosine",)),
        ("language", ("deu-eng",)),
        ("layer", (8,)),
    )


def test_settings_that_differ_are_listed_and_others_are_not(make: type[Make]) -> None:
    first = side("a", make.block(), suite="mini", align={"steps": 60, "mask": None}, seed=[15, 33])
    second = side("b", make.block(), suite="mini", align={"steps": 90}, seed=[15])
    table, *_ = compare(first, second, METRICS)
    lines = {
        row.label: [c.text for c in cells]
        for row, cells in zip(table.rows, table.cells, strict=True)
    }
    assert lines == {
        "align.mask": ["not set", "–"],
        "align.steps": ["60", "90"],
        "seed": ["15, 33", "15"],
    }


def test_equal_settings_are_said_to_be_equal(make: type[Make]) -> None:
    table, *_ = compare(side("a", make.block(), x=1), side("b", make.block(), x=1), METRICS)
    assert not table.rows
    assert "with the same settings" in table.caption
    for form in ("markdown", "latex", "html", "csv", "terminal"):
        render([table], form)


def test_runs_with_nothing_in_common_say_in_what(make: type[Make]) -> None:
    first = side("a", make.block(task="pos"))
    second = side("b", make.block(task="topic"))
    with pytest.raises(ValueError, match="a and b have no cell in common: task pos against topic"):
        compare(first, second, {})


def test_two_values_for_a_cell_are_refused(make: type[Make]) -> None:
    rows = [*make.block(value=0.5), *make.block(value=0.6)]
    with pytest.raises(ValueError, match=r"run a has two values for suite=mini, .*task=pos"):
        compare(side("a", rows), side("b", make.block()), METRICS)


def test_one_metric_of_a_task_counts(make: type[Make]) -> None:
    rows = [*make.block(value=0.5), *make.block(value=0.1, metric="macro_f1")]
    _, table, _ = compare(side("a", rows), side("b", rows), METRICS)
    assert [row.group for row in table.rows] == [("pos, full: accuracy",)]


def test_unavailable_languages_are_no_gaps(make: type[Make]) -> None:
    rows = [*make.block(), make.row(language="kas", status="unavailable", value=None)]
    _, table, _ = compare(side("a", rows), side("b", rows), METRICS)
    assert table.cells[0][2].status == "done"


@pytest.mark.parametrize("form", ["markdown", "latex", "html", "csv", "terminal"])
@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_taken_by_every_renderer(name: str, form: str, make: type[Make]) -> None:
    rows = make.block(**make.aligned(name))
    tables = compare(side(name, rows, x=name), side("b", rows, x=1), METRICS)
    assert render(tables, form)


def test_the_order_of_rows_makes_no_difference(study: pd.DataFrame) -> None:
    other = study.sample(frac=1, random_state=1)
    again = compare(Side("a", other, {}), Side("b", study, {}), METRICS)
    assert compare(Side("a", study, {}), Side("b", other, {}), METRICS) == again


def runs_of(make: type[Make], *seeds: int, more: float = 0.0) -> list[Row]:
    """The untouched encoder, and one that gains .1 for alignment seed 42, and .1 more for the next."""
    rows = make.block(value=value(0.3))
    for seed in seeds:
        gained = value(0.4 + more + 0.1 * (seed - 42), 0.01 * (1 + more))
        rows += make.block(value=gained, **make.aligned("A", align_seed=seed))
    return rows


def test_alignment_seeds_are_paired_like_other_seeds(make: type[Make]) -> None:
    first, second = (
        side("a", runs_of(make, 42, 43)),
        side("b", runs_of(make, 42, 43, 44, more=0.02)),
    )
    _, table, _ = compare(first, second, METRICS)
    assert [row.label for row in table.rows] == ["none (control)", "hictl A deu-eng"]
    mine, other, change = table.cells[1]
    assert (mine.n, other.n) == (6, 6)
    assert mine.value == pytest.approx(0.56)
    assert change.value == pytest.approx(0.0202)
    assert change.difference is not None
    assert change.difference.alignments == 2
    assert (
        "Alignment seeds in common: 42, 43; intervals are over both kinds of seeds." in table.notes
    )
    assert "Of b alone, and left out: alignment seeds 44." in table.notes


def test_another_alignment_seed_is_compared_across(make: type[Make]) -> None:
    """One seed here and another there is what the runs differ in, and no interval covers it."""
    first, second = side("a", runs_of(make, 42)), side("b", runs_of(make, 43))
    _, table, _ = compare(first, second, METRICS)
    assert "Paired across: align_seed: 42 in a, 43 in b." in table.notes
    assert table.cells[1][2].value == pytest.approx(0.1)
    third = side("c", runs_of(make, 43, 44))
    _, none, _ = compare(first, third, METRICS)
    assert [row.label for row in none.rows] == ["none (control)"]


def test_one_alignment_seed_in_common_is_told(make: type[Make]) -> None:
    _, table, _ = compare(side("a", runs_of(make, 42)), side("b", runs_of(make, 42)), METRICS)
    told = "One alignment seed (42): intervals do not cover what another alignment run would give."
    assert told in table.notes

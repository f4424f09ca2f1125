"""Published values stand in tables of their own, for the same task and metric on the same kind of data."""

from pathlib import Path

import pandas as pd
import pytest

from xbench.catalogue.registry import load_registry, registry_path
from xbench.report.run.stored import StoredRun
from xbench.report.run.tables import tables_of
from xbench.report.table import Table
from xbench.report.tables.published import published_tables
from xbench.report.write import render
from xbench.store.runs import RunRecord

from .conftest import Make, run_folder

REGISTRY = load_registry(registry_path())
METRICS = {"pos": ["accuracy", "udpos_f1_xtreme"], "topic": ["accuracy"], "parsing": ["las"]}


def tables() -> list[Table]:
    return published_tables(REGISTRY.published, METRICS)


def test_each_task_and_metric_that_somebody_published_has_a_table() -> None:
    span, topic = tables()
    assert span.title == "Published, not measured here: pos, udpos_f1_xtreme"
    assert topic.title == "Published, not measured here: topic, accuracy"
    shown = {
        (row.group, row.label): cells for row, cells in zip(span.rows, span.cells, strict=True)
    }
    size, value, column, source = shown[("Zero-shot transfer from English",), "RemBERT"]
    assert (size.text, value.text, column.text) == ("575M", "76.5", "udpos")
    assert value.value == pytest.approx(0.765)
    assert source.text == "arXiv 2404.06228, Table 2"
    assert [cells[1].text for cells in topic.cells] == ["88.0", "71.8"]


def test_tatoeba_is_compared_in_xtremes_direction_alone() -> None:
    """A mean of both directions is another number."""
    ours = ["tatoeba_accuracy_xtreme", "tatoeba_accuracy_xx_to_en", "retrieval_accuracy"]
    (table,) = published_tables(REGISTRY.published, {"tatoeba": ours})
    assert table.title == "Published, not measured here: tatoeba, tatoeba_accuracy_xtreme"
    shown = {row.label: cells[1].text for row, cells in zip(table.rows, table.cells, strict=True)}
    assert shown["XLM-R(large)"] == "57.3"
    assert any("en->xx" in note for note in table.notes)
    assert published_tables(REGISTRY.published, {"tatoeba": ours[1:]}) == []


def test_a_value_of_another_metric_is_called_incomparable_and_protocols_are_said() -> None:
    span, topic = tables()
    assert any("fine-tuned on English and translated" in note for note in span.notes)
    assert any("Rows mix versions of UD" in note for note in span.notes)
    assert any("show pos in accuracy, which is not comparable" in note for note in span.notes)
    assert not any("not comparable" in note for note in topic.notes)
    assert any(note.startswith("† XLM-R(large; Hu20): 72.6") for note in span.notes)


@pytest.mark.parametrize("format", ["markdown", "latex", "terminal"])
def test_every_renderer_takes_them(format: str) -> None:
    text = render(tables(), format)
    for part in ("Transfer with translated training data", "RemBERT", "88.0", "not measured here"):
        assert part in text.replace("\n", " ")


@pytest.mark.parametrize(("suite", "expected"), [("paper", ["published"] * 2), ("mini", [])])
def test_a_report_has_them_where_the_data_are_known_to_others(
    suite: str, expected: list[str], make: type[Make], tmp_path: Path
) -> None:
    """Accuracy on clone topics is no accuracy on SIB-200."""
    frame = pd.DataFrame(
        [
            make.row(suite=suite, task=task, seed=seed)
            for task in ("pos", "topic")
            for seed in (1, 2)
        ]
    )
    cells = [
        {"coordinates": dict(record), "align": None, "evaluate": None}
        for record in frame.to_dict("records")
    ]
    run = StoredRun(run_folder(tmp_path / "store"))
    run.record, run.rows = RunRecord.from_json({"cells": cells, "metrics": METRICS}), frame
    found = tables_of(run)
    assert [table.name for table in found if table.name == "published"] == expected
    assert found[0].name == "table1"

"""Tables B1 and the published rows, out of the real registry."""

import pytest

from xbench.catalogue.registry import load_registry, plain, registry_path, sources
from xbench.report.tables.published import matching, published_table
from xbench.report.tables.settings_table import flat, kind_of, settings_table
from xbench.report.write import render

REGISTRY = load_registry(registry_path())
PAPER = REGISTRY.suite("paper")


@pytest.mark.parametrize("phase", ["align", "finetune"])
def test_b1_has_every_setting_with_value_and_source(phase: str) -> None:
    values, stated = plain(getattr(PAPER, phase)), sources(getattr(PAPER, phase))
    table = settings_table("paper", phase, values, stated)
    assert {row.label for row in table.rows} == set(flat(values))
    for row, (value, source, remark) in zip(table.rows, table.cells, strict=True):
        assert value.text
        assert source.text == kind_of(stated[row.label])
        assert source.text in ("paper", "code", "reconstruction")
        assert remark.text in stated[row.label]


def test_values_read_as_a_person_writes_them() -> None:
    values = {"a": 2e-5, "b": (3000,), "c": None, "d": True, "e": {"f": 0.1}}
    table = settings_table("x", "align", values, {"a": "paper (for one of two)"})
    shown = {
        r.label: [c.text for c in cells] for r, cells in zip(table.rows, table.cells, strict=True)
    }
    assert shown["a"] == ["2e-05", "paper", "for one of two"]
    assert shown["b"][0] == "3000"
    assert shown["c"][0] == "not set"
    assert shown["d"][0] == "yes"
    assert shown["e.f"] == ["0.1", "xbench's own default", ""]


@pytest.mark.parametrize("format", ["markdown", "latex", "terminal"])
def test_every_renderer_takes_them(format: str) -> None:
    table = settings_table("paper", "align", plain(PAPER.align), sources(PAPER.align))
    rendered = render([table], format)
    assert "6000" in rendered
    assert "reconstruction" in rendered


def test_published_rows_are_those_of_the_same_metric_only() -> None:
    span = matching(REGISTRY.published, "pos", "udpos_f1_xtreme")
    assert {value.name for value in span} >= {"XLM-ALIGN", "RemBERT"}
    assert next(v.value for v in span if v.name == "RemBERT") == pytest.approx(0.765)
    assert matching(REGISTRY.published, "pos", "accuracy") == []
    topic = matching(REGISTRY.published, "topic", "accuracy")
    assert sorted(value.value for value in topic) == [0.718, 0.880]


def test_doubtful_values_are_flagged_where_they_are_shown() -> None:
    table = published_table(matching(REGISTRY.published, "xnli", "accuracy"), "xnli", "accuracy")
    marked = [
        row.label
        for row, cells in zip(table.rows, table.cells, strict=True)
        if "†" in cells[1].text
    ]
    assert marked == ["XLM-R(large; Hu20)"]
    assert "79.2" in table.notes[0]

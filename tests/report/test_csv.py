"""CSV: what a program reads back is what the table holds."""

import csv
import io

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbench.report.render.csv_tables import COLUMNS
from xbench.report.render.escape import clean
from xbench.report.table import Column, Difference, Table, TableCell, TableRow
from xbench.report.tables.study import build_tables
from xbench.report.write import render

from .hostile import NAMES, hostile_table

texts = st.one_of(st.text(), st.text(alphabet=",\"'\n\r;\t ="), st.sampled_from(NAMES))


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_line_for_each_cell_that_is_shown(study: pd.DataFrame) -> None:
    tables = build_tables(study)
    lines = read(render(tables, "csv"))
    shown = [
        (table.title, row.label, cell.text)
        for table in tables
        for row, cells in zip(table.rows, table.cells, strict=True)
        for cell in cells
        if cell.status != "covered"
    ]
    assert [(line["table"], line["row"], line["text"]) for line in lines] == shown


def test_numbers_are_exact_and_nulls_empty() -> None:
    change = Difference(-0.1 / 3, -1e-17, None, 3)
    cells = (
        TableCell("a", value=1 / 3, n=3, spread=0.1 + 0.2, difference=change, keys=("k", "l")),
        TableCell("failed", "failed", gaps=("m",)),
    )
    table = Table("t", "t", "T", "", (Column("x"), Column("y")), (TableRow("r"),), (cells,))
    first, second = read(render([table], "csv"))
    assert float(first["value"]) == 1 / 3
    assert float(first["spread"]) == 0.1 + 0.2
    assert float(first["difference"]) == change.mean
    assert float(first["difference_low"]) == -1e-17
    assert (first["difference_high"], first["difference_n"], first["n"]) == ("", "3", "3")
    assert first["keys"].split() == ["k", "l"]
    assert (second["value"], second["n"], second["status"]) == ("", "", "failed")
    assert second["lacking"] == "m"


def test_a_spanning_cell_is_one_line_of_no_single_column(study: pd.DataFrame) -> None:
    table, *_ = build_tables(study)
    untouched = [line for line in read(render([table], "csv")) if line["row"] == "none (control)"]
    assert len(untouched) == 4  # panels
    assert {line["column"] for line in untouched} == {""}
    assert {line["column_group"] for line in untouched} == {"hictl"}
    assert {line["control"] for line in untouched} == {"true"}


@pytest.mark.parametrize("name", NAMES)
def test_names_come_back_as_they_are_shown(name: str) -> None:
    lines = read(render([hostile_table(name)], "csv"))
    assert {line["table"] for line in lines} == {clean(name)}
    assert lines[0]["row"] == lines[0]["row_group"] == lines[0]["text"] == clean(name)
    assert lines[0]["column_group"] == clean(name)


@given(texts, texts)
def test_any_text_keeps_its_field(label: str, inside: str) -> None:
    cells = ((TableCell(inside, details=(label,)), TableCell(label)),)
    columns = (Column(label, (inside,)), Column(inside, (label,)))
    table = Table("t", "t", label, "", columns, (TableRow(inside),), cells)
    text = render([table, table], "csv")
    lines = read(text)
    assert len(lines) == 4
    assert text.count("\n") == 5  # no field has a line end of its own
    assert [*lines[0]] == [*COLUMNS]
    assert (lines[0]["table"], lines[0]["text"]) == (clean(label), clean(inside))
    assert (lines[1]["column"], lines[1]["column_group"]) == (clean(inside), clean(label))

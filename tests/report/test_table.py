"""The table model: its checks, and cutting and turning without losing a number."""

import pytest

from xbench.report.table import (
    COVERED,
    Column,
    Table,
    TableCell,
    TableRow,
    column_panels,
    row_panels,
    stub_text,
    take_columns,
    transpose,
    varying_labels,
)


def wide() -> Table:
    """Two panels of two columns; the first row has one number in each."""
    columns = [Column(label, (group, "hictl")) for group in ("full", "linear") for label in "ab"]
    spanning = (TableCell("1", span=2), COVERED, TableCell("2", span=2), COVERED)
    plain = tuple(TableCell(text) for text in "3456")
    rows = (TableRow("none", ("x",), control=True), TableRow("de-en", ("y",)))
    return Table("t", "t", "title", "", tuple(columns), rows, (spanning, plain), "encoder")


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.cells]


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b"])
def test_names_that_are_no_file_stems_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="table name"):
        Table(name, "l", "t", "", (), (), ())


def test_cells_must_fill_the_rectangle() -> None:
    with pytest.raises(ValueError, match="row 'r': 2 columns, 1 cells"):
        Table("t", "l", "t", "", (Column("a"), Column("b")), (TableRow("r"),), ((TableCell("1"),),))
    with pytest.raises(ValueError, match="1 rows, 0 of cells"):
        Table("t", "l", "t", "", (Column("a"),), (TableRow("r"),), ())


def test_headers_must_have_equally_many_levels() -> None:
    with pytest.raises(ValueError, match="levels"):
        Table("t", "l", "t", "", (Column("a"), Column("b", ("g",))), (), ())


def test_cut_by_columns() -> None:
    panels = column_panels(wide())
    assert [panel.title for panel in panels] == ["full", "linear"]
    assert [texts(panel) for panel in panels] == [[["1", ""], ["3", "4"]], [["2", ""], ["5", "6"]]]
    assert {column.group for panel in panels for column in panel.columns} == {("hictl",)}


def test_cut_by_rows() -> None:
    panels = row_panels(wide())
    assert [(panel.title, panel.rows[0].label) for panel in panels] == [
        ("x", "none"),
        ("y", "de-en"),
    ]
    assert panels[0].rows[0].control


def test_a_cut_through_a_span_repeats_its_number() -> None:
    cut = take_columns(wide(), [1, 2, 3])
    assert texts(cut)[0] == ["1", "2", ""]
    assert [cell.span for cell in cut.cells[0]][:2] == [1, 2]


def test_turning_twice_gives_the_same_texts_and_headers() -> None:
    turned = transpose(wide())
    assert texts(turned) == [list(column) for column in zip(*texts(wide()), strict=True)]
    assert all(cell.span == 1 for row in turned.cells for cell in row)
    back = transpose(turned)
    assert (texts(back), back.columns, back.rows) == (texts(wide()), wide().columns, wide().rows)
    assert (turned.stub, back.stub) == ("", "encoder")


def test_levels_that_all_share_are_said_once() -> None:
    assert varying_labels(wide().columns) == (
        ("hictl",),
        ["full a", "full b", "linear a", "linear b"],
    )
    assert stub_text(wide()) == "encoder (hictl)"
    assert varying_labels(()) == ((), [])

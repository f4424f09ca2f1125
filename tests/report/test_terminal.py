"""The terminal: everything fits its width, nothing is lost, markup stays text."""

from typing import Any

import pandas as pd
import pytest

from xbench.report.render.terminal import fit, rich_tables
from xbench.report.render.terminal import render as render_width
from xbench.report.table import Column, Table, TableCell, TableRow
from xbench.report.tables.study import build_tables
from xbench.report.write import render

from .styles import VARIANT_ORDER, study_style


def whole_study(make: Any) -> pd.DataFrame:
    """As many pairs and variants as the study has, in one panel."""
    rows = make.block(value=make.score(0.7))
    for number, pair in enumerate(("deu-eng", "eng-kaz", "jpn-kaz", "kaz-kor")):
        for variant in VARIANT_ORDER:
            value = make.score(0.69 + number / 100, 2)
            rows += make.block(value=value, **make.aligned(variant, pair))
    rows += make.block(**make.aligned("S1W1M1", arm="shuffled"))
    return pd.DataFrame(rows)


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_the_whole_study_fits(make: Any, width: int) -> None:
    table, *_ = build_tables(whole_study(make))
    text = render_width([table], width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    values = [c.text for row in table.cells for c in row if c.value is not None]
    assert text.count(" ± ") >= len(values)


def test_one_panel_of_the_study_is_one_table_at_100_columns(make: Any) -> None:
    table, *_ = build_tables(whole_study(make), style=study_style())
    (panel,) = fit(table, 100)
    assert [row.label for row in panel.rows] == list(VARIANT_ORDER)
    assert panel.stub == "variant"


def test_one_table_per_panel(study: pd.DataFrame) -> None:
    table, *_ = build_tables(study)
    titles = [str(rich_table.title) for rich_table in rich_tables(table, 100)]
    assert titles == [
        f"{panel} (hictl)" for panel in ("pos, full", "pos, linear", "topic, full", "topic, linear")
    ]


def test_what_fits_stays_as_it_is() -> None:
    columns = (Column("a"), Column("b"))
    cells = ((TableCell("1", details=("+1", "[0, 2]")), TableCell("2")),)
    table = Table("t", "t", "t", "", columns, (TableRow("r"),), cells)
    (same,) = fit(table, 100)
    assert (same.columns, same.rows) == (table.columns, table.rows)
    assert same.cells[0][0].details == ("+1 [0, 2]",)


def test_pieces_hold_every_column_once() -> None:
    columns = tuple(Column(f"c{i}") for i in range(9))
    rows = tuple(TableRow(f"r{i}") for i in range(9))
    cells = tuple(tuple(TableCell(f"{i}{j}" * 4) for j in range(9)) for i in range(9))
    pieces = fit(Table("t", "t", "t", "", columns, rows, cells), 40)
    assert len(pieces) > 1
    assert [c.label for piece in pieces for c in piece.columns] == [c.label for c in columns]


def test_markup_and_escape_sequences_are_text() -> None:
    cells = ((TableCell("[red]x[/red]"),),)
    table = Table(
        "t", "t", "[b]t", "c\x1b[2J", (Column("[i]"),), (TableRow("[/]"),), cells, notes=("[n]",)
    )
    text = render([table], "terminal")
    for shown in ("[red]x[/red]", "[b]t", "[i]", "[/]", "- [n]"):
        assert shown in text
    assert "\x1b" not in text

"""LaTeX: the shape of a table, and that TeX takes it."""

import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from xbench.report.render.latex import render_table
from xbench.report.table import COVERED, Column, Table, TableCell, TableRow
from xbench.report.tables.study import build_tables
from xbench.report.write import render

HOSTILE = '[x] *_ & % # < > " \\ $ ~ ^ | ` { } -- ± − † ß é'


def hostile() -> Table:
    """Special characters everywhere, first in a line as well."""
    columns = (Column(HOSTILE, (HOSTILE,)), Column("[b]", (HOSTILE,)), Column("*c", ("",)))
    cells = (
        (TableCell(HOSTILE, best=True, details=("[1]", "*2"), span=2), COVERED, TableCell("")),
        (TableCell(""), TableCell("x"), TableCell("[y]", details=(HOSTILE,))),
    )
    rows = (TableRow("[r]", (HOSTILE,), control=True), TableRow("*", (HOSTILE,)))
    return Table(
        name="t",
        label=f"tab:{HOSTILE}",
        title=HOSTILE,
        caption=HOSTILE,
        columns=columns,
        rows=rows,
        cells=cells,
        stub=HOSTILE,
        notes=(HOSTILE,),
    )


def body(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.endswith(r"\\")]


def columns_of(line: str) -> int:
    """How many columns a line fills, spans counted."""
    spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", line)]
    return len(re.findall(r"(?<!\\)&", line)) + 1 + sum(spans) - len(spans)


def test_every_line_fills_the_table(study: pd.DataFrame) -> None:
    table, *_ = build_tables(study)
    lines = body(render_table(table))
    assert {columns_of(line) for line in lines} == {len(table.columns) + 1}


def test_every_line_of_hostile_text_fills_the_table() -> None:
    assert {columns_of(line) for line in body(render_table(hostile()))} == {4}


def two_level_headers() -> Table:
    """Columns in groups of groups: two panels of two objectives, with two and one column."""
    names = (("hictl", "S1W0M0"), ("hictl", "S0W1M0"), ("amber", "amber"))
    panels = ("pos, full", "pos, linear")
    columns = tuple(Column(label, (panel, group)) for panel in panels for group, label in names)
    cells = (tuple(TableCell(str(number)) for number in range(len(columns))),)
    return Table("t", "t", "t", "", columns, (TableRow("r"),), cells)


def test_header_levels_have_rules_under_their_own_columns() -> None:
    text = render_table(two_level_headers())
    assert text.count(r"\cmidrule(lr){2-4}\cmidrule(lr){5-7}") == 1
    assert text.count(r"\cmidrule(lr){2-3}\cmidrule(lr){4-4}\cmidrule(lr){5-6}") == 1
    assert r"\multicolumn{3}{c}{pos, linear}" in text
    assert text.count(r"\multicolumn{2}{c}{hictl}") == 2
    assert {columns_of(line) for line in body(text)} == {7}


def test_wide_tables_span_the_page_and_the_label_is_safe() -> None:
    text = render_table(hostile())
    assert r"\begin{table}" in text
    assert re.search(r"\\label\{[A-Za-z0-9:.-]+\}", text)


def test_only_booktabs_is_needed(study: pd.DataFrame) -> None:
    text = render(build_tables(study), "latex")
    assert text.startswith("% Needs \\usepackage{booktabs}.\n")
    assert "\\usepackage" not in text.split("\n", 1)[1]


def compile_document(text: str, folder: Path) -> None:
    (folder / "report.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-2000:]
    assert (folder / "report.pdf").stat().st_size > 1000


needs_tex = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="install pdflatex (texlive-latex-recommended)"
)


@needs_tex
def test_tex_takes_the_study(study: pd.DataFrame, tmp_path: Path) -> None:
    tables = [*build_tables(study), two_level_headers()]
    compile_document(render(tables, "latex-document"), tmp_path)


@needs_tex
def test_tex_takes_hostile_text(tmp_path: Path) -> None:
    compile_document(render([hostile()], "latex-document"), tmp_path)


@needs_tex
def test_tex_takes_the_tables_as_input_of_a_paper(study: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "table1.tex").write_text(render(build_tables(study), "latex"), encoding="utf-8")
    paper = r"\documentclass[twocolumn]{article}\usepackage{booktabs}\begin{document}"
    compile_document(paper + r"\input{table1}See~\ref{tab:table1}.\end{document}", tmp_path)

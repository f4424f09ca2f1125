"""The renderers' output for a small study, character by character (see golden/README.md)."""

import os
import re
from pathlib import Path

import pandas as pd
import pytest

from xbench.report.table import Table
from xbench.report.tables.study import build_tables
from xbench.report.write import render

from .page import sections
from .styles import study_style

GOLDEN = Path(__file__).parent / "golden"
SUFFIXES = {"markdown": "md", "latex": "tex", "terminal": "txt", "html": "html", "csv": "csv"}


def rendered(table: Table, format: str) -> str:
    """A table in a format; of HTML without the page around it, an element a line.

    Exact numbers end after 12 digits: the last few are the libraries' own.
    """
    text = sections([table]).replace("><", ">\n<") if format == "html" else render([table], format)
    return re.sub(r"\d\.\d{12,}(e-\d+)?", lambda number: f"{float(number[0]):.12g}", text)


def compare(text: str, name: str) -> None:
    path = GOLDEN / name
    if os.environ.get("XBENCH_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("format", SUFFIXES)
@pytest.mark.parametrize("name", ["table1", "per_language"])
def test_study(study: pd.DataFrame, name: str, format: str) -> None:
    style = study_style(source_language="eng", short_codes={"deu": "de", "eng": "en"})
    tables = [t for t in build_tables(study, style=style) if t.name == name][:1]
    compare(rendered(tables[0], format), f"{name}.{SUFFIXES[format]}")


@pytest.mark.parametrize("format", SUFFIXES)
def test_partial_averages(study: pd.DataFrame, format: str) -> None:
    chosen = study[study.variant.isna() | (study.variant == "S0W1M0")]
    table, *_ = build_tables(chosen, style=study_style(allow_partial=True))
    compare(rendered(table, format), f"partial.{SUFFIXES[format]}")

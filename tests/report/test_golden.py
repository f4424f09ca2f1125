"""The renderers' output for a small study, character by character (see golden/README.md)."""

import os
from pathlib import Path

import pandas as pd
import pytest

from xbench.report.build import build_tables, render
from xbench.report.style import Style

GOLDEN = Path(__file__).parent / "golden"
SUFFIXES = {"markdown": "md", "latex": "tex", "terminal": "txt"}


def compare(text: str, name: str) -> None:
    path = GOLDEN / name
    if os.environ.get("XBENCH_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("format", SUFFIXES)
@pytest.mark.parametrize("name", ["table1", "per_language"])
def test_study(study: pd.DataFrame, name: str, format: str) -> None:
    style = Style(source_language="eng", short_codes={"deu": "de", "eng": "en"})
    tables = [t for t in build_tables(study, style=style) if t.name == name][:1]
    compare(render(tables, format), f"{name}.{SUFFIXES[format]}")


@pytest.mark.parametrize("format", SUFFIXES)
def test_wide_layout_with_parts(study: pd.DataFrame, format: str) -> None:
    chosen = study[study.variant.isna() | (study.variant == "S0W1M0")]
    table, *_ = build_tables(chosen, style=Style(layout="wide", allow_partial=True))
    compare(render([table], format), f"wide.{SUFFIXES[format]}")

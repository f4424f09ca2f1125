"""Writing a report: which files, all or the old one, never half."""

from pathlib import Path

import pandas as pd
import pytest

from xbench.report.table import Table
from xbench.report.tables.study import build_tables
from xbench.report.write import render, write_report


def test_files_of_both_formats(study: pd.DataFrame, tmp_path: Path) -> None:
    tables = build_tables(study)
    folder = tmp_path / "paper" / "tables"
    paths = write_report(tables, folder, ["markdown", "latex"])
    assert [path.name for path in paths] == [
        *("table1.md", "per_language.md", "report.md"),
        *("table1.tex", "per_language.tex", "report.tex"),
    ]
    assert sorted(folder.iterdir()) == sorted(paths)
    texts = {path.name: path.read_text(encoding="utf-8") for path in paths}
    assert texts["table1.md"] == render(tables[:1], "markdown")
    assert texts["report.md"] == render(tables, "markdown")
    assert texts["per_language.tex"].count(r"\begin{tabular}") == 4
    assert r"\documentclass" not in texts["table1.tex"]
    assert texts["report.tex"] == render(tables, "latex-document")


def test_writing_again_replaces(study: pd.DataFrame, tmp_path: Path) -> None:
    tables = build_tables(study)
    (tmp_path / "table1.md").write_text("an earlier report")
    first = write_report(tables, tmp_path, ["markdown"])
    assert write_report(tables, tmp_path, ["markdown"]) == first
    assert "an earlier report" not in (tmp_path / "table1.md").read_text(encoding="utf-8")


def test_an_interrupted_write_leaves_the_old_file(
    study: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    (tmp_path / "table1.md").write_text("old")
    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_report(build_tables(study), tmp_path, ["markdown"])
    assert [path.name for path in tmp_path.iterdir()] == ["table1.md"]
    assert (tmp_path / "table1.md").read_text() == "old"


def test_unknown_formats_are_refused_before_anything_is_written(
    study: pd.DataFrame, tmp_path: Path
) -> None:
    tables = build_tables(study)
    with pytest.raises(ValueError, match="cannot write docx; choose from markdown, latex"):
        write_report(tables, tmp_path / "new", ["markdown", "docx"])
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="unknown format 'docx'; choose from markdown, latex"):
        render(tables, "docx")


def test_a_table_may_not_take_the_name_of_the_whole(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="may be named 'report'"):
        write_report([Table("report", "l", "t", "", (), (), ())], tmp_path, ["markdown"])


def test_a_report_is_a_pure_function_of_the_results(study: pd.DataFrame) -> None:
    before = study.copy(deep=True)
    shuffled = study.sample(frac=1, random_state=3)
    assert build_tables(study) == build_tables(shuffled)
    pd.testing.assert_frame_equal(study, before)

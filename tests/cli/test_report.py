"""``xbench report`` and the filters of ``xbench results``, on the store of a small run."""

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ..command import QUICK_OPTIONS, SMALL_OPTIONS, Outcome
from ..command import with_figures as xbench
from ..report.page import data_of, read_page

Finished = tuple[Path, Outcome]


@pytest.fixture(scope="module")
def two_runs(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A store with a second run beside the first: shorter fine-tuning, one language more."""
    store = Path(shutil.copytree(finished[0], tmp_path_factory.mktemp("two") / "store"))
    (first,) = (folder.name for folder in (store / "runs").iterdir())
    more = ["--language", "qaa,qab,qac", "-O", "finetune.steps=3", "--mode", "linear"]
    outcome = xbench("run", *SMALL_OPTIONS, *QUICK_OPTIONS, *more, "--store", store, "--jobs", "1")
    assert outcome.code == 0, outcome.err
    (second,) = {folder.name for folder in (store / "runs").iterdir()} - {first}
    return store, first, second


class TestFormats:
    def test_all_are_written_where_none_is_named(self, finished: Finished, tmp_path: Path) -> None:
        outcome = xbench("report", "--store", finished[0], "--out", tmp_path)
        assert outcome.code == 0, outcome.err
        written = {path for path in tmp_path.rglob("*") if path.is_file()}
        assert written == {Path(line) for line in outcome.out.splitlines()}
        names = {path.name for path in written}
        assert {"report.md", "report.tex", "report.html", "table1.csv", "settings.csv"} <= names
        assert not {"table1.html", "report.csv"} & names
        assert "figures/changes-pos-full.svg" in (tmp_path / "report.md").read_text()
        assert "{figures/changes-pos-full.pdf}" in (tmp_path / "figures.tex").read_text()
        figures = {path.name for path in written if path.parent.name == "figures"}
        assert {"changes-pos-full.svg", "changes-pos-full.pdf", "losses-align.svg"} <= figures

    @pytest.mark.parametrize(
        ("options", "suffixes"),
        [
            (["--format", "html"], [".html"]),
            (["--format", "latex,csv"], [".csv", ".tex"]),
            (["--format", "csv, html", "--format", "csv"], [".csv", ".html"]),
        ],
        ids=str,
    )
    def test_some_by_name(
        self, options: list[str], suffixes: list[str], finished: Finished, tmp_path: Path
    ) -> None:
        outcome = xbench("report", "--store", finished[0], "--out", tmp_path, *options)
        assert outcome.code == 0, outcome.err
        assert {path.suffix for path in tmp_path.iterdir() if path.is_file()} == set(suffixes)
        pictures = {path.suffix for path in tmp_path.glob("figures/*")}
        assert pictures == ({".pdf"} if ".tex" in suffixes else set())

    def test_a_name_that_there_is_not(self, finished: Finished, tmp_path: Path) -> None:
        out = tmp_path / "new"
        outcome = xbench("report", "--store", finished[0], "--out", out, "--format", "html,latx")
        assert outcome.code == 2
        assert "Unknown format 'latx'. Did you mean 'latex'?" in outcome.err
        assert not out.exists()

    def test_some_tables(self, finished: Finished, tmp_path: Path) -> None:
        options = ("--table", "1,settings", "--format", "csv,html", "--out", tmp_path)
        assert xbench("report", "--store", finished[0], *options).code == 0
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {"table1.csv", "settings.csv", "report.html"}
        page = read_page((tmp_path / "report.html").read_text())
        titles = [entry.text for entry in page.all("nav")[0].all("a")]
        assert len(titles) > 2
        assert all(title.startswith(("Table 1", "Table B1")) for title in titles)

    def test_the_page_has_every_stage_with_its_time(
        self, finished: Finished, tmp_path: Path
    ) -> None:
        assert xbench("report", "--store", finished[0], "--out", tmp_path).code == 0
        data = data_of(read_page((tmp_path / "report.html").read_text()))
        kinds = [stage["kind"] for stage in data["stages"]]
        assert {kind: kinds.count(kind) for kind in set(kinds)} == {
            "align": 1,
            "finetune": 4,
            "evaluate": 8,
            "score": 8,
        }
        assert all(stage["seconds"] >= 0 and stage["spec"] for stage in data["stages"])
        numbers = [c for c in data["cells"] if c["table"].startswith("Table 1") and "value" in c]
        assert numbers
        assert all(c["rows"] for c in numbers)
        rows = [data["rows"][place] for cell in numbers for place in cell["rows"]]
        assert {row["metric"] for row in rows} == {"accuracy"}  # not what else was measured

    def test_a_run_ends_with_the_page_too(self, finished: Finished) -> None:
        (page,) = finished[0].glob("runs/*/report/report.html")
        assert f"Page: {page}\n" in finished[1].out


class TestCompare:
    def test_two_runs_by_their_ids(self, two_runs: tuple[Path, str, str], tmp_path: Path) -> None:
        store, first, second = two_runs
        options = ("--compare", first[:10], second, "--out", tmp_path)
        outcome = xbench("report", "--store", store, *options)
        assert outcome.code == 0, outcome.err
        lines = list(csv.DictReader(io.StringIO((tmp_path / "compare_settings.csv").read_text())))
        steps = [line["text"] for line in lines if line["row"] == "finetune.pos.linear.steps"]
        assert steps == ["4", "3"]
        text = (tmp_path / "report.md").read_text()
        assert f"Of {second} alone, and left out: languages qab." in text.replace("\\", "")
        assert "pos, linear: accuracy" in text
        assert "pos, full: accuracy" not in text  # the second run has none

    def test_differences_are_those_of_the_results(
        self, two_runs: tuple[Path, str, str], tmp_path: Path
    ) -> None:
        store, first, second = two_runs
        options = ("--compare", first, second, "--out", tmp_path, "--format", "csv")
        assert xbench("report", "--store", store, *options).code == 0
        where = "arm=aligned,mode=linear,metric=accuracy,language=qaa|qac"
        means = []
        for run in (first, second):
            shown = xbench(
                *("results", "--store", store, "--run", run, "--where", where, "--format", "json")
            )
            rows = json.loads(shown.out)
            assert len(rows) == 2
            means.append(sum(row["value"] for row in rows) / 2)
        lines = list(csv.DictReader(io.StringIO((tmp_path / "compare.csv").read_text())))
        found = [float(line["value"]) for line in lines if line["row"].startswith("hictl")]
        assert found == pytest.approx([*means, means[1] - means[0]], abs=1e-12)

    def test_a_run_of_another_store_by_its_folder(
        self, two_runs: tuple[Path, str, str], finished: Finished, tmp_path: Path
    ) -> None:
        store, first, second = two_runs
        options = ("--compare", finished[0] / "runs" / first, second, "--out", tmp_path)
        assert xbench("report", "--store", store, *options).code == 0
        assert (tmp_path / "compare.md").is_file()

    def test_it_is_written_into_the_first_runs_folder(
        self, two_runs: tuple[Path, str, str]
    ) -> None:
        store, first, second = two_runs
        assert xbench("report", "--store", store, "--compare", first, second).code == 0
        assert (store / "runs" / first / f"compare-{second}" / "report.html").is_file()

    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (("{first}", "{first}"), "both names are the run {first}; name two runs"),
            (("{first}", "zzz"), "Unknown run in the store"),
            (("{first}", "{second}", "--run", "{first}"), "--run and --compare exclude each other"),
        ],
        ids=str,
    )
    def test_mistakes(
        self, names: tuple[str, ...], message: str, two_runs: tuple[Path, str, str]
    ) -> None:
        store, first, second = two_runs
        given = [name.format(first=first, second=second) for name in names]
        outcome = xbench("report", "--store", store, "--compare", *given)
        assert outcome.code == 2
        assert message.format(first=first) in outcome.err
        assert "Traceback" not in outcome.err


class TestResults:
    def rows(self, finished: Finished, *options: str) -> list[dict[str, Any]]:
        outcome = xbench("results", "--store", finished[0], "--format", "json", *options)
        assert outcome.code == 0, outcome.err
        found: list[dict[str, Any]] = json.loads(outcome.out)
        return found

    @pytest.mark.parametrize(
        ("conditions", "count"),
        [
            (["task=pos"], 16),
            (["arm=aligned, metric=accuracy"], 4),
            (["arm=aligned|none,metric=accuracy"], 8),
            (["arm=aligned", "--where", "metric=accuracy"], 4),
            (["seed=15,align_step=4"], 8),
            (["objective=null"], 8),
            (["language=deu"], 0),
            ([""], 16),
        ],
        ids=str,
    )
    def test_conditions(self, conditions: list[str], count: int, finished: Finished) -> None:
        assert len(self.rows(finished, "--where", *conditions)) == count

    def test_kept_rows_are_those_that_meet_the_condition(self, finished: Finished) -> None:
        everything = self.rows(finished)
        kept = self.rows(finished, "--where", "arm=none,language=qac")
        assert kept == [r for r in everything if (r["arm"], r["language"]) == ("none", "qac")]

    def test_columns_in_the_order_asked_for(self, finished: Finished) -> None:
        rows = self.rows(finished, "--columns", "value, language,value", "--where", "arm=none")
        assert [*rows[0]] == ["value", "language"]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--columns", "langage"], "Unknown column 'langage'. Did you mean 'language'?"),
            (["--where", "tusk=pos"], "Unknown column 'tusk'. Did you mean 'task'?"),
            (["--where", "pos"], "--where pos: expected NAME=VALUE"),
            (["--where", "=pos"], "--where =pos: expected NAME=VALUE"),
        ],
        ids=str,
    )
    def test_mistakes(self, options: list[str], message: str, finished: Finished) -> None:
        outcome = xbench("results", "--store", finished[0], *options)
        assert outcome.code == 2
        assert message in outcome.err

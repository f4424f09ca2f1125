"""What each command shows, on the store of one small run that has ended well."""

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

import click
import pandas as pd
import pytest
import yaml

from xbench.catalogue.discovery import KINDS
from xbench.cli import COMMANDS
from xbench.plan import KINDS as KINDS_OF_STAGES
from xbench.store.rows import COLUMNS

from ..command import QUICK_OPTIONS, SMALL_OPTIONS, Outcome, with_figures, xbench
from ..conftest import Install

Finished = tuple[Path, Outcome]
ALL_STAGES = {"align": 1, "finetune": 4, "evaluate": 8, "score": 8}


def files(folder: Path) -> dict[str, int]:
    """Every file with the time of its last change."""
    return {str(p): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


class TestHelp:
    def test_every_command_is_named_with_what_it_does(self) -> None:
        outcome = xbench("--help")
        assert outcome.code == 0
        for name, about in COMMANDS.items():
            assert re.search(rf"^  {name} +{re.escape(about)}", outcome.out, re.MULTILINE)

    @pytest.mark.parametrize("name", COMMANDS)
    def test_every_command_has_help_of_its_own(self, name: str) -> None:
        outcome = xbench(name, "--help")
        assert outcome.code == 0
        assert f"xbench {name}" in outcome.out.replace("\n", " ")

    def test_the_version(self) -> None:
        assert re.fullmatch(r"xbench, version \d+\.\d+\.\d+\n", xbench("--version").out)


class TestList:
    @pytest.mark.parametrize("kind", [*KINDS, "suites", "models"])
    def test_each_kind_as_json_and_as_text(self, kind: str) -> None:
        outcome = xbench("list", kind, "--format", "json")
        assert outcome.code == 0
        rows = json.loads(outcome.out)
        assert {row["kind"] for row in rows} <= {kind}
        text = xbench("list", kind).out
        if not rows:
            assert text == f"No {kind} are installed.\n"
        for row, line in zip(rows, text.splitlines(), strict=bool(rows)):
            assert line.split()[0] == row["name"]

    @pytest.mark.parametrize(
        ("kind", "name", "about"),
        [
            ("objectives", "hictl", "xbench 0.1.0"),
            ("languages", "deu", "German (Latn)"),
            ("languages", "qaa", "xbench 0.1.0"),
            ("suites", "mini", "Clone languages"),
            ("models", "xlm-roberta-base", "FacebookAI/xlm-roberta-base: XLM-R base"),
            ("languages", "kas_Deva", "Kashmiri (Devanagari, Deva)"),
            ("objectives", "infoxlm", "composition of mlm, tlm, xlco: InfoXLM"),
            ("datasets", "sib200", "Apache-2.0"),
        ],
    )
    def test_names_come_with_where_they_are_from(self, kind: str, name: str, about: str) -> None:
        rows = {row["name"]: row for row in json.loads(xbench("list", kind, "--format=json").out)}
        assert about in rows[name]["about"]

    def test_without_a_kind_all_are_listed(self) -> None:
        rows = json.loads(xbench("list", "--format", "json").out)
        kinds = {row["kind"] for row in rows}
        assert {"objectives", "tasks", "sources", "suites", "models", "languages"} <= kinds
        assert len(xbench("list").out.splitlines()) == len(rows)

    def test_no_hub_is_named_for_data_that_is_not_read_from_it(self) -> None:
        assert "openlanguagedata" not in xbench("list", "datasets").out

    def test_a_name_claimed_twice_is_marked(self, install: Install) -> None:
        install("acme", {"objectives": {"hictl": "acme_x:X"}}, {})
        rows = json.loads(xbench("list", "objectives", "--format", "json").out)
        clash = [row for row in rows if row["name"] == "hictl"]
        assert [row["clash"] for row in clash] == [True, True]
        assert xbench("list", "objectives").out.count("claimed twice") == 2


class TestShow:
    @pytest.mark.parametrize(
        ("name", "parts"),
        [
            ("hictl", ["objective of xbench", "arXiv 2007.15960", "temperature", "S1W0M1"]),
            ("pos", ["task of xbench", "level: token", "metrics: accuracy, udpos_f1_xtreme"]),
            ("accuracy", ["metric of xbench"]),
            ("qaa", ["language of xbench", "code: qaa"]),
            ("deu", ["deu - language", "name: German", "UD_German-GSD"]),
            ("mini", ["mini - suite", "model: mini-encoder", "clone-bitext"]),
            ("paper", ["paper - suite", "source: paper"]),
            ("mini-encoder", ["mini-encoder - model", "4 layers"]),
            ("sib200", ["source of xbench", "sib200 - alias of", "topic - task of xbench"]),
            ("sib200", ["sib200 - data set", "home: https://github.com/dadelani", "Apache-2.0"]),
            ("sib200", ["below --data: sib200/{id}/{split}.tsv", "on the hub: Davlan/sib200 ("]),
            ("flores200", ["data set", "licence: CC BY-SA 4.0", "on the hub: not read from there"]),
            ("infoxlm", ["composition of objectives", "mlm   weight 1", "arXiv 2007.07834"]),
        ],
    )
    def test_a_name_of_any_sort(self, name: str, parts: list[str]) -> None:
        outcome = xbench("show", name)
        assert outcome.code == 0
        for part in parts:
            assert part in outcome.out

    def test_settings_come_with_default_and_source(self) -> None:
        settings = xbench("show", "hictl").out.split("Settings (-O objective.NAME=VALUE):")[1]
        (line,) = (line for line in settings.splitlines() if line.startswith("  temperature "))
        assert line.split()[:3] == ["temperature", "0.1", "reconstruction"]

    def test_labels_keep_their_order(self) -> None:
        from xbench_tasks.topic import Topic

        assert f"labels: {', '.join(Topic.labels)}" in xbench("show", "topic").out


class TestPlan:
    def test_as_json_before_and_after_the_run(self, finished: Finished, tmp_path: Path) -> None:
        for store, cached in ((tmp_path / "none", False), (finished[0], True)):
            outcome = xbench(
                *("plan", *SMALL_OPTIONS, *QUICK_OPTIONS, "--store", store, "--format", "json")
            )
            assert outcome.code == 0, outcome.err
            shown = json.loads(outcome.out)
            assert shown["cells"] == 8
            assert shown["gaps"] == {}
            # Weights that a run has freed are not wanted any more: a run again computes nothing.
            assert shown["stages"] == {
                kind: {"total": n, "cached": n * cached, "todo": n * (not cached), "blocked": 0}
                for kind, n in {**dict.fromkeys(KINDS_OF_STAGES, 0), **ALL_STAGES}.items()
            }

    def test_as_text(self, tmp_path: Path) -> None:
        outcome = xbench("plan", *SMALL_OPTIONS, *QUICK_OPTIONS, "--store", tmp_path / "none")
        lines = [line.split() for line in outcome.out.splitlines()]
        assert lines[0] == ["stage", "total", "cached", "to", "do", "blocked"]
        assert ["finetune", "4", "0", "4", "0"] in lines
        assert ["8", "cells,", "5", "jobs", "to", "do"] in lines

    def test_every_option_has_a_help_text(self) -> None:
        for name in COMMANDS:
            command = import_module(f"xbench.cli.commands.{name}").command
            options = [option for option in command.params if isinstance(option, click.Option)]
            silent = [option.opts for option in options if not option.help]
            assert silent in ([], [["--format"]]), name  # its choices say what it is

    def test_it_computes_and_writes_nothing(self, finished: Finished, tmp_path: Path) -> None:
        before = files(finished[0])
        more = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--seed", "99"]
        assert xbench("plan", *more, "--store", finished[0]).code == 0
        assert files(finished[0]) == before
        assert xbench("plan", *more, "--store", tmp_path / "new").code == 0
        assert not (tmp_path / "new").exists()


class TestRun:
    def test_it_ends_with_the_table_and_the_way_to_repeat_it(self, finished: Finished) -> None:
        store, outcome = finished
        assert "Table 1" in outcome.out
        assert "S1W0M0" in outcome.out
        report = re.search(r"^Report: (.*)$", outcome.out, re.MULTILINE)
        assert report
        assert Path(report[1]).read_text().startswith("#")
        assert f"/spec.yaml --store {store}" in outcome.out
        assert "To compute: 1 align, 4 fine-tune, 8 evaluate, 8 score" in outcome.err
        assert "align 1/1  fine-tune 4/4  evaluate 8/8  score 8/8" in outcome.err

    def test_a_run_again_computes_nothing_and_says_the_same(self, finished: Finished) -> None:
        store, outcome = finished
        stages = {p: t for p, t in files(store).items() if "/runs/" not in p}
        again = xbench("run", *SMALL_OPTIONS, *QUICK_OPTIONS, "--store", store)
        assert again.code == 0
        assert again.err == "Everything is in the store; nothing to compute.\n"
        assert again.out == outcome.out
        assert {p: t for p, t in files(store).items() if "/runs/" not in p} == stages

    def test_the_written_spec_repeats_it(self, finished: Finished) -> None:
        store, outcome = finished
        (spec,) = store.glob("runs/*/spec.yaml")
        values = yaml.safe_load(spec.read_text())
        assert values["align"]["steps"] == 4
        again = xbench("run", spec, "--store", store)
        assert again.code == 0, again.err
        assert "nothing to compute" in again.err
        assert again.out == outcome.out

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ([], [0, 0, 0, 0]),
            (["-O", "objective.temperature=0.3"], [1, 2, 4, 4]),
            (["-O", "align.steps=5"], [1, 2, 4, 4]),
            (["-O", "align.steps=5", "--align-step", "4"], [1, 2, 4, 4]),
            (["--epochs", "1", "--mode", "linear"], [0, 2, 4, 4]),
            (["--max-train", "23", "--mode", "linear"], [0, 2, 4, 4]),
            (["--max-test", "7", "--mode", "linear"], [0, 0, 4, 4]),
            (["--seed", "16", "--arm", "none"], [0, 2, 4, 4]),
            (["--arm", "mlm"], [1, 2, 4, 4]),
        ],
        ids=str,
    )
    def test_options_change_a_written_spec(
        self, options: list[str], expected: list[int], finished: Finished
    ) -> None:
        (spec,) = finished[0].glob("runs/*/spec.yaml")
        outcome = xbench("plan", spec, *options, "--store", finished[0], "--format", "json")
        assert outcome.code == 0, outcome.err
        stages = json.loads(outcome.out)["stages"]
        assert [stages[kind]["todo"] for kind in ALL_STAGES] == expected

    def test_a_longer_alignment_of_a_written_spec_goes_on_from_its_last_step(
        self, finished: Finished, tmp_path: Path
    ) -> None:
        from xbench.cli.options import spec_from

        (spec,) = finished[0].glob("runs/*/spec.yaml")
        assert spec_from({"spec_file": spec}).align_step == (4,)
        assert spec_from({"spec_file": spec, "option": ("align.steps=9",)}).align_step is None
        asked = {"spec_file": spec, "option": ("align.steps=9",), "align_step": "4"}
        assert spec_from(asked).align_step == (4,)


class TestResults:
    def rows(self, finished: Finished, form: str, *options: str | Path) -> Any:
        outcome = xbench("results", "--store", finished[0], "--format", form, *options)
        assert outcome.code == 0, outcome.err
        return outcome.out

    def test_the_three_formats_hold_the_same_rows(self, finished: Finished, tmp_path: Path) -> None:
        rows = json.loads(self.rows(finished, "json"))
        assert len(rows) == 16  # 8 cells, 2 metrics
        assert [*rows[0]] == [*COLUMNS, "reason"]
        assert {row["status"] for row in rows} == {"done"}
        texts = list(csv.DictReader(io.StringIO(self.rows(finished, "csv"))))
        assert [float(row["value"]) for row in texts] == [row["value"] for row in rows]
        assert [row["key"] for row in texts] == [row["key"] for row in rows]
        self.rows(finished, "parquet", "--out", tmp_path / "rows.parquet")
        frame = pd.read_parquet(tmp_path / "rows.parquet")
        assert list(frame["value"]) == [row["value"] for row in rows]
        assert [*frame.columns] == [*COLUMNS, "reason"]

    def test_absent_dimensions_are_null_and_whole_numbers_whole(self, finished: Finished) -> None:
        rows = json.loads(self.rows(finished, "json"))
        none = next(row for row in rows if row["arm"] == "none")
        for name in ("objective", "variant", "pair", "align_step", "align_seed", "probe", "layer"):
            assert none[name] is None
        other = next(row for row in rows if row["arm"] == "aligned")
        assert (other["align_step"], other["align_seed"], other["n"]) == (4, 42, 8)
        assert all(isinstance(row["seed"], int) for row in rows)

    @pytest.mark.parametrize("form", ["csv", "json"])
    def test_a_file_holds_what_would_be_shown(
        self, form: str, finished: Finished, tmp_path: Path
    ) -> None:
        assert self.rows(finished, form, "--out", tmp_path / "rows") == ""
        assert (tmp_path / "rows").read_text() == self.rows(finished, form)

    def test_binary_content_is_not_for_a_terminal(self, finished: Finished) -> None:
        outcome = xbench("results", "--store", finished[0], "--format", "parquet")
        assert outcome.code == 2
        assert "--out FILE" in outcome.err

    def test_values_are_those_of_the_predictions(self, finished: Finished) -> None:
        import pyarrow.parquet as pq

        plans = json.loads(next(finished[0].glob("runs/*/plan.json")).read_text())
        evaluations = {cell["score"]: cell["evaluate"] for cell in plans["cells"]}
        rows = json.loads(self.rows(finished, "json"))
        checked = 0
        for row in rows:
            if row["metric"] != "accuracy":
                continue
            path = finished[0] / "evaluate" / evaluations[row["key"]] / "predictions.parquet"
            table = pq.read_table(path).to_pydict()
            gold, predicted = ([*chain(*table[name])] for name in ("gold", "predicted"))
            right = sum(g == p for g, p in zip(gold, predicted, strict=True))
            assert row["value"] == pytest.approx(right / len(gold), abs=1e-12)
            checked += 1
        assert checked == 8


class TestStatus:
    def test_as_text_and_json(self, finished: Finished) -> None:
        assert "       8 cells done\n" in xbench("status", "--store", finished[0]).out
        shown = json.loads(xbench("status", "--store", finished[0], "--format", "json").out)
        assert shown["cells"] == {"done": 8}
        assert shown["failures"] == []
        assert (finished[0] / "runs" / shown["run"]).is_dir()

    def test_of_a_run_that_was_only_begun(self, finished: Finished, tmp_path: Path) -> None:
        store = Path(shutil.copytree(finished[0], tmp_path / "store"))
        for folder in list((store / "score").iterdir())[:3]:
            shutil.rmtree(folder)
        shown = json.loads(xbench("status", "--store", store, "--format", "json").out)
        assert shown["cells"] == {"done": 5, "missing": 3}


class TestReport:
    def test_it_says_how_models_were_selected(self, tmp_path: Path, finished: Finished) -> None:
        store = tmp_path / "store"
        options = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--mode", "linear", "--arm", "none"]
        assert xbench("run", *options, "--selection", "best", "--store", store).code == 0
        assert "Model selection: the step of each" in next(store.rglob("table1.md")).read_text()
        assert "Model selection" not in next(finished[0].rglob("table1.md")).read_text()

    def test_tables_are_written_from_the_store_alone(
        self, finished: Finished, tmp_path: Path
    ) -> None:
        before = files(finished[0])
        outcome = xbench("report", "--store", finished[0], "--out", tmp_path / "paper")
        assert outcome.code == 0, outcome.err
        names = {Path(line).name for line in outcome.out.splitlines()}
        assert {"table1.md", "report.md", "table1.tex", "report.tex"} <= names
        assert all(Path(line).is_file() for line in outcome.out.splitlines())
        assert files(finished[0]) == before

    def test_a_run_may_leave_them_for_later(self, finished: Finished, tmp_path: Path) -> None:
        """A run with nothing to compute is given all the same, and its exit code counts cells."""
        store = tmp_path / "store"
        shutil.copytree(finished[0], store)
        for path in store.glob("runs/*/report"):
            shutil.rmtree(path)
        again = (*SMALL_OPTIONS, *QUICK_OPTIONS, "--store", store, "--no-report")
        outcome = xbench("run", *again)
        assert outcome.code == 0, outcome.err
        first, second = outcome.out.splitlines()
        assert first.startswith("Tables and figures: xbench report --store ")
        assert second.startswith("Repeat: xbench run ")
        assert not list(store.glob("runs/*/report"))
        later = xbench(*first.split()[4:])
        assert later.code == 0, later.err
        tables = [list(where.glob("runs/*/report/table1.md")) for where in (store, finished[0])]
        assert tables[0][0].read_text() == tables[1][0].read_text()

    def test_in_one_format(self, finished: Finished, tmp_path: Path) -> None:
        options = ("--format", "latex", "--out", tmp_path)
        outcome = with_figures("report", "--store", finished[0], *options)
        assert {Path(line).suffix for line in outcome.out.splitlines()} == {".tex", ".pdf"}

    def test_of_another_split_than_test(self, finished: Finished, tmp_path: Path) -> None:
        """The split of the run is reported, whatever it is."""
        from xbench.report.run.stored import StoredRun
        from xbench.report.run.tables import tables_of
        from xbench.store import Store

        run = StoredRun.find(Store(finished[0]))
        cells = [
            replace(cell, coordinates={**cell.coordinates, "split": "dev"})
            for cell in run.record.cells
        ]
        run.rows = run.rows.assign(split="dev")
        run.record = replace(run.record, cells=tuple(cells))
        assert tables_of(run)

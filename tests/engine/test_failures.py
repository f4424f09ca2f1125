"""A stage that fails costs its own cells and no others, is recorded, and is tried again."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from xbench.catalogue.discovery import discovery
from xbench.cli.commands import run as run_command
from xbench.report.run.stored import StoredRun
from xbench.store import Store
from xbench.store.runs import record_run

from ..command import QUICK_OPTIONS, SMALL_OPTIONS, Outcome, plan_of, request, with_new_workers
from ..command import with_workers as xbench
from .unruly import install_unruly

OPTIONS = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--mode", "linear", "--jobs", "1"]


@dataclass(frozen=True)
class Runs:
    """A run with a broken and a noisy objective, the run after the repair, and the store of both."""

    store: Path
    first: Outcome
    status: dict[str, Any]
    rows: list[dict[str, Any]]
    times: dict[Path, int]
    second: Outcome
    rows_after: list[dict[str, Any]]
    times_after: dict[Path, int]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = install_unruly(tmp_path_factory.mktemp("unruly"))
    store = tmp_path_factory.mktemp("failures") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", str(folder), prepend=":")
        discovery.__dict__.clear()
        command = ["run", *OPTIONS, "--objective", "broken,noisy", "--store", store]
        first = xbench(*command)
        seen = json.loads(xbench("status", "--store", store, "--format", "json").out)
        rows, times = rows_of(store), times_of(store)
        patch.setenv("REPAIRED", "1")
        second = xbench(*command)
        yield Runs(store, first, seen, rows, times, second, rows_of(store), times_of(store))
    discovery.__dict__.clear()


def rows_of(store: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(
        xbench("results", "--store", store, "--format", "json").out
    )
    return [row for row in rows if row["metric"] == "accuracy"]


def times_of(store: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in store.glob("*/*/status.json")}


def test_the_exit_code_says_that_cells_failed(runs: Runs) -> None:
    assert runs.first.code == 1
    assert "Traceback" not in runs.first.err


def test_other_cells_have_their_values(runs: Runs) -> None:
    statuses = {(row["objective"], row["language"]): row["status"] for row in runs.rows}
    assert statuses == {
        (None, "qaa"): "done",
        (None, "qac"): "done",
        ("broken", "qaa"): "blocked",
        ("broken", "qac"): "blocked",
        ("noisy", "qaa"): "done",
        ("noisy", "qac"): "done",
    }
    assert runs.status["cells"] == {"done": 4, "blocked": 2}


def test_what_is_blocked_says_why(runs: Runs) -> None:
    for row in runs.rows:
        if row["objective"] == "broken":
            assert row["value"] is None
            assert row["reason"].startswith("align ")
            assert "RuntimeError: the flux capacitor is empty" in row["reason"]


def test_the_failure_is_listed_once_with_its_log_and_the_way_to_retry(runs: Runs) -> None:
    shown = runs.first.err[runs.first.err.index("Some cells have no value:") :]
    (line,) = runs.status["failures"]
    assert line in shown
    assert shown.count("the flux capacitor") == 1
    assert "(broken default aligned qaa-qac 42): RuntimeError: the flux capacitor" in line
    log = Path(line.split("Log: ")[1])
    assert log.is_relative_to(runs.store)
    assert "The same command tries them again" in shown
    assert "FAILED align broken:default qaa-qac align seed 42: RuntimeError" in runs.first.err


def test_the_table_is_shown_all_the_same(runs: Runs) -> None:
    assert "Table 1" in runs.first.out
    assert "Report: " in runs.first.out


def test_noise_goes_to_the_log_of_the_worker_and_harms_nothing(runs: Runs) -> None:
    (log,) = runs.store.glob("runs/*/worker-0.log")
    text = log.read_text()
    for part in ("noise\n", "raw noise", "noise of a child", '"key": "nonsense"'):
        assert part in text
    assert "nonsense" not in runs.first.out + runs.first.err


def test_the_next_run_tries_what_failed_and_leaves_the_rest(runs: Runs) -> None:
    assert runs.second.code == 0
    assert "To compute: 1 align, 1 fine-tune, 2 evaluate, 2 score" in runs.second.err
    assert Counter(row["status"] for row in runs.rows_after) == {"done": 6}
    old, new = runs.times, runs.times_after
    assert sum(new[path] != time for path, time in old.items()) == 1  # the failed alignment
    assert len(new) == len(old) + 5
    values = {(row["objective"], row["language"]): row["value"] for row in runs.rows_after}
    for row in runs.rows:
        if row["status"] == "done":
            assert values[(row["objective"], row["language"])] == row["value"]


def test_where_everything_fails_the_list_is_still_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, plan = Store(tmp_path), plan_of(request(arm=["aligned"]))
    (align,) = plan.of_kind("align")
    failure = {"error": "RuntimeError: the flux capacitor is empty", "traceback": "", "cause": ""}
    store.write_failure("align", align, {}, failure)
    assert run_command.finish(StoredRun(record_run(plan, store))) == 1
    shown = capsys.readouterr()
    assert "(hictl S1W0M0 aligned qaa-qac 42): RuntimeError: the flux capacitor" in shown.err
    assert "Repeat: xbench run " in shown.out


def test_a_worker_that_cannot_start_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nsys.stderr.write('no room on this machine')\n"
        "sys.stderr.flush()\nos._exit(7)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    outcome = with_new_workers("run", *OPTIONS, "--arm", "none", "--store", tmp_path / "store")
    assert outcome.code == 2
    for part in ("died (exit code 7)", "could not start", "no room on this machine"):
        assert part in outcome.err
    assert "Traceback" not in outcome.err

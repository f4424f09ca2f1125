"""A run whose jobs a scheduler computes: the same rows, whatever becomes of jobs and driver."""

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from xbench.api import LauncherError
from xbench.catalogue.discovery import discovery

from ..command import QUICK_OPTIONS, SMALL_OPTIONS, Outcome
from ..command import with_workers as xbench
from ..command import xbench as alone
from .toy import install_toy, queued

OPTIONS = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--no-report"]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("LOOK_EVERY", "ASK_EVERY"):
        monkeypatch.setattr(f"xbench.engine.cluster.following.{name}", 0.0)
    heard = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, heard)


@pytest.fixture
def place(install: Callable[..., Path], tmp_path: Path) -> Path:
    return install_toy(install, tmp_path / "scheduler")


@pytest.fixture
def run(place: Path, tmp_path: Path) -> Callable[..., Outcome]:
    """``xbench run`` through the toy, into one store."""

    def run(*options: str, command: str = "run") -> Outcome:
        toy = ["--launcher", "toy", "-O", f"launcher.place={place}"]
        spec = [*OPTIONS, *toy] if command == "run" else ["--no-report"]
        return xbench(command, *spec, *options, "--store", tmp_path / "store")

    return run


def rows(store: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        alone("results", "--store", store, "--format", "json").out
    )
    return found


def test_the_rows_are_those_of_this_machine(
    run: Callable[..., Outcome], finished: tuple[Path, Outcome], tmp_path: Path
) -> None:
    done = run()
    assert done.code == 0, done.err
    assert rows(tmp_path / "store") == rows(finished[0])
    names = [folder.name for folder in (tmp_path / "store" / "runs").iterdir()]
    assert names == [folder.name for folder in (finished[0] / "runs").iterdir()]  # the same run
    assert "nothing to compute" in run().err


def test_a_lost_job_costs_what_waits_for_it_and_no_more(
    run: Callable[..., Outcome], tmp_path: Path
) -> None:
    done = run("-O", "launcher.lose=align")
    assert done.code == 1
    assert "is over and left no result" in done.err
    status = alone("status", "--store", tmp_path / "store").out
    assert "4 cells done" in status
    assert "4 cells blocked" in status
    assert "jobs 1 gone" in status
    again = run(command="retry")  # with the launcher of the run's own spec, which loses it again
    assert again.code == 1
    assert run("-O", "launcher.lose=nothing").code == 0


def test_what_is_refused_leaves_nothing(
    run: Callable[..., Outcome], place: Path, tmp_path: Path
) -> None:
    done = run("-O", "launcher.refuse=true")
    assert done.code == 2
    assert "the toy says: no such partition" in done.err
    assert not list(tmp_path.glob("store/runs/*/submissions/*"))


def test_jobs_go_on_without_the_driver(
    run: Callable[..., Outcome],
    place: Path,
    finished: tuple[Path, Outcome],
    tmp_path: Path,
) -> None:
    (place / "hold").touch()
    (place / "interrupt").touch()
    done = run()
    assert done.code == 130
    assert "xbench cancel" in done.err
    waiting = queued(place)
    assert len(waiting) == 5
    assert "jobs 5 waiting" in alone("status", "--store", tmp_path / "store").out

    (place / "interrupt").touch()
    assert run().code == 130
    assert queued(place) == waiting  # nothing is submitted twice

    (place / "hold").unlink()
    done = run()
    assert done.code == 0, done.err
    assert rows(tmp_path / "store") == rows(finished[0])
    assert len(list(tmp_path.glob("store/runs/*/submissions/*"))) == 1


def test_a_gap_that_was_filled_blocks_nothing(
    run: Callable[..., Outcome], place: Path, finished: tuple[Path, Outcome], tmp_path: Path
) -> None:
    """Of a run without a driver one job is cancelled; those that wait for it go on all the same."""
    (place / "hold").touch()
    (place / "interrupt").touch()
    run()
    path = place / "queue.json"
    waiting = json.loads(path.read_text())
    del waiting[next(iter(waiting))]  # the alignment
    path.write_text(json.dumps(waiting))
    (place / "hold").unlink()
    done = run()
    assert done.code == 0, done.err
    assert rows(tmp_path / "store") == rows(finished[0])


def test_cancelled_jobs_are_not_computed(
    run: Callable[..., Outcome], place: Path, tmp_path: Path
) -> None:
    (place / "hold").touch()
    (place / "interrupt").touch()
    run()
    done = alone("cancel", "--store", tmp_path / "store")
    assert "5 jobs" in done.out
    assert not queued(place)
    assert "No scheduler has jobs" in alone("cancel", "--store", tmp_path / "store").out


def test_a_scheduler_that_does_not_answer_is_said_to(
    run: Callable[..., Outcome], place: Path, tmp_path: Path
) -> None:
    (place / "hold").touch()
    (place / "interrupt").touch()
    run()
    (place / "away").touch()
    status = alone("status", "--store", tmp_path / "store")
    assert status.code == 0
    assert "the toy does not answer" in status.out


def test_a_run_does_not_wait_for_a_scheduler_that_is_lost_with_its_jobs(
    run: Callable[..., Outcome], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery.table.get("launchers", "toy").load(), "outlives", False)
    (place / "away").touch()
    done = run()
    assert done.code == 2
    assert "Error: the toy does not answer" in done.err
    assert not queued(place)  # what was submitted was cancelled


def test_a_scheduler_that_is_away_for_a_while_is_waited_for(
    run: Callable[..., Outcome],
    place: Path,
    finished: tuple[Path, Outcome],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    toy = discovery.table.get("launchers", "toy").load()
    answers, asked = toy.states, []

    def states(self: object, names: list[str]) -> object:
        asked.append(names)
        if len(asked) < 4:
            raise LauncherError("the toy does not answer")
        return answers(self, names)

    monkeypatch.setattr(toy, "states", states)
    done = run()
    assert done.code == 0, done.err
    assert done.err.count("the toy does not answer") == 1
    assert rows(tmp_path / "store") == rows(finished[0])


def test_dry_run_and_plan_submit_nothing(
    run: Callable[..., Outcome], place: Path, tmp_path: Path
) -> None:
    done = run("--dry-run", "--jobs", "2")
    assert done.code == 0
    assert "toy: 5 jobs, 2 at once" in done.out
    spec = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--launcher", "toy", "-O", f"launcher.place={place}"]
    planned = alone("plan", *spec, "--store", tmp_path / "store")
    assert "toy: 5 jobs" in planned.out
    assert not queued(place)


def test_a_job_belongs_to_its_working_directory(
    run: Callable[..., Outcome],
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fresh_discovery: Callable[[], None],
) -> None:
    """Plugins of an xbenchfile.py are found by jobs, which begin elsewhere; so is the data folder."""
    here = tmp_path / "my work"
    here.mkdir()
    (here / "xbenchfile.py").write_text(
        "from xbench.api import register\n"
        "from xbench_plugins.objectives.hictl import HiCTL\n"
        '@register("objective", "mine")\n'
        "class Mine(HiCTL):\n"
        '    """Mine."""\n'
    )
    monkeypatch.chdir(here)
    sys.modules.pop("xbenchfile", None)
    fresh_discovery()
    done = run("--objective", "mine:S1W0M0")
    sys.modules.pop("xbenchfile", None)  # another test's is another
    assert done.code == 0, done.err
    assert Path.cwd() == here


MISTAKES = {
    "unknown": (["--launcher", "slurn"], "Unknown launcher 'slurn'"),
    "setting of none": (
        ["-O", "launcher.gpus=1"],
        "launcher.gpus is a setting of no launcher here",
    ),
    "unknown setting": (
        ["--launcher", "toy", "-O", "launcher.gpu=1"],
        "Unknown field of launcher toy",
    ),
    "wrong type": (["--launcher", "toy", "-O", "launcher.gpus=many"], "gpus"),
    "no gpu": (["--launcher", "toy", "--device", "cuda"], "have no GPU as it is set"),
    "which gpu": (
        ["--launcher", "toy", "-O", "launcher.gpus=1", "--device", "cuda:1"],
        "gives each job its GPU",
    ),
    "dry run of none": (["--dry-run"], "name one"),
}


@pytest.mark.parametrize(("options", "words"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes(options: list[str], words: str, place: Path, tmp_path: Path) -> None:
    small = [*SMALL_OPTIONS[: SMALL_OPTIONS.index("--device")], *QUICK_OPTIONS]
    done = alone("run", *small, *options, "--store", tmp_path / "store")
    assert done.code == 2, done.err
    assert words in done.err
    assert "Traceback" not in done.err


def test_a_gpu_of_another_machine(place: Path, tmp_path: Path) -> None:
    """A login node has none; jobs compute in bf16 there, and the plan says so."""
    small = [*SMALL_OPTIONS[: SMALL_OPTIONS.index("--device")], *QUICK_OPTIONS]
    toy = ["--launcher", "toy", "-O", f"launcher.place={place}", "-O", "launcher.gpus=1"]
    (place / "hold").touch()
    (place / "interrupt").touch()
    done = alone("run", *small, *toy, "--store", tmp_path / "store")
    assert done.code == 130, done.err
    jobs = [json.loads(p.read_text()) for p in tmp_path.glob("store/runs/*/submissions/1/jobs/*")]
    stages = [stage for job in jobs for stage in job["stages"].values()]
    assert {stage["places"]["device"] for stage in stages} == {"cuda"}
    settings = [stage["spec"]["settings"] for stage in stages if stage["kind"] == "align"]
    assert {each["precision"] for each in settings} == {"bf16"}
    assert "bf16" in done.err


def test_a_machine_without_the_gpu_says_so(place: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    small = [*SMALL_OPTIONS[: SMALL_OPTIONS.index("--device")], *QUICK_OPTIONS, "--no-report"]
    toy = ["--launcher", "toy", "-O", f"launcher.place={place}", "-O", "launcher.gpus=1"]
    done = xbench("run", *small, *toy, "--store", tmp_path / "store")
    assert done.code == 1
    assert f"{socket.gethostname()} cannot compute the job" in done.err
    assert "no CUDA device can be used" in done.err


def test_settings_of_a_spec_file_stay(place: Path, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"launcher:\n  name: toy\n  place: {place}\n  lose: nothing\n")
    options = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--launcher", "toy", "--dry-run"]
    done = alone("run", spec, *options, "--store", tmp_path / "store")
    assert done.code == 0, done.err
    (written,) = tmp_path.glob("store/runs/*/spec.yaml")
    assert "lose: nothing" in written.read_text()
    assert os.fspath(place) in written.read_text()

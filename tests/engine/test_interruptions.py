"""Killed at any moment, a run goes on where it stopped and ends bit for bit as an undisturbed one."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from xbench.nn.training_state import NOTE
from xbench.plan import KINDS

from ..command import QUICK_OPTIONS, SMALL_OPTIONS
from ..command import with_workers as xbench
from ..waiting import PATIENCE, wait
from .unruly import install_unruly

OPTIONS = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--objective", "pull", "--jobs", "1", "--no-report"]
OPTIONS += ["--save-state", "0", "-O", "align.steps=6", "-O", "finetune.steps=6"]
MAIN = "from xbench.cli import main; main()"


class Driver:
    """``xbench run`` as a process of its own, which PAUSE makes stop in the middle of a stage."""

    def __init__(
        self, folder: Path, store: Path, pause: str = "", *options: str, **environment: str
    ) -> None:
        self.marker = store.with_name(f"marker-{time.monotonic_ns()}")
        environment |= {"PYTHONPATH": str(folder)}
        if pause:
            environment["PAUSE"] = f"{pause}:{self.marker}"
        command = [sys.executable, "-c", MAIN, "run", *OPTIONS, *options, "--store", str(store)]
        self.process = subprocess.Popen(
            command,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_hear_interrupts,
        )

    def worker(self) -> int:
        """The number of the worker process, once it has come to the pause."""
        wait(lambda: self.marker.exists() or self.process.poll() is not None)
        assert self.marker.exists(), self.process.communicate()
        return int(self.marker.read_text())

    def end(self) -> tuple[int, str]:
        """Exit code and stderr."""
        _, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, err


def _hear_interrupts() -> None:
    # What a shell starts in the background (`make test &` in a script) ignores Ctrl-C, and so do
    # all its children; these are to be interrupted wherever the tests run.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def is_gone(pid: int) -> bool:
    try:
        # A killed child of this host's init may stay as a zombie for a moment.
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def saved_step(store: Path) -> int:
    """The step of the one training state in the store."""
    (path,) = store.glob(f"work/*/{NOTE}")
    return int(json.loads(path.read_text())["step"])


def outcome(store: Path) -> tuple[list[dict[str, Any]], Mapping[str, str]]:
    """All rows, and the digest of every file that a stage computed."""
    rows = json.loads(xbench("results", "--store", store, "--format", "json").out)
    digests = {}
    for kind in KINDS:
        for path in sorted((store / kind).rglob("*")):
            if path.is_file() and path.name not in ("status.json", "env.json"):  # they hold times
                name = path.relative_to(store).as_posix()
                digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return rows, digests


def unfinished(store: Path) -> list[Path]:
    """Half-written stages, which are never under the name of a finished one."""
    return [path for path in store.glob("*/*") if path.name.endswith((".tmp", ".old"))]


@dataclass(frozen=True)
class Story:
    """What was seen of one store through many interruptions."""

    store: Path
    seen: dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_unruly(tmp_path_factory.mktemp("unruly"))


@pytest.fixture(scope="module")
def undisturbed(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, finished: tuple[Path, Any]
) -> Path:
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    shutil.copytree(finished[0] / "cache", store / "cache")
    code, err = Driver(folder, store).end()
    assert code == 0, err
    return store


@pytest.fixture(scope="module")
def story(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, finished: tuple[Path, Any]
) -> Story:
    store = tmp_path_factory.mktemp("disturbed") / "store"
    shutil.copytree(finished[0] / "cache", store / "cache")
    seen: dict[str, Any] = {}

    driver = Driver(folder, store, "align:2")
    os.kill(driver.worker(), signal.SIGKILL)
    seen["worker killed"] = (*driver.end(), saved_step(store))
    seen["rows"] = json.loads(xbench("results", "--store", store, "--format", "json").out)

    driver = Driver(folder, store, "align:4")
    worker = driver.worker()
    driver.process.kill()
    wait(lambda: is_gone(worker))
    seen["driver killed in alignment"] = (driver.end()[0], saved_step(store))

    driver = Driver(folder, store, "finetune:2")
    worker = driver.worker()
    driver.process.send_signal(signal.SIGINT)
    seen["interrupted"] = (*driver.end(), saved_step(store), is_gone(worker))
    seen["status"] = json.loads(xbench("status", "--store", store, "--format", "json").out)
    seen["damaged"] = [
        path for path in store.glob("*/*/status.json") if "state" not in path.read_text()
    ]

    driver = Driver(folder, store, "finetune:4")
    worker = driver.worker()
    driver.process.kill()
    wait(lambda: is_gone(worker))
    seen["driver killed in fine-tuning"] = (driver.end()[0], saved_step(store))

    seen["end"] = Driver(folder, store).end()
    return Story(store, seen)


def a_killed_worker_costs_its_stage_and_the_run_goes_on(story: Story) -> None:
    code, err, step = story.seen["worker killed"]
    assert code == 1
    assert step == 2
    assert "The worker process died (SIGKILL). Something killed it" in err
    assert "Traceback" not in err
    statuses = {(row["arm"], row["status"]) for row in story.seen["rows"]}
    assert statuses == {("none", "done"), ("aligned", "blocked")}


def with_the_driver_its_workers_end_and_leave_no_failure(story: Story) -> None:
    assert story.seen["driver killed in alignment"] == (-signal.SIGKILL, 4)
    assert story.seen["driver killed in fine-tuning"] == (-signal.SIGKILL, 4)


def ctrl_c_ends_with_130_and_says_how_to_go_on(story: Story) -> None:
    code, err, step, worker_is_gone = story.seen["interrupted"]
    assert code == 130
    assert err.endswith("Interrupted. The same command goes on where this one stopped.\n")
    assert "Traceback" not in err
    assert step == 2
    assert worker_is_gone


def an_interruption_is_no_failure_and_leaves_nothing_half_written(story: Story) -> None:
    assert story.seen["status"]["failures"] == []
    assert set(story.seen["status"]["cells"]) == {"done", "missing"}
    assert story.seen["damaged"] == []


def in_the_end_all_is_there_and_nothing_else(story: Story) -> None:
    code, err = story.seen["end"]
    assert code == 0, err
    assert unfinished(story.store) == []
    assert not list(story.store.glob("work/*/*"))
    assert not list(story.store.glob("leases/*.json"))


PARTS = (
    a_killed_worker_costs_its_stage_and_the_run_goes_on,
    with_the_driver_its_workers_end_and_leave_no_failure,
    ctrl_c_ends_with_130_and_says_how_to_go_on,
    an_interruption_is_no_failure_and_leaves_nothing_half_written,
    in_the_end_all_is_there_and_nothing_else,
)


def test_a_run_that_is_interrupted_again_and_again(
    story: Story, undisturbed: Path, subtests: pytest.Subtests
) -> None:
    """One test of many parts: its story takes half a minute, and parts may be run by several processes."""
    for part in PARTS:
        with subtests.test(part.__name__):
            part(story)
    with subtests.test("the results are bitwise those of an undisturbed run"):
        _same_results(story, undisturbed)


def _same_results(story: Story, undisturbed: Path) -> None:
    rows, digests = outcome(story.store)
    expected_rows, expected = outcome(undisturbed)
    assert rows == expected_rows
    assert {row["status"] for row in rows} == {"done"}
    assert digests == expected
    assert {Path(name).name for name in digests} >= {
        "predictions.parquet",
        "result.json",
        "model.safetensors",
        "head.safetensors",
    }


def test_two_runs_on_one_store_share_the_work(
    folder: Path, undisturbed: Path, tmp_path: Path
) -> None:
    store, count = tmp_path / "store", tmp_path / "count"
    shutil.copytree(undisturbed / "cache", store / "cache")
    drivers = [Driver(folder, store, COUNT=str(count)) for _ in range(2)]
    for driver in drivers:
        code, err = driver.end()
        assert code == 0, err
    assert len(count.read_text().splitlines()) == 1  # one alignment, in one of them
    assert outcome(store) == outcome(undisturbed)
    assert unfinished(store) == []


def test_what_is_left_of_a_killed_workers_job_is_done_by_another(
    folder: Path, finished: tuple[Path, Any], tmp_path: Path
) -> None:
    """Linear probes of one encoder are one job; the one that was being trained is lost alone."""
    store = tmp_path / "store"
    shutil.copytree(finished[0] / "cache", store / "cache")
    options = ["--arm", "none", "--mode", "linear", "--seed", "15,16,17"]
    driver = Driver(folder, store, "finetune:2", *options)
    os.kill(driver.worker(), signal.SIGKILL)
    code, err = driver.end()
    assert code == 1
    assert "FAILED fine-tune pos linear seed 15 on the untouched encoder: The worker" in err
    rows = json.loads(xbench("results", "--store", store, "--format", "json").out)
    assert {(row["seed"], row["status"]) for row in rows} == {
        (15, "blocked"),
        (16, "done"),
        (17, "done"),
    }

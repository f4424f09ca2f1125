"""What fails is recorded with cause and advice, tried again on demand, and costs nothing else."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from xbench.cli.words import size
from xbench.store import Store

from ..command import QUICK_OPTIONS, SMALL_OPTIONS, xbench

FAILING = '''
import errno, os
import torch
from xbench.api import Objective, Term

ERRORS = {
    "disk": OSError(errno.ENOSPC, "No space left on device"),
    "memory": torch.OutOfMemoryError("CUDA out of memory"),
    "host memory": MemoryError(),
    "error": RuntimeError("the flux capacitor is empty"),
}


class Failing(Objective):
    """Fails as the environment says."""

    def terms(self, batch):
        wanted = os.environ.get("FAIL")
        if wanted in ERRORS:
            raise ERRORS[wanted]
        loss = batch.source.pooled().square().sum()
        if wanted == "no number" or (wanted == "diverged" and self.steps):
            loss = loss * float("nan")
        return {"loss": Term(loss, 1)}

    steps = 0

    def after_step(self, encoder, step):
        self.steps = step + 1
'''
OPTIONS = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--objective", "failing", "--mode", "linear"]
Install = Callable[..., Path]


@pytest.fixture
def failing(install: Install) -> None:
    install("faulty", {"objectives": {"failing": "faulty:Failing"}}, {"faulty.py": FAILING})


def run(store: Path, *more: str) -> tuple[int, str]:
    outcome = xbench("run", *OPTIONS, "--store", store, "--jobs", "1", *more)
    return outcome.code, outcome.err


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize(
    ("cause", "advice"),
    [
        ("disk", "The disk is full"),
        ("memory", "-O align.accumulate=4"),
        ("host memory", "-O align.accumulate=4"),
        ("diverged", "a lower learning rate"),
        ("no number", "before any update: look at the weights of the encoder"),
        ("error", "In the code of faulty 1.2."),
    ],
)
def test_each_cause_has_its_advice(
    cause: str, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", cause)
    code, err = run(tmp_path / "store", "--arm", "aligned")
    assert code == 1
    assert advice in err
    assert "Traceback" not in err
    status = xbench("status", "--store", tmp_path / "store", "--traceback").out
    assert advice in status
    assert "Traceback (most recent call last)" in status
    assert "blocked" in status


@pytest.mark.usefixtures("failing")
def test_retry_computes_what_failed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    monkeypatch.setenv("FAIL", "error")
    assert run(store)[0] == 1
    assert xbench("retry", "--failed", "--store", store, "--jobs", "1").code == 1
    monkeypatch.setenv("FAIL", "")
    untouched = next(iter((store / "score").iterdir())).name
    shutil.rmtree(store / "score" / untouched)  # missing, and it did not fail
    outcome = xbench("retry", "--failed", "--store", store, "--jobs", "1")
    assert "To compute: 1 align, 1 fine-tune, 2 evaluate, 2 score" in outcome.err
    assert outcome.code == 1  # of the one that is missing
    outcome = xbench("retry", "--store", store, "--jobs", "1")
    assert "To compute: 1 score" in outcome.err
    assert outcome.code == 0
    outcome = xbench("retry", "--failed", "--store", store)
    assert outcome.code == 0
    assert outcome.err.startswith("Nothing failed in the run")
    assert outcome.out == ""  # no table: nothing was computed
    shutil.rmtree(store / "score" / untouched)
    outcome = xbench("retry", "--failed", "--store", store)
    assert outcome.code == 0
    assert "1 stages are missing: xbench retry computes them" in outcome.err


def test_retry_without_a_run_says_so(tmp_path: Path) -> None:
    outcome = xbench("retry", "--store", tmp_path / "nowhere")
    assert outcome.code == 2
    assert "does not exist" in outcome.err


def weights(store: Path) -> dict[str, int]:
    return {
        kind: len(list(store.glob(f"{kind}/*/*/model.safetensors")))
        for kind in ("align", "finetune")
    }


def test_what_is_kept_and_for_how_long(tmp_path: Path) -> None:
    store = tmp_path / "store"
    options = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--mode", "full", "--store", store, "--jobs", "1"]
    assert xbench("run", *options).code == 0
    assert weights(store) == {"align": 1, "finetune": 0}
    assert xbench("run", *options, "--keep", "none").code == 0
    assert weights(store) == {"align": 0, "finetune": 0}
    outcome = xbench("run", *options)
    assert "nothing to compute" in outcome.err  # results are there: weights are not wanted back
    more = [*options, "--seed", "16"]
    assert xbench("run", *more, "--keep", "all").code == 0
    assert weights(store) == {"align": 1, "finetune": 2}
    # A later run with other wishes does not take what was asked to be kept.
    assert xbench("run", *more, "--language", "qab").code == 0
    assert weights(store) == {"align": 1, "finetune": 2}


class TestStoreCommand:
    @pytest.fixture
    def store(self, finished: tuple[Path, object], tmp_path: Path) -> Path:
        return shutil.copytree(finished[0], tmp_path / "store")

    def test_it_shows_what_there_is(self, store: Path) -> None:
        outcome = xbench("store", "--store", store)
        lines = {line.split()[0]: line.split()[1:] for line in outcome.out.splitlines()}
        assert lines["finetune"][0] == "4"
        assert lines["align"][-1] in ("MB", "kB")

    def test_it_verifies(self, store: Path) -> None:
        assert "0 damaged" in xbench("store", "--store", store, "--verify").out
        path = next(store.glob("evaluate/*/predictions.parquet"))
        path.write_bytes(path.read_bytes()[:-1])
        outcome = xbench("store", "--store", store, "--verify")
        assert outcome.code == 1
        assert "1 damaged" in outcome.out
        assert xbench("run", *SMALL_OPTIONS, *QUICK_OPTIONS, "--store", store).code == 0

    @pytest.mark.parametrize("what", ["cache", "weights", "aside"])
    def test_it_frees_only_when_told_twice(self, store: Path, what: str) -> None:
        (store / "aside" / "x").mkdir(parents=True)
        (store / "aside" / "x" / "file").write_text("damaged")
        before = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
        assert "would be freed" in xbench("store", "--store", store, "--free", what).out
        after = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
        assert after == before
        assert "freed" in xbench("store", "--store", store, "--free", what, "--yes").out
        after = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
        assert after < before
        again = xbench("run", *SMALL_OPTIONS, *QUICK_OPTIONS, "--store", store)
        assert again.code == 0
        assert "nothing to compute" in again.err

    def test_what_keep_all_has_marked_stays_and_is_not_counted(self, store: Path) -> None:
        place = Store(store)
        held = sum(path.stat().st_size for path in store.rglob("*model.safetensors"))
        first = next((store / "align").iterdir())
        place.keep("align", first.name)
        marked = sum(path.stat().st_size for path in first.glob("*/model.safetensors"))
        free = ("store", "--store", store, "--free", "weights")
        before, after = xbench(*free).out, xbench(*free, "--yes").out
        assert before.split()[:2] == after.split()[:2] == size(held - marked).split()
        assert "stay: a run with --keep all asked for them" in before
        assert before.splitlines()[1] == after.splitlines()[1]
        assert list(first.glob("*/model.safetensors"))

    def test_a_folder_that_is_no_store_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache" / "precious").write_text("mine")
        outcome = xbench("store", "--store", tmp_path, "--free", "cache", "--yes")
        assert outcome.code == 2
        assert (tmp_path / "cache" / "precious").is_file()


def test_a_store_of_a_newer_version_is_refused_by_every_command(tmp_path: Path) -> None:
    (tmp_path / "xbench-store.json").write_text('{"format": 99}')
    for command in ("run", "plan", "status", "results", "report", "retry", "store"):
        more = [*SMALL_OPTIONS, *QUICK_OPTIONS] if command in ("run", "plan") else []
        outcome = xbench(command, *more, "--store", tmp_path)
        assert outcome.code == 2, command
        assert "Update xbench" in outcome.err
        assert outcome.err.count("\n") <= 2


def test_a_store_that_cannot_be_written_is_refused_before_any_work_and_can_still_be_read(
    finished: tuple[Path, object], tmp_path: Path
) -> None:
    """Mounted read-only where that is allowed: to the superuser permissions mean nothing."""
    store = shutil.copytree(finished[0], tmp_path / "store")
    mount = subprocess.run(["mount", "--bind", store, store], capture_output=True)
    if mount.returncode or subprocess.run(["mount", "-o", "remount,ro,bind", store]).returncode:
        subprocess.run(["umount", store], capture_output=True)
        pytest.skip("nothing can be mounted here")
    try:
        outcome = xbench("run", *SMALL_OPTIONS, *QUICK_OPTIONS, "--seed", "99", "--store", store)
        assert outcome.code == 2
        assert "cannot be written" in outcome.err
        assert "--store DIR" in outcome.err
        assert xbench("status", "--store", store).code == 0
        assert xbench("results", "--store", store).code == 0
        assert xbench("report", "--store", store, "--out", tmp_path / "report").code == 0
    finally:
        subprocess.run(["umount", store], check=True)


def test_a_full_disk_is_a_sentence_and_the_run_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """A file system of a few megabytes, where one can be mounted."""
    store = tmp_path / "store"
    store.mkdir()
    small = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", store]
    if subprocess.run(small, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        options = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--store", store, "--jobs", "1"]
        outcome = xbench("run", *options)
        assert outcome.code == 1
        assert "The disk is full" in outcome.err
        assert "Traceback" not in outcome.err
        subprocess.run(["mount", "-o", "remount,size=200m", store], check=True)
        assert xbench("run", *options).code == 0
        assert not list(store.glob("*/.*"))  # nothing half-written is left
    finally:
        subprocess.run(["umount", store], check=True)


def test_sigterm_ends_a_run_like_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "xbench", "run", *SMALL_OPTIONS, "--store", tmp_path / "store"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*map(str, command), "-O", "align.steps=5000", "--arm", "aligned"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    began = time.monotonic()
    while not list((tmp_path / "store").glob("leases/*.json")) and time.monotonic() - began < 600:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 143
    assert "Interrupted. The same command goes on" in err
    status = json.loads(xbench("status", "--store", tmp_path / "store", "--format", "json").out)
    assert status["failures"] == []
    assert not list((tmp_path / "store").glob("align/[!.]*"))

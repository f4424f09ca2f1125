"""Each way to fail, provoked: a sentence that says what to do, and finished work stays as it was."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from xbench.plan import KINDS

from ..command import QUICK_OPTIONS, SMALL_OPTIONS, Outcome
from ..command import with_workers as xbench

FAILING = '''
import errno, os, signal
import torch
from xbench.api import Objective, Term


def fail(how):
    if how == "raises":
        raise RuntimeError("the flux capacitor is empty")
    if how == "memory":
        torch.empty(10**15)
    if how == "no room":
        raise OSError(errno.ENOSPC, "No space left on device")
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)


class Failing(Objective):
    """Fails as the environment says."""

    def terms(self, batch):
        how = os.environ.get("FAIL", "")
        fail(how)
        loss = batch.source.pooled().square().sum()
        return {"loss": Term(loss * float("nan") if how == "not a number" else loss, 1)}
'''
OPTIONS = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--mode", "linear", "--jobs", "1"]
ADVICE = {
    "raises": "RuntimeError: the flux capacitor is empty In the code of faulty 1.2.",
    "not a number": "the loss 'loss' is nan at step 0",
    "memory": "process batches in parts, -O align.accumulate=4",
    "no room": "The disk is full: free some (xbench store)",
    "killed": "run fewer workers, --jobs 1",
}


@pytest.fixture
def store(finished: tuple[Path, Outcome], tmp_path: Path) -> Path:
    """A store with a run that has ended well."""
    return shutil.copytree(finished[0], tmp_path / "store")


def content(store: Path) -> dict[str, str]:
    """The digest of every file of every stage that is done."""
    done = [
        path.parent
        for kind in KINDS
        for path in store.glob(f"{kind}/*/status.json")
        if json.loads(path.read_text())["state"] == "done"
    ]
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in done
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("status.json", "env.json")  # they hold times
    }


@pytest.mark.parametrize("how", ADVICE)
def test_a_stage_that_fails(
    how: str, store: Path, install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("faulty", {"objectives": {"failing": "faulty:Failing"}}, {"faulty.py": FAILING})
    before = content(store)
    monkeypatch.setenv("FAIL", how)
    # the seed is new: what does not depend on the failure is computed beside it
    more = ("--objective", "failing", "--seed", "16", "--language", "qac", "--store", store)
    outcome = xbench("run", *OPTIONS, *more)
    assert outcome.code == 1
    assert ADVICE[how] in " ".join(outcome.err.split())
    assert "Traceback" not in outcome.err
    assert "xbench retry --failed" in outcome.err
    rows = json.loads(xbench("results", "--store", store, "--format", "json").out)
    assert {(row["arm"], row["status"]) for row in rows} == {
        ("none", "done"),
        ("aligned", "blocked"),
    }
    assert content(store).items() >= before.items()
    monkeypatch.setenv("FAIL", "")
    assert xbench("retry", "--failed", "--store", store, "--jobs", "1").code == 0
    assert content(store).items() >= before.items()
    assert not list(store.glob("*/.*"))
    assert not list(store.glob("leases/*.json"))


FILES = ("align/*/step-4/model.safetensors", "finetune/*/head.safetensors", "score/*/result.json")
MORE_LANGUAGES = ("--language", "qaa,qac,qae")
DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "altered": lambda path: path.write_bytes(b"?" + path.read_bytes()[1:]),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", FILES)
def test_an_artefact_that_is_damaged(pattern: str, damage: str, store: Path) -> None:
    """Told when it is read, kept aside, computed again, and as it was."""
    before = content(store)
    path = next(path for path in sorted(store.glob(pattern)) if path.stat().st_size)
    DAMAGES[damage](path)
    outcome = xbench("store", "--store", store, "--verify")
    assert outcome.code == 1
    assert "1 damaged" in outcome.out
    assert "Traceback" not in outcome.err
    (aside,) = (store / "aside").iterdir()
    assert path.name in (aside / "why.txt").read_text()
    left = content(store)
    assert left.items() < before.items()
    assert len({Path(name).parts[:2] for name in before.keys() - left.keys()}) == 1
    # another language asks for the models again
    outcome = xbench("run", *OPTIONS, "--mode", "full,linear", *MORE_LANGUAGES, "--store", store)
    assert outcome.code == 0, outcome.err
    assert content(store).items() > before.items()


@pytest.fixture
def full(tmp_path: Path, finished: tuple[Path, Outcome]) -> Iterator[Path]:
    """A finished store on a disk without a byte to spare, where one can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    small = ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", disk]
    if subprocess.run(small, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        shutil.copytree(finished[0], disk / "store")
        with (disk / "filling").open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                while _fits(file, size):
                    pass
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def _fits(file: Any, size: int) -> bool:
    try:
        return bool(file.write(bytes(size)) == size)
    except OSError:
        return False


def test_a_disk_that_is_full_before_anything_is_computed(full: Path) -> None:
    before = content(full / "store")
    for command in (["run", *OPTIONS, "--seed", "16"], ["report"], ["run", *OPTIONS]):
        outcome = xbench(*command, "--store", full / "store")
        assert outcome.code == 2, command
        assert "No space left on device" in outcome.err
        assert "--store DIR" in outcome.err
        assert "Traceback" not in outcome.err
        assert outcome.err.count("\n") <= 2
    assert xbench("results", "--store", full / "store").code == 0
    assert content(full / "store") == before
    (full / "filling").unlink()
    assert xbench("run", *OPTIONS, "--seed", "16", "--store", full / "store").code == 0
    assert content(full / "store").items() >= before.items()

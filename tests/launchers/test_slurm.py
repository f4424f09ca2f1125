"""A real Slurm on this machine: a run's driver is killed, a job cancelled, another one put back."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ..command import xbench
from ..slurm_cluster import reason_against, slurm
from ..waiting import wait
from .real_run import OPTIONS, Run, events, follow_page, is_training
from .test_cluster import rows

pytestmark = pytest.mark.skipif(bool(reason_against()), reason=reason_against() or "-")
THROUGH_SLURM = ("--launcher", "slurm", "-O", "launcher.partition=main")


@pytest.fixture
def cluster(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Mapping[str, str]]:
    with slurm(tmp_path_factory.mktemp("slurm") / "cluster") as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield environment


def running() -> list[str]:
    """The names of the jobs that run, in order."""
    command = ["squeue", "--noheader", "--array", "--states=running", "--format=%i"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return sorted(done.stdout.split())


def test_a_run_outlives_its_driver_and_what_happens_to_jobs(
    cluster: Mapping[str, str], tmp_path: Path, subtests: pytest.Subtests
) -> None:
    store = tmp_path / "store"
    run = Run(store, cluster, *THROUGH_SLURM)
    wait(is_training(store, "0001"))
    run.kill()
    run.end()

    first, second = wait(lambda: len(running()) > 1 and running()[:2])
    subprocess.run(["scancel", "--signal=USR1", "--batch", second], check=True)
    subprocess.run(["scancel", first], check=True)
    with subtests.test("status tells of the jobs"):
        assert "slurm: jobs" in xbench("status", "--store", store).out

    wait(lambda: [e for e in events(store, "0001") if e["event"] == "left"])

    code, err = Run(store, cluster, *THROUGH_SLURM).end()
    with subtests.test("the second driver waits for them, and submits the cancelled one again"):
        assert code == 0, err
        again = [path.name for path in store.glob("runs/*/submissions/*")]
        assert sorted(again)[:2] == ["1", "2"]

    with subtests.test("the job that was told to leave went on where it had stopped"):
        said = [(e["event"], e.get("step")) for e in events(store, "0001")]
        assert ("left", None) in said
        steps = [step for event, step in said[said.index(("left", None)) :] if event == "progress"]
        assert steps[0] is not None
        assert steps[0] > 1

    with subtests.test("rows are those of this machine"):
        alone = tmp_path / "alone"
        done = xbench("run", *OPTIONS, "--store", alone)
        assert done.code == 0, done.err
        assert rows(store) == rows(alone)

    with subtests.test("nothing is left in the queue"):
        assert not running()
        assert "No scheduler has jobs" in xbench("cancel", "--store", store).out


def test_names_that_a_shell_would_take_at_their_word(
    cluster: Mapping[str, str], tmp_path: Path
) -> None:
    store = tmp_path / "it's $(touch hacked) %A"
    small = ("--objective", "hictl:S1W0M0", "--arm", "none", "--mode", "linear")
    code, err = Run(store, cluster, *THROUGH_SLURM, *small).end()
    assert code == 0, err
    assert not list(Path.cwd().glob("hacked"))
    assert os.listdir(tmp_path) == [store.name]


def test_the_page_can_be_followed(cluster: Mapping[str, str], tmp_path: Path) -> None:
    said = follow_page("slurm", tmp_path, cluster)
    assert "jobs after wave 0" in said["xbench plan slurm.yaml"]
    assert "submit.sh" in said["xbench run slurm.yaml --dry-run"]
    assert "Table 1" in said["xbench run slurm.yaml --jobs 8"]
    assert "cells done" in said["xbench status"]

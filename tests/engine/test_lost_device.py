"""After an error that a GPU does not recover from, another process goes on with the job."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ..command import QUICK_OPTIONS, SMALL_OPTIONS
from ..command import with_new_workers as xbench

# As CUDA behaves: after its first error the process gets the same error for whatever it asks.
GLITCH = '''
import os
from xbench.api import Objective, Term
from xbench.nn import text_view as views

encode = views.TextView.states


def refuse(self, *arguments, **options):
    raise RuntimeError("CUDA error: device-side assert triggered")


class Glitch(Objective):
    """Spoils the process that it runs in."""

    def terms(self, batch):
        with open(os.environ["PIDS"], "a") as file:
            file.write(f"{os.getpid()}\\n")
        if "SPOIL" in os.environ:
            views.TextView.states = refuse
        return {"loss": Term(batch.source.pooled().square().sum(), 1)}
'''
OPTIONS = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--objective", "glitch", "--jobs", "1"]


@pytest.fixture
def store(install: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    install("faulty", {"objectives": {"glitch": "faulty:Glitch"}}, {"faulty.py": GLITCH})
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    return tmp_path / "store"


def test_stages_that_have_nothing_to_do_with_it_are_computed(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPOIL", "1")
    outcome = xbench("run", *OPTIONS, "--store", store)
    assert outcome.code == 1
    assert outcome.err.count("FAILED") == 1
    assert "CUDA error: device-side assert triggered" in outcome.err
    assert "CUDA_LAUNCH_BLOCKING=1 xbench retry --failed" in outcome.err
    assert "The worker process died" not in outcome.err
    rows = json.loads(xbench("results", "--store", store, "--format", "json").out)
    assert {(row["arm"], row["status"]) for row in rows} == {
        ("none", "done"),
        ("aligned", "blocked"),
    }
    assert not list(store.glob("leases/*.json"))
    monkeypatch.delenv("SPOIL")
    assert xbench("retry", "--failed", "--store", store, "--jobs", "1").code == 0


def test_the_rest_of_a_job_goes_to_another_process(
    install: Callable[..., Path], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linear probes of one encoder are one job, whose first fine-tuning loses the device."""
    install(
        "loser",
        {"metrics": {"unused": "loser:Unused"}},
        {"loser.py": "", "sitecustomize.py": LOSER},
    )
    monkeypatch.setenv("LOSE", str(store.parent / "lost"))
    more = ("--arm", "none", "--mode", "linear", "--seed", "15,16,17", "--store", store)
    outcome = xbench("run", *OPTIONS, *more)
    assert outcome.code == 1
    assert outcome.err.count("FAILED fine-tune pos linear seed 15") == 1
    rows = json.loads(xbench("results", "--store", store, "--format", "json").out)
    assert {(row["seed"], row["status"]) for row in rows} == {
        (15, "blocked"),
        (16, "done"),
        (17, "done"),
    }


LOSER = """
import os, sys

if "LOSE" in os.environ and "xbench.engine.worker" in " ".join(sys.orig_argv):
    from xbench.nn.heads import Head

    forward = Head.forward

    def lose(self, features):
        if not os.path.exists(os.environ["LOSE"]):
            open(os.environ["LOSE"], "w").close()
            Head.forward = refuse
        return Head.forward(self, features) if Head.forward is refuse else forward(self, features)

    def refuse(self, features):
        raise RuntimeError("CUDA error: device-side assert triggered")

    Head.forward = lose
"""

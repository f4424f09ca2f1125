"""``xbench run`` as a user's process, and what its jobs do meanwhile."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..command import QUICK_OPTIONS, SMALL_OPTIONS

PATIENCE = 600  # seconds until a test gives up, on a busy machine too
# The alignment is long enough to be met in its middle.
OPTIONS = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--objective", "hictl:S1W0M0,S1W1M0", "--no-report"]
OPTIONS += ["-O", "align.steps=150", "--mode", "linear"]


class Run:
    """``xbench run`` through a launcher, into a store."""

    def __init__(self, store: Path, environment: Mapping[str, str], *options: str) -> None:
        command = [sys.executable, "-m", "xbench", "run", *OPTIONS, *options, "--store", str(store)]
        self._process = subprocess.Popen(
            command,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.kill = self._process.kill

    def end(self) -> tuple[int, str]:
        """Exit code and stderr."""
        _, err = self._process.communicate(timeout=PATIENCE)
        return self._process.returncode, err

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None


def wait(until: Callable[[], Any]) -> Any:
    """What it gives, once it gives something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := until()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)
    return found


def events(store: Path, job: str, submission: str = "1") -> list[dict[str, Any]]:
    """What a job of a submission has said so far."""
    paths = list(store.glob(f"runs/*/submissions/{submission}/events/*-{job}.jsonl"))
    lines = paths[0].read_text().splitlines() if paths else []
    return [json.loads(line) for line in lines]


def is_training(store: Path, job: str) -> Callable[[], bool]:
    """Whether a job has come to a step of a training, as far as it has said."""
    return lambda: any(event["event"] == "progress" for event in events(store, job))

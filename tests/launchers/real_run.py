"""``xbench run`` as a user's process, and what its jobs do meanwhile."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..command import QUICK_OPTIONS, SMALL_OPTIONS
from ..docs.pages import blocks, commands
from ..waiting import PATIENCE

# The alignment is long enough to be met in its middle.
OPTIONS = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--objective", "hictl:S1W0M0,S1W1M0", "--no-report"]
OPTIONS += ["-O", "align.steps=150", "--mode", "linear"]
PAGE = "docs/clusters.md"
IN_SMALL = [*QUICK_OPTIONS, "--seed", "15", "--mode", "linear", "--arm", "none,aligned"]
IN_SMALL += ["--language", "qaa,qac"]


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


def events(store: Path, job: str, submission: str = "1") -> list[dict[str, Any]]:
    """What a job of a submission has said so far."""
    paths = list(store.glob(f"runs/*/submissions/{submission}/events/*-{job}.jsonl"))
    lines = paths[0].read_text().splitlines() if paths else []
    return [json.loads(line) for line in lines]


def is_training(store: Path, job: str) -> Callable[[], bool]:
    """Whether a job has come to a step of a training, as far as it has said."""
    return lambda: any(event["event"] == "progress" for event in events(store, job))


def follow_page(needs: str, folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Write the spec of a part of the page on clusters, run its commands in small; what each printed."""
    (spec,) = blocks("yaml", needs, PAGE)
    name = spec.text.splitlines()[0].removeprefix("# ")
    (folder / name).write_text(spec.text)
    said = {}
    for line in commands(needs, PAGE):
        program, command, *rest = shlex.split(line)
        assert program == "xbench"
        small = IN_SMALL if command in ("run", "plan") else []
        done = subprocess.run(
            [sys.executable, "-m", program, command, *rest, *small],
            cwd=folder,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        said[line] = done.stdout
    return said

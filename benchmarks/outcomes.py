"""What a store holds, for comparing one with another."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

# They hold times, or the machine, or what an earlier attempt at a stage failed with.
PASSING = ("status.json", "env.json", "log.txt")
KINDS = ("links", "align", "fit", "finetune", "evaluate", "score", "probe")


def rows_of(store: Path) -> list[dict[str, Any]]:
    """The tidy rows of the run that was asked for last."""
    command = [sys.executable, "-m", "xbench", "results", "--store", str(store), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def digests_of(store: Path) -> dict[str, str]:
    """The digest of each file that a stage computed."""
    return {
        path.relative_to(store).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for kind in KINDS
        for path in sorted((store / kind).rglob("*"))
        if path.is_file() and path.name not in PASSING
    }

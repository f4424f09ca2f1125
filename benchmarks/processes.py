"""Whole commands as processes: what they took, and what they said. For Linux."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def cpu_seconds(command: list[str], folder: Path) -> tuple[float, str]:
    """What a command and all its processes took, and what it printed; one thread each."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    environment["TOKENIZERS_PARALLELISM"] = "false"
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=err, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            sys.exit(f"{' '.join(command)}\n{err.read()[-2000:]}")
        return usage.ru_utime + usage.ru_stime, out.read()

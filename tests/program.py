"""Runs Python programs in processes of their own that start in a moment.

Importing torch and its like takes seconds, and following a page takes dozens of programs. A server that
has imported them, and nothing of xbench, forks itself for each program: what a program imports of
xbench, where it runs and what is installed for it are its own, as in a process that was started anew.
"""

import importlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from unittest.mock import patch

from .command import Outcome, without_workers

ROOT = Path(__file__).parents[1]
# What a shell that is opened for a page would not have.
GONE = ("XBENCH_STORE", "XBENCH_DATA", "XBENCH_REGISTRY", "PYTEST_ADDOPTS")
HEAVY = ("torch", "transformers", "pandas", "pydantic", "rich.console", "scipy.stats", "datasets")
MODELS = ("transformers.models.auto.modeling_auto", "transformers.models.xlm_roberta")
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload([*HEAVY, *MODELS])


def shell(installed: Path, **given: str) -> dict[str, str]:
    """The variables of a shell that is opened afresh and sees what is installed in a folder."""
    kept = {name: value for name, value in os.environ.items() if name not in GONE}
    own = {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(installed), kept.get("PYTHONPATH")])),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return {**kept, **own, **given}


def run_module(
    module: str,
    arguments: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str],
) -> Outcome:
    """``python -m MODULE ARGUMENTS`` in a folder; xbench computes without workers and draws nothing."""
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place, "out"), Path(place, "err")
        given = (module, [*map(str, arguments)], folder, dict(environment), out, err)
        process = _server.Process(target=_program, args=given)
        with from_server():
            process.start()
        process.join()
        texts = [path.read_text(encoding="utf-8") if path.exists() else "" for path in (out, err)]
    assert process.exitcode is not None
    return Outcome(process.exitcode, *texts)


def _program(
    module: str,
    arguments: list[str],
    folder: Path,
    environment: dict[str, str],
    out: Path,
    err: Path,
) -> None:
    for path, stream in ((out, sys.stdout), (err, sys.stderr)):
        stream.flush()
        with path.open("wb") as file:
            os.dup2(file.fileno(), stream.fileno())
        stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    _surroundings(folder, environment)
    sys.argv = [module, *arguments]
    with without_workers():
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def _surroundings(folder: Path, environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:0] = [str(folder), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in environment
    importlib.invalidate_caches()


@contextmanager
def from_server() -> Iterator[Any]:
    """Within it :class:`multiprocessing.Process` objects may be made, which the server forks."""
    # Some libraries read what they are told once, when they are imported.
    with (
        patch.dict(os.environ, {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}),
        patch.object(sys, "path", [*sys.path, str(ROOT)]),
    ):
        yield _server


class Worker:
    """What a launcher has of a worker: a :class:`subprocess.Popen`, forked by the server."""

    def __init__(self, command: Sequence[str], stderr: IO[bytes], env: Mapping[str, str], **_: Any):
        assert command[1:] == ["-m", "xbench.engine.worker"]
        source, sink = multiprocessing.Pipe(duplex=False)
        heard, said = multiprocessing.Pipe(duplex=False)
        with from_server() as server:
            given = (source, said, stderr.name, Path.cwd(), dict(env))
            self._process = server.Process(target=_work, args=given, daemon=True)
            self._process.start()
        source.close()
        said.close()
        self.stdin = os.fdopen(os.dup(sink.fileno()), "w", encoding="utf-8")
        self.stdout = os.fdopen(os.dup(heard.fileno()), encoding="utf-8")
        sink.close()
        heard.close()
        self.pid = self._process.pid

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, as of a Popen."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired("a worker", timeout)
        return int(code)

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it."""
        self._process.kill()


def _work(source: Any, said: Any, log: str, folder: Path, environment: dict[str, str]) -> None:
    os.setsid()
    with open(log, "ab") as sink:
        for file, number in ((source, 0), (said, 1), (sink, 2)):
            os.dup2(file.fileno(), number)
    source.close()
    said.close()
    _surroundings(folder, environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    runpy.run_module("xbench.engine.worker", run_name="__main__", alter_sys=True)
    os._exit(0)

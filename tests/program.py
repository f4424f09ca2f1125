"""Runs Python programs in processes of their own that start in a moment.

Importing torch and its like takes seconds, and following a page takes dozens of programs. A server that
has imported them, and nothing of xbench, forks itself for each program: what a program imports of
xbench, where it runs and what is installed for it are its own, as in a process that was started anew.
"""

import importlib
import multiprocessing
import os
import runpy
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
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
        # Some libraries read what they are told once, when they are imported.
        with (
            patch.dict(os.environ, {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}),
            patch.object(sys, "path", [*sys.path, str(ROOT)]),
        ):
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
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:0] = [str(folder), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in environment
    importlib.invalidate_caches()
    sys.argv = [module, *arguments]
    with without_workers():
        runpy.run_module(module, run_name="__main__", alter_sys=True)

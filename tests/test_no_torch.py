"""Help, lists and the API's front door answer before anything large is imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .command import QUICK_OPTIONS, SMALL_OPTIONS, xbench

LARGE = ("torch", "pandas", "transformers", "datasets", "pyarrow", "scipy", "matplotlib")

RUN = """
import json, sys
from xbench.cli import main

sys.argv = ["xbench", *json.loads(sys.argv[1])]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
"""
TELL = "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"


def modules_after(code: str, *arguments: str) -> set[str]:
    """The modules that a fresh interpreter holds after the code."""
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys\n{code}\n{TELL}", *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["list"],
        ["list", "objectives"],
        ["list", "objectives", "--format", "json"],
        ["run", "--help"],
    ],
    ids=" ".join,
)
def test_light_commands(arguments: list[str]) -> None:
    loaded = modules_after(RUN, json.dumps(arguments))
    assert "xbench.cli" in loaded
    assert not loaded & set(LARGE)


@pytest.mark.parametrize("command", ["results", "status"])
def test_results_are_read_without_torch(command: str, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    assert xbench("run", *SMALL_OPTIONS, *QUICK_OPTIONS, "--store", store).code == 0
    loaded = modules_after(RUN, json.dumps([command, "--store", store]))
    assert "pandas" in loaded
    assert not loaded & {"torch", "transformers", "matplotlib"}


def test_training_does_without_a_compiler() -> None:
    """torch's compiler takes seconds to import; ``torch.optim`` does so where an optimiser is made."""
    training = """
import torch
from xbench.nn.optimise import Optimiser, ParameterGroup, Schedule

layer = torch.nn.Linear(2, 1)
optimiser = Optimiser([ParameterGroup(tuple(layer.parameters()), 0.1, 2)], Schedule(1), clip=1.0)
optimiser.backward(layer(torch.ones(2)).sum())
optimiser.step(0)
"""
    assert "torch._dynamo" not in modules_after(training)


@pytest.mark.parametrize("code", ["import xbench.api", "from xbench.api import Language, Task"])
def test_the_api_loads_torch_only_with_what_needs_it(code: str) -> None:
    loaded = modules_after(code)
    assert "xbench.api" in loaded
    assert not loaded & set(LARGE)


def test_the_check_sees_torch_where_it_is_loaded() -> None:
    assert "torch" in modules_after("from xbench.api import Objective")

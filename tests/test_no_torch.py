"""Help, lists and the API's front door answer before anything large is imported."""

import json
import subprocess
import sys

import pytest

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


@pytest.mark.parametrize("code", ["import xbench.api", "from xbench.api import Language, Task"])
def test_the_api_loads_torch_only_with_what_needs_it(code: str) -> None:
    loaded = modules_after(code)
    assert "xbench.api" in loaded
    assert not loaded & set(LARGE)


def test_the_check_sees_torch_where_it_is_loaded() -> None:
    assert "torch" in modules_after("from xbench.api import Objective")

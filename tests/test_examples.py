"""The distribution in examples/, as somebody else would use it: installed, checked, tested, run."""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from .command import QUICK_OPTIONS
from .docs.guide import install_command
from .program import run_module, shell

EXAMPLE = Path(__file__).parents[1] / "examples/redundancy"
NAMES = ("redundancy", "names", "qak")


class Elsewhere:
    """A copy of the example, and a fresh place where it is installed, without a network."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "redundancy"
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
        shutil.copytree(EXAMPLE, self.project, ignore=ignore)
        self.installed = folder / "installed"
        self.environment = shell(self.installed)
        self.call(*install_command(self.installed, self.project))

    def call(self, *command: str) -> str:
        """Run a program beside the example, in a new interpreter; it must end well."""
        done = subprocess.run(
            command, cwd=self.project, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def module(self, name: str, *arguments: str) -> str:
        """``python -m NAME`` beside the example; it must end well."""
        done = run_module(name, arguments, self.project, self.environment)
        assert done.code == 0, f"{name} {' '.join(arguments)}\n{done.out}\n{done.err}"
        return done.out


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    return Elsewhere(tmp_path_factory.mktemp("elsewhere"))


def test_a_third_party_from_installation_to_a_row(elsewhere: Elsewhere) -> None:
    listed = json.loads(elsewhere.module("xbench", "list", "--check", "--format", "json"))
    own = {row["name"]: row for row in listed if row["distribution"] == "xbench-redundancy"}
    assert set(own) == set(NAMES)
    assert not any(row["problem"] for row in own.values())
    assert "FAILED" not in elsewhere.module("xbench", "check", *NAMES)
    what = ["--objective", "redundancy", "--task", "names", "--language", "qaa,qac,qak"]
    how = ["--mode", "full,linear", "--seed", "15", "--arm", "none,aligned,shuffled"]
    quick = [*QUICK_OPTIONS, "--jobs", "1", "--device", "cpu"]
    # with workers, which find what is installed by themselves
    said = elsewhere.call(sys.executable, "-m", "xbench", "run", *what, *how, *quick)
    assert "Table 1" in said
    rows = json.loads(elsewhere.module("xbench", "results", "--format", "json"))
    assert {row["status"] for row in rows} == {"done"}
    assert {row["language"] for row in rows} == {"qaa", "qac", "qak"}
    assert {row["task"] for row in rows} == {"names"}
    assert {row["metric"] for row in rows} == {"accuracy", "macro_f1"}
    aligned = [row for row in rows if row["arm"] == "aligned"]
    assert {(row["objective"], row["variant"]) for row in aligned} == {
        ("redundancy", "plain"),
        ("redundancy", "projected"),
    }
    assert all(0 <= row["value"] <= 1 and row["n"] == 8 for row in rows)


def test_its_own_tests_pass(elsewhere: Elsewhere) -> None:
    said = elsewhere.module("pytest", "-q", "-p", "no:cacheprovider")
    assert "passed" in said
    assert "skipped" not in said


def test_its_readme_names_what_there_is() -> None:
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    offered = {name for group in project["entry-points"].values() for name in group}
    assert offered == set(NAMES)
    assert all(f"| `{name}` |" in readme for name in offered)
    assert f"xbench check {' '.join(NAMES)}" in readme

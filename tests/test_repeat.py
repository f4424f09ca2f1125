"""A run from a written spec, elsewhere and otherwise computed, gives bitwise the same."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from .command import QUICK_OPTIONS, SMALL_OPTIONS
from .command import with_workers as xbench

MATRIX = [
    *SMALL_OPTIONS,
    *QUICK_OPTIONS,
    "--objective",
    "hictl:S1W1M1",
    "--arm",
    "none,aligned,shuffled",
]
MATRIX += ["--align-step", "2,4", "--selection", "best", "--seed", "15,33"]
RESULTS = ("result.json", "predictions.parquet", "spec.json")
COSTS = re.compile(r"^## Table B2.*?(?=^## |\Z)", flags=re.MULTILINE | re.DOTALL)
"""What a run took is another time another."""


def report(folder: Path) -> str:
    """The report of the run in a folder, without what it took."""
    text = (folder / "report" / "report.md").read_text(encoding="utf-8")
    shorter = COSTS.sub("", text)
    assert shorter != text
    return shorter


def rows(store: Path) -> list[dict[str, Any]]:
    outcome = xbench("results", "--store", store, "--format", "json")
    assert outcome.code == 0, outcome.err
    content: list[dict[str, Any]] = json.loads(outcome.out)
    return content


def digests(store: Path) -> dict[str, str]:
    """The digest of every file of every stage, of weights that were freed too."""
    found = {}
    for path in store.glob("*/*/status.json"):
        status = json.loads(path.read_text())
        for name, file in {**status["files"], **status.get("freed", {})}.items():
            if name in RESULTS or name.endswith(".safetensors"):
                found[f"{path.parent.parent.name}/{path.parent.name}/{name}"] = file["sha256"]
    return found


def test_a_written_spec_repeats_its_run_on_another_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tmp_path / "first", tmp_path / "elsewhere" / "second"
    outcome = xbench("run", *MATRIX, "--store", first, "--jobs", "1")
    assert outcome.code == 0, outcome.err
    (spec,) = first.glob("runs/*/spec.yaml")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = xbench("run", spec, "--store", "second", "--jobs", "2", "--save-state", "0")
    assert again.code == 0, again.err
    assert rows(second) == rows(first)
    assert len(rows(first)) > 0
    assert digests(second) == digests(first)
    (copy,) = second.glob("runs/*/spec.yaml")
    assert copy.read_text() == spec.read_text()
    assert copy.parent.name == spec.parent.name
    assert report(copy.parent) == report(spec.parent)

"""Broken plugins are found, each with its distribution, and spoil nothing else."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from xbench.catalogue.check_imports import check
from xbench.catalogue.discovery import discovery

from ..command import xbench

Install = Callable[..., Path]
MODULE = '''
import os
from dataclasses import dataclass
from xbench.api import Metric, Objective


class Good(Objective):
    """Fine."""
    def terms(self, batch):
        return {}


class NoTerms(Objective):
    """Defines nothing."""


class BadConfig(Good):
    @dataclass(frozen=True)
    class Config:
        needed: int


class BadVariant(Good):
    variants = {"x": 3}


class NoClass(Good):
    Config = 7


class HalfMetric(Metric):
    def items(self, gold, predicted):
        return None


def function(batch):
    return {}
'''
OBJECTIVES = {
    "good": "wild:Good",
    "no-terms": "wild:NoTerms",
    "bad-config": "wild:BadConfig",
    "bad-variant": "wild:BadVariant",
    "no-class": "wild:NoClass",
    "function": "wild:function",
    "gone": "wild:Gone",
    "crash": "wild_crash:Good",
    "after-the-crash": "wild:Good",
}
CRASH = "import os\nos._exit(3)\n"


@pytest.fixture
def wild(install: Install) -> None:
    modules = {"wild.py": MODULE, "wild_crash.py": CRASH}
    install("wild", {"objectives": OBJECTIVES, "metrics": {"half": "wild:HalfMetric"}}, modules)


@pytest.mark.usefixtures("wild")
def test_each_broken_plugin_is_marked_with_its_cause() -> None:
    outcome = xbench("list", "--check", "--format", "json")
    assert outcome.code == 1
    problems = {row["name"]: row["problem"] for row in json.loads(outcome.out)}
    expected = {
        "no-terms": "does not define terms()",
        "bad-config": "needs a default for every field",
        "bad-variant": "the variant 'x' is no Config",
        "no-class": "its Config is no dataclass",
        "function": "not a subclass of xbench.api.Objective",
        "gone": "cannot be imported: AttributeError",
        "crash": "exit code 3",
        "half": "does not define aggregate()",
    }
    for name, part in expected.items():
        assert part in problems[name], name
        if name != "crash":
            assert "wild 1.2" in problems[name]
    sound = set(problems) - set(expected)
    assert {"good", "after-the-crash", "hictl", "pos", "accuracy"} <= sound
    assert not any(problems[name] for name in sound)


@pytest.mark.usefixtures("wild")
def test_as_text_and_by_kind() -> None:
    outcome = xbench("list", "metrics", "--check")
    assert outcome.code == 1
    lines = {line.split()[1]: line for line in outcome.out.splitlines()}
    assert lines["accuracy"].endswith("ok")
    assert "wild 1.2  BROKEN" in lines["half"]
    assert "hictl" not in lines


def test_a_name_claimed_twice_is_told_without_importing(install: Install) -> None:
    install("rival", {"objectives": {"hictl": "no_such_module:X"}}, {})
    outcome = xbench("list", "objectives", "--check", "--format", "json")
    assert outcome.code == 1
    problems = [row["problem"] for row in json.loads(outcome.out) if row["name"] == "hictl"]
    assert len(problems) == 2
    assert all("claimed by" in problem and "rival 1.2" in problem for problem in problems)


def test_a_plugin_that_hangs_is_given_up(install: Install) -> None:
    install("slow", {"metrics": {"slow": "slow:X"}}, {"slow.py": "import time\ntime.sleep(600)\n"})
    began = time.monotonic()
    (found,) = check([discovery.table.get("metrics", "slow")], timeout=3.0)
    assert "longer than 3 seconds" in found.problem
    assert time.monotonic() - began < 60


def test_the_built_in_ones_are_sound() -> None:
    outcome = xbench("list", "--check")
    assert outcome.code == 0, outcome.out


@pytest.mark.usefixtures("wild")
def test_doctor_tells_of_them_with_advice(tmp_path: Path) -> None:
    outcome = xbench("doctor", "--store", tmp_path / "store")
    assert outcome.code == 1
    assert "XBENCH_DISABLE_PLUGINS=wild" in outcome.out

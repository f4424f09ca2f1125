"""``xbench check`` finds the plugin, prints a line for each check, and leaves nothing behind."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ..command import xbench

Install = Callable[..., Path]
MODULE = '''
import torch
from xbench.api import Language, Metric, Objective, Term

class Padded(Objective):
    """The distance `||u - v||^2` of mean states [N, D], padding included (Name et al. 2020)."""

    def terms(self, batch):
        u, v = (side.states().mean(1) for side in (batch.source, batch.target))
        return {"distance": Term((u - v).square().sum(), len(u))}

class Raising(Objective):
    """Raises `ValueError`, always (Name et al. 2020)."""

    def terms(self, batch):
        raise ValueError("no terms today")

TONGUE = Language("qtz", "Tongue", "Latn")
'''
ENTRIES = {
    "objectives": {
        "padded": "tongue:Padded",
        "raising": "tongue:Raising",
        "broken": "nothing:Here",
    },
    "languages": {"qtz": "tongue:TONGUE"},
    "metrics": {"qtz": "tongue:Padded"},
}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delitem(sys.modules, "tongue", raising=False)  # another test's, at another place
    return folder


def test_a_good_plugin(elsewhere: Path) -> None:
    outcome = xbench("check", "accuracy")
    assert outcome.code == 0, outcome.err
    title, *lines = outcome.out.splitlines()
    assert title.startswith("metric accuracy  xbench ")
    assert len(lines) == 6
    assert all(line.startswith("  ok ") for line in lines)
    assert not list(elsewhere.iterdir())


def test_a_check_that_does_not_apply_says_why(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XBENCH_DATA", raising=False)
    outcome = xbench("check", "sib200")
    assert outcome.code == 0
    assert "XBENCH_DATA" in outcome.out
    assert outcome.out.count("as above") == 3


def test_a_fault_is_reported_and_the_code_is_1(elsewhere: Path, install: Install) -> None:
    install("tongues", ENTRIES, {"tongue.py": MODULE})
    outcome = xbench("check", "padded", "accuracy")
    assert outcome.code == 1
    failed = [line for line in outcome.out.splitlines() if line.startswith("  FAILED")]
    assert len(failed) == 1
    assert "More padding changes nothing: distance is" in failed[0]
    assert "content_mask" in failed[0]
    assert "metric accuracy" in outcome.out
    assert outcome.out.endswith("1 of 2 keep their contracts; not so: padded.\n")
    assert not list(elsewhere.iterdir())


def test_a_plugin_that_raises_is_reported_with_the_line(elsewhere: Path, install: Install) -> None:
    place = install("tongues", ENTRIES, {"tongue.py": MODULE})
    outcome = xbench("check", "raising")
    assert outcome.code == 1
    assert f"ValueError: no terms today ({place / 'tongue.py'}:16)" in outcome.out
    assert "as above" in outcome.out
    assert "Traceback" not in outcome.out + outcome.err


def test_a_plugin_that_cannot_be_imported(elsewhere: Path, install: Install) -> None:
    install("tongues", ENTRIES, {"tongue.py": MODULE})
    outcome = xbench("check", "broken")
    assert outcome.code == 1
    assert "FAILED  It can be imported" in outcome.out
    assert "tongues 1.2" in outcome.out
    assert "No module named 'nothing'" in outcome.out


def test_a_name_of_several_kinds_has_to_say_which(elsewhere: Path, install: Install) -> None:
    install("tongues", ENTRIES, {"tongue.py": MODULE})
    outcome = xbench("check", "qtz")
    assert outcome.code == 2
    assert "language:qtz or metric:qtz" in outcome.err
    assert xbench("check", "language:qtz").code == 0


def test_all_are_checked(
    elsewhere: Path, install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XBENCH_DISABLE_PLUGINS", "xbench,padded,raising,metric:qtz")
    install("tongues", ENTRIES, {"tongue.py": MODULE})
    outcome = xbench("check", "--all")
    assert outcome.code == 1
    assert "objective broken" in outcome.out
    assert "language qtz" in outcome.out
    assert outcome.out.endswith("1 of 2 keep their contracts; not so: broken.\n")


def test_a_plugin_of_an_xbenchfile(elsewhere: Path, fresh_discovery: Callable[[], None]) -> None:
    register = 'from xbench.api import Task, register\n\n@register("task", "moods")\n'
    task = 'class Moods(Task):\n    """Glad or sad."""\n    labels = ("glad", "sad")\n'
    (elsewhere / "xbenchfile.py").write_text(register + task)
    fresh_discovery()
    outcome = xbench("check", "moods")
    assert outcome.code == 0, outcome.out + outcome.err
    assert "task moods  xbenchfile.py" in outcome.out


COMPOSITIONS = """
compositions:
  both:
    description: One objective, at half its weight.
    parts: {padded: {weight: 0.5}}
  gone:
    description: Something that is not there.
    parts: {padded: {}, absent: {}}
"""


def test_compositions_are_checked_as_objectives(elsewhere: Path, install: Install) -> None:
    (elsewhere / "xbench-registry.yaml").write_text(COMPOSITIONS)
    install("tongues", ENTRIES, {"tongue.py": MODULE})
    outcome = xbench("check", "both", "objective:gone")
    assert outcome.code == 1
    assert "composition both  registry" in outcome.out
    assert "More padding changes nothing: padded.distance is" in outcome.out
    assert "ok      The order of the pairs changes nothing" in outcome.out
    assert "FAILED  It can be imported: Unknown objective 'absent'" in outcome.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["acuracy"], "Did you mean 'accuracy'?"),
        (["metric:sib200"], "Unknown metric 'sib200'"),
        (["metrics:accuracy"], "Unknown kind 'metrics'"),
        ([], "Name the plugins"),
        (["accuracy", "--all"], "Name the plugins"),
    ],
    ids=str,
)
def test_mistakes(elsewhere: Path, arguments: list[str], message: str) -> None:
    outcome = xbench("check", *arguments)
    assert outcome.code == 2
    assert message in outcome.err

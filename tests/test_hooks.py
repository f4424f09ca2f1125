"""Hooks and ``xbenchfile.py``: what observers hear, what they may change, and that they harm nothing."""

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy
import pytest

from xbench.api import hookimpl
from xbench.catalogue import xbenchfile
from xbench.catalogue.discovery import PluginError
from xbench.engine import hooks, hookspecs
from xbench.errors import XbenchError

from .command import QUICK_OPTIONS

FILE = """
import json, os
from pathlib import Path
from xbench.api import Language, Objective, Term, hookimpl, register

HEARD = Path("heard.jsonl")
TRIES = Path("tries")


def hear(what, **more):
    with HEARD.open("a") as file:
        file.write(json.dumps({"what": what, **more}) + "\\n")


@register("objective", "shaky")
class Shaky(Objective):
    "Fails the first time that it is asked (of nobody)."

    def terms(self, batch):
        if not TRIES.exists():
            TRIES.touch()
            raise RuntimeError("not yet")
        return {"loss": Term(batch.source.pooled().square().sum(), 1)}


@register("objective", "hopeless")
class Hopeless(Objective):
    "Always fails (of nobody)."

    def terms(self, batch):
        raise RuntimeError("never")


@hookimpl
def xbench_configure(spec):
    hear("configure", tasks=list(spec.task))


@hookimpl
def xbench_modify_plan(plan):
    plan.cells = [cell for cell in plan.cells if cell.coordinates["language"] != "qab"]


@hookimpl
def xbench_stage_started(stage):
    raise ValueError("an observer that raises")


@hookimpl
def xbench_stage_finished(stage, details):
    hear("finished", kind=stage.kind, seconds=details["seconds"])


@hookimpl
def xbench_stage_failed(stage, failure, attempt):
    hear("failed", label=stage.label, cause=failure["cause"], attempt=attempt)
    return True


@hookimpl
def xbench_run_finished(folder, frame):
    hear("end", rows=len(frame), statuses=sorted(set(frame["status"])))


@hookimpl
def xbench_commands():
    import click

    @click.command("hello")
    def hello():
        "Say hello."
        click.echo("hello there")

    return {"hello": hello, "run": hello}


@hookimpl
def xbench_report_sections(frame, spec):
    from xbench.report.table import Column, Table, TableCell, TableRow

    cell = TableCell(str(len(frame)))
    return [
        Table(
            "mine", "tab:mine", "A section of mine", "Rows.", (Column("n"),), (TableRow("all"),), ((cell,),)
        )
    ]
"""


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "xbench", *arguments]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("local")
    (folder / "xbenchfile.py").write_text(FILE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def done(place: Path) -> subprocess.CompletedProcess[str]:
    """A run with everything that the file registers."""
    what = ["--objective", "shaky,hopeless", "--task", "pos", "--mode", "linear", "--seed", "15"]
    what += ["--arm", "none,aligned", "--language", "qac,qab", "--device", "cpu"]
    return command(place, "run", *what, *QUICK_OPTIONS, "--jobs", "1", "--store", "store")


@pytest.fixture(scope="module")
def heard(place: Path, done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 1, done.stderr
    return [json.loads(line) for line in (place / "heard.jsonl").read_text().splitlines()]


def test_a_failed_stage_is_tried_again_where_a_hook_asks_for_it(
    heard: list[dict[str, Any]], done: subprocess.CompletedProcess[str]
) -> None:
    failed = [(each["label"], each["attempt"]) for each in heard if each["what"] == "failed"]
    shaky = [attempt for label, attempt in failed if label.startswith("shaky")]
    hopeless = [attempt for label, attempt in failed if label.startswith("hopeless")]
    assert shaky == [1]
    assert hopeless == [1, 2]  # three attempts, of which the last is nobody's to decide
    assert "never" in done.stderr
    assert "not yet" not in done.stderr
    assert "xbenchfile.py local" in done.stderr  # who is to blame


def test_observers_hear_of_every_stage_and_one_that_raises_harms_nothing(
    heard: list[dict[str, Any]], done: subprocess.CompletedProcess[str]
) -> None:
    finished = [each["kind"] for each in heard if each["what"] == "finished"]
    # untouched and shaky, one language: qab was taken out of the plan
    assert (
        sorted(finished)
        == ["align", "evaluate", "evaluate", "finetune", "finetune"] + ["score"] * 2
    )
    assert done.stderr.count("xbench_stage_started raised ValueError") == 1
    (end,) = [each for each in heard if each["what"] == "end"]
    assert end["statuses"] == ["blocked", "done"]
    assert heard[0] == {"what": "configure", "tasks": ["pos"]}


def test_a_section_is_in_the_report(place: Path, done: subprocess.CompletedProcess[str]) -> None:
    (report,) = (place / "store" / "runs").glob("*/report/report.md")
    assert "A section of mine" in report.read_text()
    assert (report.parent / "mine.tex").is_file()


def test_commands_are_added_and_none_is_replaced(place: Path) -> None:
    assert command(place, "hello").stdout == "hello there\n"
    assert "hello" in command(place, "--help").stdout
    assert "Compute the cells" in command(place, "run", "--help").stdout


def test_local_plugins_are_listed_unimported_and_can_be_switched_off(place: Path) -> None:
    shown = command(place, "list", "objectives").stdout
    assert "shaky" in shown
    assert "xbenchfile.py local" in shown
    without = command(place, "-p", "no:xbenchfile", "list", "objectives").stdout
    assert "shaky" not in without
    less = command(place, "list", "objectives", "-p", "no:shaky").stdout
    assert "shaky" not in less
    assert "hopeless" in less
    wrong = command(place, "list", "-p", "shaky")
    assert wrong.returncode == 2
    assert "-p no:NAME" in wrong.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def broken(:", "cannot be read as Python"),
        ("@register('objective', NAME)\nclass A: ...", "line 1: write both out"),
        ("@register('objectiv', 'a')\nclass A: ...", "as a 'objectiv'; the kinds are objective"),
        (
            "from xbench.api import hookimpl\n@hookimpl\ndef xbench_stage_ended(stage): ...",
            "xbench_stage_ended",
        ),
    ],
)
def test_mistakes_in_the_file_are_told(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "xbenchfile.py").write_text(text, encoding="utf-8")
    (tmp_path / "xbenchfile.py").read_text()
    outcome = command(tmp_path, "plan", "--task", "pos", "--arm", "none", "--store", "s")
    assert outcome.returncode == 2
    assert message in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_what_a_file_registers_is_read_from_its_source(tmp_path: Path) -> None:
    path = tmp_path / "xbenchfile.py"
    text = """
    import xbench.api as api
    raise RuntimeError("nobody runs this")

    @api.register("objective", "one")
    class One: ...

    XYZ = api.register("language", "xyz")(api.Language("xyz", "Xyz", "Latn"))
    """
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    found = list(xbenchfile.registered(path))
    assert found == [("objective", "one", "One"), ("language", "xyz", "XYZ")]


@pytest.fixture
def implement(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Registers functions as the only hook implementations of this process."""

    def make(**functions: Any) -> None:
        module = ModuleType("observer")
        for name, function in functions.items():
            setattr(module, name, hookimpl(function))
        manager = pluggy.PluginManager("xbench")
        manager.add_hookspecs(hookspecs)
        manager.register(module, "observer")
        monkeypatch.setattr(hooks, "manager", lambda: manager)

    return make


def test_a_slow_observer_delays_nobody(
    implement: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    released, heard = threading.Event(), []

    def slow(stage: Any) -> None:
        heard.append(stage)
        released.wait()

    implement(xbench_stage_started=slow)
    monkeypatch.setattr(hooks, "WAIT", 0.05)
    observers = hooks.Observers()
    for number in range(3):  # would never return if it waited
        observers.tell("xbench_stage_started", stage=number)
    observers.close()
    assert "behind by 2 events" in capsys.readouterr().err
    released.set()
    while len(heard) < 3:
        time.sleep(0.01)
    assert heard == [0, 1, 2]


def test_a_hook_that_decides_stops_the_command_where_it_raises(implement: Any) -> None:
    def refuse(spec: Any) -> None:
        raise RuntimeError("not on my cluster")

    implement(xbench_configure=refuse)
    with pytest.raises(PluginError, match=r"refuse .*not on my cluster"):
        hooks.call("xbench_configure", spec=None, store=None)

    def say(spec: Any) -> None:
        raise XbenchError("Only on Fridays.")

    implement(xbench_configure=say)
    with pytest.raises(XbenchError, match=r"^Only on Fridays\.$"):
        hooks.call("xbench_configure", spec=None, store=None)


def test_what_is_asked_for_has_a_default_where_a_hook_raises(
    implement: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def sections(frame: Any, spec: Any) -> Any:
        raise RuntimeError("no table")

    implement(xbench_report_sections=sections)
    assert hooks.ask("xbench_report_sections", [], frame=None, spec=None) == []
    assert "no table" in capsys.readouterr().err

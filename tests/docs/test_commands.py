"""Every command in the documents is executed.

What would compute for minutes, or on another machine, is planned in place of being run: all names
and options are resolved, all data is found. One run of each kind is computed, in small.
"""

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from xbench.cli import COMMANDS, group

from .. import real
from ..command import QUICK_OPTIONS, Outcome, xbench
from ..hub.server import Hub
from ..hub.test_hub import MODEL, hub  # noqa: F401  (a fixture)
from ..toys import model_folder
from .data_folder import write_data
from .pages import DOCUMENTS, ROOT, blocks, blocks_of, commands, read

TOOLS = ("pytest", "python")
READERS = ("list", "show", "doctor", "status", "results", "report", "store", "retry")
IN_SMALL = [*QUICK_OPTIONS, "--seed", "15", "--jobs", "1", "--device", "cpu"]
KNOWN = {
    *(("sh", needs) for needs in ("", "data", "hub", "guide", "slurm", "ray")),
    *(("yaml", needs) for needs in ("", "registry", "file", "slurm", "ray")),
    *(("text", needs) for needs in ("", "files", "said")),
    *(("python", needs) for needs in ("", "file", "test")),
    *((language, "") for language in ("toml", "{toctree}", "{eval-rst}")),
}
Place = Callable[[str], None]


def arguments_of(line: str) -> tuple[str, list[str]]:
    """Program and arguments of a command, after leading NAME=value assignments."""
    words = shlex.split(line)
    while re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    return words[0].removeprefix(".venv/bin/"), words[1:]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands are typed in, with the specs of the documents."""
    for name in ("XBENCH_STORE", "XBENCH_DATA", "XBENCH_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    for spec in blocks("yaml", "", "README.md"):
        (tmp_path / "study.yaml").write_text(spec.text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def after_a_run(workplace: Path, finished: tuple[Path, Outcome]) -> Path:
    """The same folder after a run."""
    shutil.copytree(finished[0], workplace / "xbench-store")
    return workplace


@pytest.mark.parametrize("line", commands(""))
def test_command(line: str, after_a_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    program, arguments = arguments_of(line)
    if program == "make":
        dry_run(arguments)
    elif program == "xbench":
        check_xbench(arguments)
    elif program in TOOLS:
        check_tool(program, arguments)
    else:
        assert line == ". .venv/bin/activate"


def check_xbench(arguments: list[str]) -> None:
    """Run a command that computes nothing; plan one that would."""
    name, *rest = arguments
    assert name in COMMANDS
    if name in READERS:
        outcome = xbench(name, *rest)
        assert outcome.code == 0, outcome.err
        return
    plan(name, rest)


def plan(name: str, arguments: list[str]) -> dict[str, Any]:
    """The plan of a run, whose options are checked as the command itself does it."""
    with click.Context(group) as parent:
        command = group.get_command(parent, name)
        assert command is not None
        command.make_context(name, list(arguments))
    outcome = xbench("plan", *arguments, "--format", "json")
    assert outcome.code == 0, outcome.err
    content: dict[str, Any] = json.loads(outcome.out)
    assert content["stages"]["score"]["total"] > 0
    return content


def dry_run(arguments: list[str]) -> str:
    """What make would do."""
    # Under `make test` this is a make below a make, which would inherit flags and say so.
    outer = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    done = subprocess.run(
        ["make", "-n", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_tool(program: str, arguments: list[str]) -> None:
    """Scripts and tests are there, and take these options."""
    if arguments[0] == "-m":
        command = importlib.import_module(arguments[1]).main
        command.make_context(arguments[1], arguments[2:])
        return
    paths = arguments if program == "pytest" else arguments[:1]
    for path in paths:
        assert (ROOT / path).exists(), path
    options = [word for word in arguments[1:] if word.startswith("--")]
    if options:
        # in a process of its own: importing a script sets this one's libraries up for its purpose
        command = [sys.executable, str(ROOT / arguments[0]), "--help"]
        told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        assert {*options} <= set(re.findall(r"--[a-z][a-z-]*", told))


def test_a_run_of_the_readme_in_small(after_a_run: Path) -> None:
    lines = [line for line in commands("", "README.md") if line.startswith("xbench run")]
    assert len(lines) > 2
    line = next(line for line in lines if "--mode linear" in line)
    outcome = xbench(*shlex.split(line)[1:], *IN_SMALL, "--language", "qaa,qac")
    assert outcome.code == 0, outcome.err
    assert "Table 1" in outcome.out


@pytest.mark.parametrize("line", commands("data"))
def test_command_on_data(line: str, workplace: Path) -> None:
    write_data(workplace / "DATA")
    model_folder(workplace / "ENCODER")
    on_data(line, workplace)


@pytest.mark.parametrize("line", commands("data"))
def test_command_on_real_data(line: str, workplace: Path, real_data: tuple[Path, Path]) -> None:
    for name, folder in zip(("DATA", "ENCODER"), real_data, strict=True):
        (workplace / name).symlink_to(folder)
    on_data(line, workplace)


@pytest.fixture(scope="module")
def real_data() -> tuple[Path, Path]:
    """Folders of data and of an encoder, where this machine has them."""
    data, models = real.folder("XBENCH_DATA"), real.folder("XBENCH_MODELS")
    return data, next(path.parent for path in sorted(models.glob("*/config.json")))


def on_data(line: str, workplace: Path) -> None:
    """Plan what is large, and run what says that it is small."""
    program, (name, *rest) = arguments_of(line)
    assert program == "xbench"
    if name in READERS:
        check_xbench([name, *rest])
        return
    lacking = plan(name, rest)["unresolved"]
    assert not [what for what in lacking if not what.startswith("the model")]
    if "--max-train" in rest and name == "run":
        small = xbench("run", *rest, "--jobs", "1", "--store", workplace / "store")
        assert small.code == 0, small.err


@pytest.mark.parametrize(
    "document", list(dict.fromkeys(block.document for block in blocks("sh", "hub")))
)
def test_commands_with_a_hub(
    document: str,
    workplace: Path,
    hub: Hub,  # noqa: F811
) -> None:
    """One after the other: what is fetched first is what the others go on with."""
    encoder = hub.repositories[f"models/{MODEL}"]
    for name in ("FacebookAI/xlm-roberta-base", "FacebookAI/roberta-base", "jhu-clsp/mmBERT-base"):
        hub.repositories[f"models/{name}"] = encoder
    for line in commands("hub", document):
        _, (name, *rest) = arguments_of(line)
        if name == "run":
            rest += [*IN_SMALL, "--language", "eng,deu", "--mode", "linear"]
        outcome = xbench(name, *rest)
        assert outcome.code == 0, outcome.err


def test_the_first_command_runs_the_main_job() -> None:
    (said,) = re.findall(r"`make table` runs `(xbench [^`]*)`", read("README.md"))
    done = dry_run(["table"]).strip().splitlines()[-1]
    assert done.endswith("/bin/" + said)
    plan("run", shlex.split(said)[2:])


def test_the_documents_have_commands() -> None:
    assert commands("")[:2] == ["make table", "make test"]
    assert len(commands("")) > 20
    assert len(commands("data")) > 5
    assert len(commands("hub")) > 4


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_is_of_a_kind_that_is_tested(document: str) -> None:
    kinds = {(block.language, block.needs) for block in blocks_of(document)}
    assert kinds <= KNOWN


@pytest.mark.usefixtures("workplace")
def test_a_command_that_is_wrong_is_noticed() -> None:
    with pytest.raises(AssertionError):
        dry_run(["no-such-target"])
    with pytest.raises(AssertionError, match="no-such-objective"):
        check_xbench(["run", "--objective", "no-such-objective"])
    with pytest.raises(click.NoSuchOption):
        check_xbench(["run", "--no-such-option"])
    with pytest.raises(AssertionError):
        check_tool("pytest", ["tests/no-such-file.py"])

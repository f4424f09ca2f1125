"""What the documents say can be done can be done: commands, specs, code, links, generated parts."""

import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import click
import pytest
import torch
import yaml
from click.testing import CliRunner

import xbench
from xbench.api import Objective
from xbench.cli import COMMANDS, group
from xbench.cli.options import spec_from
from xbench.cli.session import context
from xbench.discovery import GROUP, KINDS
from xbench.errors import XbenchError
from xbench.resolve import resolve
from xbench.spec import RunSpec, make_spec

ROOT = Path(__file__).parents[2]
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/settings.md"]
SHORTHANDS = {"spec_file", "option", "max_train", "max_test", "epochs"}
TOOLS = {"pytest", "python"}


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(document: str) -> Iterator[str]:
    for block in blocks(document, "sh"):
        yield from block.replace("\\\n", " ").splitlines()


def all_commands() -> list[str]:
    return [line for document in DOCUMENTS for line in commands(document)]


def without_variables(line: str) -> list[str]:
    """The words of a command after leading NAME=value assignments."""
    words = shlex.split(line)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    return words


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the README's commands take for granted."""
    for spec in blocks("README.md", "yaml"):
        (tmp_path / "study.yaml").write_text(spec, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_documents_have_commands() -> None:
    assert all_commands()[:2] == ["make table", "make test"]
    assert len(all_commands()) > 12


@pytest.mark.parametrize("line", all_commands())
@pytest.mark.usefixtures("workplace")
def test_command(line: str) -> None:
    program, *arguments = without_variables(line)
    name = program.removeprefix(".venv/bin/")
    if name == "make":
        dry_run(arguments)
    elif name == "xbench":
        check_xbench(arguments)
    elif name in TOOLS:
        check_tool(arguments)
    else:
        assert line == ". .venv/bin/activate"


def dry_run(arguments: list[str]) -> str:
    # Under `make test` this is a make below a make, which would inherit flags and say so.
    outer = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    done = subprocess.run(
        ["make", "-n", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_xbench(arguments: list[str]) -> None:
    """Commands that only read the installation are run; for others all names must be known."""
    name, *rest = arguments
    if name in ("list", "show"):
        done = CliRunner().invoke(group, arguments)
        assert done.exit_code == 0, done.output
        return
    assert name in COMMANDS
    with click.Context(group) as parent:
        command = group.get_command(parent, name)
    assert command is not None
    parameters = command.make_context(name, rest).params
    if name in ("run", "plan"):
        known = SHORTHANDS | set(RunSpec.model_fields)
        spec = spec_from({key: value for key, value in parameters.items() if key in known})
        assert resolve(spec, context()).objective is not None


def check_tool(arguments: list[str]) -> None:
    if arguments[0] == "-m":
        command = importlib.import_module(arguments[1]).main
        command.make_context(arguments[1], arguments[2:])
    else:
        assert (ROOT / arguments[0]).exists()


def test_the_first_command_runs_the_main_job() -> None:
    (said,) = re.findall(r"`make table` runs `(xbench [^`]*)`", (ROOT / "README.md").read_text())
    done = dry_run(["table"]).strip().splitlines()[-1]
    assert done.endswith("/bin/" + said)
    check_xbench(shlex.split(said)[1:])


@pytest.mark.usefixtures("workplace")
def test_a_command_that_is_wrong_is_noticed() -> None:
    with pytest.raises(AssertionError):
        dry_run(["no-such-target"])
    with pytest.raises(XbenchError):
        check_xbench(["run", "--objective", "no-such-objective"])
    with pytest.raises(click.NoSuchOption):
        check_xbench(["run", "--no-such-option"])


@pytest.mark.parametrize("block", [b for d in DOCUMENTS for b in blocks(d, "console")])
def test_console_output(block: str) -> None:
    command, _, expected = block.partition("\n")
    program, *arguments = shlex.split(command.removeprefix("$ "))
    assert program == "xbench"
    assert CliRunner().invoke(group, arguments).output == expected


@pytest.mark.parametrize("block", [b for d in DOCUMENTS for b in blocks(d, "yaml")])
def test_spec(block: str) -> None:
    resolved = resolve(make_spec(yaml.safe_load(block), "the README"), context())
    assert isinstance(resolved.objective, dict)
    assert resolved.pair == ("deu-eng", "eng-kaz")


@pytest.fixture(scope="module")
def examples() -> dict[str, Any]:
    """The names that CONTRIBUTING's Python code defines, block after block."""
    names: dict[str, Any] = {"__name__": "contributing"}
    for block in blocks("CONTRIBUTING.md", "python"):
        exec(compile(block, "CONTRIBUTING.md", "exec", dont_inherit=True), names)
    return names


def test_example_of_an_objective(examples: dict[str, Any]) -> None:
    assert issubclass(examples["Pull"], Objective)
    objective = examples["Pull"](examples["Pull"].Config(depth=0.5))
    u_BD, v_BD = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    batch = SimpleNamespace(
        source=SimpleNamespace(pooled={0.5: u_BD}.__getitem__),
        target=SimpleNamespace(pooled={0.5: v_BD}.__getitem__),
    )
    assert objective.terms(batch)["distance"].mean == (4 + 9) / 2


def test_example_of_a_language(examples: dict[str, Any]) -> None:
    treebank = context().discovery.table.get("sources", "clone-treebank").load()()
    sentence = next(iter(treebank.read([examples["QAK"]], "test")))
    assert len(sentence.words) == len(sentence.tags) > 0


def test_example_of_entry_points() -> None:
    (block,) = blocks("CONTRIBUTING.md", "toml")
    groups = tomllib.loads(block)["project"]["entry-points"]
    assert {name.removeprefix(GROUP) for name in groups} <= set(KINDS)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_and_files(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    roots = "harness|plugins|tasks|tests|docs"
    files = re.findall(rf"`((?:{roots})/[\w./-]*)`", text)
    assert links or files or document == "docs/settings.md"
    for link in links:
        assert ((ROOT / document).parent / link).exists(), link
    for file in files:
        # the encoder is built, not written: its folder may not be there yet
        assert (ROOT / file).exists() or file.endswith("clones/encoder/"), file


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["plugins", "align", "finetune", "evaluate"])
def test_generated_parts_are_up_to_date(generator: ModuleType, name: str) -> None:
    file, make = generator.PARTS[name]
    text = (ROOT / file).read_text(encoding="utf-8")
    assert generator.with_part(text, name, make()) == text, "out of date: make docs"


def test_every_generated_part_is_checked(generator: ModuleType) -> None:
    assert list(generator.PARTS) == ["plugins", "align", "finetune", "evaluate"]


def test_a_stale_part_is_replaced(generator: ModuleType) -> None:
    text = "a\n<!-- generated: x -->\nold\n<!-- end of x -->\nb"
    assert "new" in generator.with_part(text, "x", "new")
    assert "old" not in generator.with_part(text, "x", "new")
    with pytest.raises(ValueError, match="missing"):
        generator.with_part("no markers", "x", "new")


def test_versions_agree() -> None:
    version = xbench.__version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert project["version"] == citation["version"] == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()
    assert project["license"] == citation["license"]

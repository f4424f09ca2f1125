"""What the documents say is so: links, files, options, module lines, examples, generated parts."""

import importlib.util
import re
import shutil
import tomllib
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import click
import pytest
import torch
import transformers
import yaml

import xbench
from xbench.api import Objective
from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.discovery import GROUP, KINDS
from xbench.catalogue.models import find_model
from xbench.cli import COMMANDS, group
from xbench.cli.options import COMPUTE_OPTIONS
from xbench.errors import XbenchError
from xbench.plan import KINDS as STAGES
from xbench.spec.request import make_spec
from xbench.spec.resolve import resolve
from xbench.store import FORMAT, MARKER, Store
from xbench.store.lease import DEAD_AFTER, HEARTBEAT

from ..toys import model_folder
from .pages import DOCUMENTS, ROOT, Block, blocks, read

SHOWN = {"xbenchfile.py"}  # files that pages show
PARTS = ["plugins", "align", "finetune", "evaluate", "probing", "hooks", "catalogue"]
OTHERS = {"--no-deps", "--maxprocesses", "--constraint"}  # options of other programs
WITH_PYTHON = {"CONTRIBUTING.md", "docs/encoders.md"}


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.document)
def test_spec(block: Block) -> None:
    resolved = resolve(make_spec(yaml.safe_load(block.text), block.document), Catalogue.installed())
    assert isinstance(resolved.objective, dict)
    assert resolved.pair == ("deu-eng", "eng-kaz")


@pytest.fixture(scope="module")
def examples() -> dict[str, Any]:
    """The names that CONTRIBUTING's Python code defines, block after block."""
    names: dict[str, Any] = {"__name__": "contributing"}
    for block in blocks("python", "", "CONTRIBUTING.md"):
        exec(compile(block.text, block.document, "exec", dont_inherit=True), names)
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
    treebank = Catalogue.installed().load("sources", "clone-treebank")()
    sentence = next(iter(treebank.read([examples["QAK"]], "test")))
    assert len(sentence.words) == len(sentence.tags) > 0


def test_example_of_entry_points() -> None:
    (block,) = blocks("toml", "", "CONTRIBUTING.md")
    groups = tomllib.loads(block.text)["project"]["entry-points"]
    assert {name.removeprefix(GROUP) for name in groups} <= set(KINDS)


def test_example_of_converting_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = blocks("python", "", "docs/encoders.md")
    monkeypatch.chdir(tmp_path)
    (name,) = re.findall(r'"(\w+/[\w-]+)"', block.text)
    folder = model_folder(tmp_path / name)
    model = transformers.AutoModelForMaskedLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(XbenchError, match="pickles"):
        find_model(str(folder), Catalogue.installed().registry)
    exec(compile(block.text, block.document, "exec", dont_inherit=True), {})
    converted = find_model(str(tmp_path / name.split("/")[1]), Catalogue.installed().registry)
    assert set(converted.identity["weights"]) == {"model.safetensors"}
    shutil.rmtree(folder)


def test_every_python_block_is_executed() -> None:
    assert {block.document for block in blocks("python")} == WITH_PYTHON
    assert len(blocks("python", "", "docs/encoders.md")) == 1


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_and_files(document: str) -> None:
    text = read(document)
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert "://" in link or ((ROOT / document).parent / link).exists(), link
    for file in re.findall(r"`((?:harness|plugins|tasks|tests|docs)/[\w./-]*)`", text):
        # the encoder is built, not written: its folder may not be there yet
        assert (ROOT / file).exists() or file.endswith("clones/encoder/"), file


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if d.startswith("docs/")])
def test_modules_are_where_the_pages_say(document: str) -> None:
    for file in set(re.findall(r"`([\w/]+\.py)`", read(document))) - SHOWN:
        assert (ROOT / file).exists() or list((ROOT / "harness/xbench").rglob(file)), file


@pytest.mark.parametrize("document", DOCUMENTS)
def test_options_exist(document: str) -> None:
    known = set(OTHERS)
    with click.Context(group) as parent:
        for name in COMMANDS:
            command = group.get_command(parent, name)
            assert command is not None
            below = command.commands.values() if isinstance(command, click.Group) else ()
            for parameter in (each for one in (command, *below) for each in one.params):
                known |= {*parameter.opts, *parameter.secondary_opts}
    code = " ".join(re.findall(r"`([^`\n]*)`", read(document)))
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", code)) <= known


def test_the_table_of_modules_is_the_rule() -> None:
    rule = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"][0]
    layers = [set(re.split(r"\s*[|:]\s*", layer)) for layer in rule["layers"]]
    table = read("docs/architecture.md").partition("| line | modules |")[2].partition("\n\n")[0]
    rows = [set(re.findall(r"`(\w+)`", row)) for row in table.splitlines()]
    assert [row for row in rows if row] == [layer - {"__main__"} for layer in layers]


def test_the_page_of_the_store_has_all_kinds_of_stages() -> None:
    layout = blocks("text", "", "docs/store.md")[0].text
    assert re.findall(r"^  (\w+)/KEY/", layout, re.MULTILINE)[: len(STAGES)] == list(STAGES)
    for kind in STAGES:
        assert kind in blocks("text", "", "docs/architecture.md")[0].text


def test_the_page_of_the_store_has_the_numbers_and_choices() -> None:
    text = " ".join(read("docs/store.md").split())
    assert HEARTBEAT == 10
    assert "every ten seconds" in text
    assert f"silent for {DEAD_AFTER:.0f} seconds" in text
    options = {option.name: option for option in map(_option, COMPUTE_OPTIONS)}
    assert f"every {options['save_state'].default:.0f} seconds" in text
    keep = options["keep"]
    rows = re.findall(r"^\| `(\w+)`( \(default\))? \|", read("docs/store.md"), re.MULTILINE)
    assert isinstance(keep.type, click.Choice)
    assert [name for name, _ in rows] == list(keep.type.choices)
    assert [name for name, default in rows if default] == [keep.default]


def _option(decorate: Any) -> click.Option:
    made = click.command()(decorate(lambda **values: None)).params[0]
    assert isinstance(made, click.Option)
    return made


def test_the_page_of_the_store_quotes_its_messages(tmp_path: Path) -> None:
    text = read("docs/store.md")
    (tmp_path / MARKER).write_text(f'{{"format": {FORMAT + 1}}}')
    with pytest.raises(XbenchError) as newer:
        Store(tmp_path).check_format()
    (tmp_path / MARKER).write_text("{")
    with pytest.raises(XbenchError) as damaged:
        Store(tmp_path).check_format()
    quotes = re.findall(r'^- \*"(.*?)"\*', text, re.MULTILINE)
    assert quotes[0] in str(newer.value)
    assert quotes[1] in str(damaged.value)
    sources = "".join(path.read_text() for path in (ROOT / "harness/xbench").rglob("*.py"))
    assert all(quote in sources for quote in quotes[2:])


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", PARTS)
def test_generated_parts_are_up_to_date(generator: ModuleType, name: str) -> None:
    file, make = generator.PARTS[name]
    text = read(file)
    assert generator.with_part(text, name, make()) == text, "out of date: make docs"


def test_every_generated_part_is_checked(generator: ModuleType) -> None:
    assert list(generator.PARTS) == PARTS


def test_a_stale_part_is_replaced(generator: ModuleType) -> None:
    text = "a\n<!-- generated: x -->\nold\n<!-- end of x -->\nb"
    assert "new" in generator.with_part(text, "x", "new")
    assert "old" not in generator.with_part(text, "x", "new")
    with pytest.raises(ValueError, match="missing"):
        generator.with_part("no markers", "x", "new")


def test_versions_agree() -> None:
    version = xbench.__version__
    project = tomllib.loads(read("pyproject.toml"))["project"]
    citation = yaml.safe_load(read("CITATION.cff"))
    assert project["version"] == citation["version"] == version
    assert f"## [{version}]" in read("CHANGELOG.md")
    assert project["license"] == citation["license"]

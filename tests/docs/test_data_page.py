"""docs/data.md: every source has a section, and reads the files that the section shows."""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from xbench.api import MissingData, Source
from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.registry import load_registry, registry_path
from xbench.catalogue.registry.reading import read_registry

from ..real import folder
from .data_folder import write_file
from .pages import FENCE, Block, blocks, sections

PAGE = "docs/data.md"
# What is read of each source, as its section shows it: languages and split.
READS: dict[str, list[tuple[tuple[str, ...], str]]] = {
    "bitext": [(("deu", "eng"), "train")],
    "opus": [(("deu", "eng"), "train")],
    "universal-dependencies": [(("eng",), "train"), (("deu",), "test")],
    "sib200": [(("deu",), "train"), (("deu",), "dev"), (("deu",), "test")],
    "flores200": [(("deu", "eng"), "test")],
    "ntrex128": [(("eng", "deu"), "test")],
    "tatoeba": [(("deu", "eng"), "test")],
    "wikiann": [(("eng",), "train"), (("eng",), "dev"), (("deu",), "test")],
    "xnli": [(("eng",), "train"), (("deu",), "dev"), (("deu",), "test")],
    "pawsx": [(("eng",), "train"), (("deu",), "dev"), (("deu",), "test")],
    "masakhaner2": [(("swh",), "test")],
    "kaznerd": [(("kaz",), "dev"), (("kaz",), "test")],
    "muse": [(("deu", "eng"), "train"), (("deu", "eng"), "test")],
    "apertium": [(("eng", "kaz"), "train"), (("kaz", "eng"), "train")],
}


def section_of(source: str) -> str:
    """The text of the section whose heading names the source."""
    found = [text for heading, text in sections(PAGE).items() if f"`{source}`" in heading]
    assert len(found) == 1, f"{PAGE} has {len(found)} sections for the source {source}"
    return found[0]


def opened(source: str, place: Path) -> Source:
    made: Source = Catalogue.installed().load("sources", source)(place)
    return made


def fingerprinted(source: Source, codes: Sequence[str], split: str) -> set[str]:
    """The files that a reading takes, after it has given something."""
    languages = [Catalogue.installed().languages.get(code) for code in codes]
    assert next(iter(source.read(languages, split)), None) is not None
    return {file["name"] for file in source.fingerprint(languages, split)["files"]}


def shown_in(section: str) -> list[list[str]]:
    """The files of each block of a section."""
    found = FENCE.finditer(section)
    return [match[3].split() for match in found if (match[1], match[2]) == ("text", "files")]


def test_every_source_has_a_section() -> None:
    plugins = [
        plugin for plugin in Catalogue.installed().discovery.table if plugin.kind == "sources"
    ]
    own = [plugin for plugin in plugins if plugin.distribution == "xbench"]
    for plugin in own:
        section_of(plugin.name)
    assert {plugin.name for plugin in own if plugin.load().needs_place} == set(READS)


@pytest.mark.parametrize("name", READS)
def test_a_source_reads_the_files_that_its_section_shows(name: str, tmp_path: Path) -> None:
    variants = shown_in(section_of(name))
    assert variants
    for number, files in enumerate(variants):
        root = tmp_path / str(number)
        for file in files:
            write_file(root, file)
        source = opened(name, root)
        taken = set().union(*(fingerprinted(source, *what) for what in READS[name]))
        assert taken == set(files)


def test_sources_read_real_files() -> None:
    """A data folder need not have them all."""
    place = folder("XBENCH_DATA")
    found = []
    for name, reads in READS.items():
        source = opened(name, place)
        for codes, split in reads:
            with suppress(MissingData):
                found.append(fingerprinted(source, codes, split))
    assert found
    assert all(found)


@pytest.mark.parametrize("name", READS)
def test_what_a_section_says_of_the_hub_and_the_licence_is_so(name: str) -> None:
    section = section_of(name)
    dataset = load_registry().datasets.get(name)
    reads_hub = Catalogue.installed().load("sources", name).reads_hub
    assert ("On the hub:" in section) == reads_hub
    assert "icence" in section
    if dataset is not None:
        if reads_hub:
            assert f"`{dataset.hub_id}`" in section
        stated = re.findall(r"CC BY[-A-Z]* [\d.]+(?: FR)?|Apache-2.0", dataset.licence)
        flat = " ".join(section.split())
        assert all(licence in flat for licence in stated), stated


@pytest.mark.parametrize("block", blocks("yaml", "registry"))
def test_a_registry_of_ones_own(block: Block, tmp_path: Path) -> None:
    overlay = tmp_path / "xbench-registry.yaml"
    overlay.write_text(block.text, encoding="utf-8")
    before, after = (read_registry(registry_path(), files) for files in ((), (overlay,)))
    assert after.files[-1] == overlay
    changed = {
        part for part in ("suites", "languages") if getattr(before, part) != getattr(after, part)
    }
    assert changed == set(re.findall(r"^(\w+):", block.text, re.MULTILINE))


def test_the_sources_of_the_examples_take_their_options() -> None:
    for block in blocks("yaml", "registry", PAGE):
        for name, options in re.findall(r"source: (\S+)\n +options: \{(\w+):", block.text):
            assert options in Catalogue.installed().load("sources", name).defaults


def test_gaps_are_gaps() -> None:
    languages = load_registry().languages
    assert "universal-dependencies" not in languages["kas_Deva"].resources
    assert not {"ntrex128", "tatoeba"} & set(languages["kas_Deva"].resources)
    assert "muse" not in languages["kaz"].resources
    assert "apertium-eng-kaz" in languages["kaz"].stand_in["muse"]
    assert languages["hin"].resources["universal-dependencies"] == "UD_Hindi-PUD"
    assert languages["zho"].resources["universal-dependencies"] == "UD_Chinese-GSDSimp"


def test_the_guarded_sets_are_those_of_the_page() -> None:
    guard = load_registry().suites["paper"].guard
    (text,) = re.findall(r"\*guards\* the test sets of (.*?):", " ".join(page().split()))
    assert re.findall(r"`([\w-]+)`", text) == [binding.source for binding in guard]


def page() -> str:
    return (Path(__file__).parents[2] / PAGE).read_text(encoding="utf-8")

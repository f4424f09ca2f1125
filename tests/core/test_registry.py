"""The registry: what it must hold, overlays, and errors that name file, line and field."""

import copy
import random
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from xbench.catalogue.registry import load_registry, registry_path, sources
from xbench.catalogue.registry.reading import read_registry
from xbench.catalogue.registry_files import merge
from xbench.errors import XbenchError
from xbench.files import documentation

REGISTRY = load_registry(registry_path())
STUDY_LANGUAGES = {
    *("deu", "eng", "kaz", "kor", "jpn", "hin", "zho"),
    *("spa", "rus", "lit", "kas_Deva", "fra", "bul", "heb"),
}


def overlay(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def error_of(folder: Path, text: str) -> str:
    with pytest.raises(XbenchError) as caught:
        read_registry(registry_path(), [overlay(folder, text)])
    return str(caught.value)


def test_the_study_is_there() -> None:
    paper = REGISTRY.suite("paper")
    assert set(paper.languages) == STUDY_LANGUAGES
    assert paper.pairs == ("deu-eng", "eng-kaz", "jpn-kaz", "kaz-kor")
    groups = paper.retrieval_groups
    assert list(groups) == [f"G{number}" for number in range(1, 8)]
    pairs = [pair for group in groups.values() for pair in group.pairs]
    assert len(pairs) == len(set(pairs)) == 26
    assert {code for pair in pairs for code in pair.split("-")} == STUDY_LANGUAGES


def test_every_setting_of_the_paper_suite_has_a_source() -> None:
    paper = REGISTRY.suite("paper")
    for part in (paper.align, paper.finetune):
        stated = sources(part)
        assert stated
        for name, source in stated.items():
            assert source.startswith(("paper", "code", "reconstruction")), name


def test_no_revision_is_invented() -> None:
    for entry in (*REGISTRY.models.values(), *REGISTRY.datasets.values()):
        assert entry.revision is None or len(entry.revision) == 40


def test_what_the_data_sets_lack_stays_missing() -> None:
    languages = REGISTRY.languages
    assert "muse" not in languages["kaz"].resources
    assert "apertium" in languages["kaz"].stand_in["muse"]
    assert "universal-dependencies" not in languages["kas_Deva"].resources
    known = {*REGISTRY.datasets, "bitext"}
    for language in languages.values():
        assert set(language.resources) <= known


def test_published_values_are_numbers_in_range() -> None:
    for table in REGISTRY.published.values():
        values = [value for row in table.rows for value in row[2:] if value is not None]
        assert values
        assert all(0 < float(value) <= table.scale for value in values)


def test_an_overlay_adds_and_changes_by_name(tmp_path: Path) -> None:
    path = overlay(
        tmp_path,
        "models:\n  mine: {hub_id: me/mine}\n"
        "suites:\n  paper:\n    align:\n      steps: 10\n    seeds: [1]\n",
    )
    registry = read_registry(registry_path(), [path])
    assert registry.models["mine"].hub_id == "me/mine"
    assert registry.suite("paper").align["steps"] == 10
    assert registry.suite("paper").align["batch_size"]["value"] == 32
    assert registry.suite("paper").seeds == (1,)
    assert registry.files == (registry_path(), path)


def test_an_overlay_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "models:\n  mine: {hub_id: me/mine}\n"
    monkeypatch.chdir(tmp_path)
    assert "mine" not in load_registry().models
    (tmp_path / "xbench-registry.yaml").write_text(text)
    assert "mine" in load_registry().models
    monkeypatch.setenv("XBENCH_REGISTRY", str(overlay(tmp_path, text.replace("mine:", "ours:"))))
    assert "ours" in load_registry().models
    assert "mine" not in load_registry().models
    monkeypatch.setenv("XBENCH_REGISTRY", str(tmp_path / "nowhere.yaml"))
    with pytest.raises(XbenchError, match="not there"):
        load_registry()


def test_errors_name_file_line_and_field(tmp_path: Path) -> None:
    unknown = error_of(tmp_path, "models:\n  mine:\n    hub_id: me/mine\n    revison: x\n")
    assert f"{tmp_path / 'mine.yaml'}:4: models.mine.revison: unknown field" in unknown
    assert "did you mean 'revision'" in unknown
    wrong = error_of(tmp_path, "suites:\n  paper:\n    seeds: [1,\n      two]\n")
    assert "mine.yaml:4: suites.paper.seeds.1:" in wrong
    setting = error_of(tmp_path, "suites:\n  paper:\n    align: {stepps: 3}\n")
    assert "mine.yaml" in setting
    assert "did you mean 'steps'" in setting.lower()
    twice = error_of(tmp_path, "models:\n  mine: {hub_id: a/b}\n  mine: {hub_id: c/d}\n")
    assert "mine.yaml:3: 'mine' is there twice, first on line 2" in twice
    broken = error_of(tmp_path, "models:\n  mine: {hub_id: a/b\n")
    assert "mine.yaml:" in broken
    assert "not valid YAML" in broken
    assert "a registry is a mapping" in error_of(tmp_path, "- a list\n")
    missing = error_of(tmp_path, "suites:\n  new:\n    model: mini-encoder\n")
    assert "mine.yaml:2: suites.new" in missing
    assert "missing" in missing


def leaves(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict) and value:
        return [leaf for name, below in value.items() for leaf in leaves(below, (*place, name))]
    return [place]


CONTENT = yaml.safe_load(registry_path().read_text(encoding="utf-8"))
# Free-form places: what a source's options or a setting's value may hold is not the registry's.
FREE = ("align", "finetune", "evaluate", "options", "config")
LEAVES = [leaf for leaf in leaves(CONTENT) if not set(leaf) & set(FREE)]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(LEAVES) - 1))
def test_a_wrong_type_anywhere_is_an_error_with_file_and_line(
    tmp_path_factory: pytest.TempPathFactory, index: int
) -> None:
    folder = tmp_path_factory.mktemp("registry")
    content = copy.deepcopy(CONTENT)
    *above, last = LEAVES[index]
    node = content
    for part in above:
        node = node[part]
    node[last] = {"not": ["of", "this", "type"]}
    path = folder / "registry.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    with pytest.raises(XbenchError) as caught:
        load_registry(path)
    first = str(caught.value).splitlines()[0]
    assert first.startswith(f"{path}:")
    assert first.removeprefix(f"{path}:").split(":")[0].isdigit()


def test_merging_keeps_what_is_not_mentioned() -> None:
    stream = random.Random(0)
    names = "abcdef"
    for _ in range(50):
        below = {n: {m: stream.random() for m in stream.sample(names, 3)} for n in names}
        above = {n: dict.fromkeys(stream.sample(names, 2), -1) for n in stream.sample(names, 2)}
        merged = merge(below, above)
        for name, values in below.items():
            for inner, value in values.items():
                wanted = above.get(name, {}).get(inner, value)
                assert merged[name][inner] == wanted


def test_a_setting_with_its_source_is_replaced_whole() -> None:
    below = {"steps": {"value": 6000, "source": "paper"}}
    assert merge(below, {"steps": 10}) == {"steps": 10}
    mine = {"steps": {"value": 5, "source": "mine"}}
    assert merge(below, mine) == mine


def test_the_registry_ships_in_the_wheel() -> None:
    pyproject = registry_path().parent / "pyproject.toml"
    if not pyproject.is_file():
        pytest.skip("not a source checkout: the wheel has been built")
    build = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["force-include"]["registry.yaml"] == "xbench/registry.yaml"


def test_the_page_that_messages_name_ships_in_the_wheel_and_is_there() -> None:
    page = documentation("data.md")
    assert page.is_file()
    pyproject = registry_path().parent / "pyproject.toml"
    if not pyproject.is_file():
        pytest.skip("not a source checkout: the wheel has been built")
    build = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"]["force-include"]["docs/data.md"] == "xbench/docs/data.md"
    assert page == pyproject.parent / "docs" / "data.md"

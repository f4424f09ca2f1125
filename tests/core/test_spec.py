import math
from pathlib import Path

import pytest

from xbench.errors import UnknownName, XbenchError
from xbench.spec.request import RunSpec, make_spec, parse_options, read_spec


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 0.1),
        ("2e-5", 2e-5),
        ("1E3", 1000.0),
        (".5e1", 5.0),
        ("7", 7),
        ("true", True),
        ("null", None),
        ("cosine", "cosine"),
        ("nan", "nan"),  # a word, as long as nobody writes YAML's own .nan
        ("infinity", "infinity"),
        ("[1, 2]", [1, 2]),
        ("a=b", "a=b"),
    ],
)
def test_the_value_of_an_option_is_yaml(text: str, value: object) -> None:
    (parsed,) = parse_options((f"objective.x={text}",)).values()
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize("text", ["objective.temperature", "=3", "a.b=[1"])
def test_a_malformed_option_says_so(text: str) -> None:
    with pytest.raises(XbenchError, match=rf"-O {text}".replace("[", r"\[")):
        parse_options((text,))


@pytest.mark.parametrize(
    "values",
    [
        {"seed": "15, 33", "task": "pos,topic"},
        {"seed": ["15", 33], "task": ["pos", "topic"]},
    ],
)
def test_lists_may_be_written_with_commas(values: dict[str, object]) -> None:
    spec = make_spec(values, "x")
    assert spec.seed == (15, 33)
    assert spec.task == ("pos", "topic")


def test_a_single_number_is_a_list_of_one() -> None:
    assert make_spec({"seed": 7}, "x").seed == (7,)


@pytest.mark.parametrize("seed", [-1, "x", 1.5, 2**63])
def test_a_seed_is_a_number_that_generators_take(seed: object) -> None:
    with pytest.raises(XbenchError, match="x: seed"):
        make_spec({"seed": seed}, "x")


def test_a_misspelt_field_comes_with_a_suggestion() -> None:
    with pytest.raises(UnknownName, match=r"my\.yaml: 'objctive'\. Did you mean 'objective'"):
        make_spec({"objctive": "hictl"}, "my.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"suite: [", "not valid YAML"),
        (b"suite: mini\n\ttask: pos", "not valid YAML"),
        (b"- a\n- b\n", "a spec is a mapping"),
        (b"just text", "a spec is a mapping"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b"seed: {a: 1}", "seed"),
        (b"align: 3", "align"),
        (b"align: {1: 2}", "align"),
        (b"objective: {hictl: S1W0M0}", "objective"),
        (b"suite: [mini]", "suite"),
        (b"1: 2", "Unknown option"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "my-spec.yaml"
    path.write_bytes(content)
    with pytest.raises(XbenchError) as error:
        read_spec(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)


def test_a_spec_that_is_not_there_or_is_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.yaml"):
        with pytest.raises(XbenchError, match="cannot be read"):
            read_spec(path)


def test_an_empty_file_asks_for_the_default_suite(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    assert read_spec(tmp_path / "empty.yaml") == RunSpec()


def test_yaml_gives_back_what_was_written(tmp_path: Path) -> None:
    spec = make_spec(
        {
            "objective": {"hictl": {"S1W0M0": {"temperature": 1e-05, "depth": 2 / 3}}},
            "align": {"learning_rate": 2e-05, "steps": 10**16},
            "data": "/daten/größe",
            "seed": [3, 2],
        },
        "x",
    )
    (tmp_path / "spec.yaml").write_text(spec.to_yaml(), encoding="utf-8")
    again = read_spec(tmp_path / "spec.yaml")
    assert again == spec
    assert math.isclose(again.align["learning_rate"], 2e-05, rel_tol=0)

"""However an option is written (a flag, -O, YAML by section or by dotted name), it means the same."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.settings import PHASES
from xbench.cli.commands.run import command
from xbench.cli.options import COMPUTE, spec_from
from xbench.spec.request import ResolvedSpec
from xbench.spec.resolve import resolve

HERE = Catalogue.installed()
HICTL = HERE.load("objectives", "hictl")
VARIANTS = ("S1W0M0", "S0W1M0", "S1W1M1")
SCOPES = ((), ("full",), ("linear",), ("pos",), ("topic",), ("pos", "full"), ("topic", "linear"))
FLAGS = {
    "finetune.max_train": "max-train",
    "evaluate.max_items": "max-test",
    "finetune.epochs": "epochs",
    "finetune.steps": "max-steps",
    "finetune.selection": "selection",
}
MATRIX: dict[str, Any] = {
    "task": st.permutations(["pos", "topic"]),
    "pair": st.sets(st.sampled_from(["qab-qaa", "qaa-qac", "qae-qac"]), min_size=1).map(sorted),
    "arm": st.sets(st.sampled_from(["none", "aligned", "shuffled", "mlm"]), min_size=1).map(sorted),
    "mode": st.sampled_from([["full"], ["linear"], ["linear", "full"]]),
    "seed": st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=3),
    "align_seed": st.lists(st.integers(0, 99), min_size=1, max_size=3),
    "align_step": st.lists(st.integers(1, 5), min_size=1, max_size=3),
    "language": st.permutations(["qaa", "qab", "qac", "qaj"]),
    "model": st.just("mini-encoder"),
    "device": st.sampled_from(["auto", "cpu", "cuda:1"]),
}
Write = Callable[["Sheet", Any], None]


@dataclass
class Sheet:
    """What a user has written: arguments, and a spec in YAML."""

    arguments: list[str]
    yaml: dict[str, Any]

    def flag(self, name: str, value: Any) -> None:
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        self.arguments += [f"--{name.replace('_', '-')}", text]

    def option(self, name: str, value: Any) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        self.arguments += ["-O", f"{name}={text}"]

    def field(self, name: str, value: Any) -> None:
        self.yaml[name] = value

    def commas(self, name: str, value: Any) -> None:
        self.yaml[name] = ",".join(map(str, value)) if isinstance(value, list) else value

    def section(self, name: str, value: Any) -> None:
        *path, last = name.split(".")
        node = self.yaml
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value

    def written_option(self, name: str, value: Any) -> None:
        self.yaml.setdefault("options", {})[name] = value

    def resolve(self, path: Path) -> ResolvedSpec:
        # JSON is YAML; and 2e-05, which YAML takes for text, is what people write.
        path.write_text(json.dumps(self.yaml))
        values = command.make_context("run", [str(path), *self.arguments]).params
        return resolve(
            spec_from(
                {
                    n: v
                    for n, v in values.items()
                    if n not in (*COMPUTE, "store", "report", "dry_run")
                }
            ),
            HERE,
        )


def values_of(schema: Mapping[str, Any]) -> st.SearchStrategy[Any] | None:
    """Values that a JSON schema allows; None where it leaves them open (a name, a mapping)."""
    if "anyOf" in schema:
        parts = [values_of(part) for part in schema["anyOf"]]
        return st.one_of([part for part in parts if part is not None])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema.get("type")
    if kind == "boolean":
        return st.booleans()
    if kind == "null":
        return st.none()
    low = schema.get("exclusiveMinimum", schema.get("minimum", 0))
    high = schema.get("exclusiveMaximum", schema.get("maximum", 1000))
    if kind == "integer":
        return st.integers(int(low) + 1, int(high))
    if kind == "number":
        open_ends = {"exclude_min": "exclusiveMinimum" in schema, "exclude_max": True}
        return st.floats(low, high, allow_nan=False, **open_ends)
    return None


def settings_of(kind: Any, skip: tuple[str, ...] = ()) -> dict[str, st.SearchStrategy[Any]]:
    """A strategy for every field of a dataclass whose values can be drawn."""
    schema = TypeAdapter(kind).json_schema()
    fields = {name: values_of(field) for name, field in schema["properties"].items()}
    return {n: found for n, found in fields.items() if found is not None and n not in skip}


# No shorter than the largest align_step; and of steps and epochs the one that comes later counts.
ALIGN = settings_of(PHASES["align"]) | {"steps": st.integers(5, 900)}
FINETUNE = settings_of(PHASES["finetune"], skip=("epochs",)) | {"steps": st.integers(1, 900)}
EVALUATE = settings_of(PHASES["evaluate"])
OBJECTIVE = settings_of(HICTL.Config, skip=("sentence", "word", "mlm"))


def ways(name: str, value: Any) -> list[Write]:
    """All ways to write the setting of this dotted name; no flag can say null."""
    found: list[Write] = [
        lambda sheet, value: sheet.option(name, value),
        lambda sheet, value: sheet.section(name, value),
        lambda sheet, value: sheet.written_option(name, value),
    ]
    if name in FLAGS and value is not None:
        found.append(lambda sheet, value: sheet.flag(FLAGS[name], value))
    return found


def matrix_ways(name: str) -> list[Write]:
    """All ways to write a part of the matrix."""
    return [
        lambda sheet, value: sheet.flag(name, value),
        lambda sheet, value: sheet.field(name, value),
        lambda sheet, value: sheet.commas(name, value),
    ]


@st.composite
def written_twice(draw: st.DrawFn) -> tuple[Sheet, Sheet, dict[str, Any]]:
    """The same options in two ways, and the value of each by its dotted name."""
    sheets = Sheet([], {}), Sheet([], {})
    chosen: dict[str, Any] = {}

    def write(name: str, value: Any, possible: list[Write]) -> None:
        chosen[name] = value
        for sheet in sheets:
            draw(st.sampled_from(possible))(sheet, value)

    for name in draw(st.sets(st.sampled_from(sorted(MATRIX)), max_size=4)):
        write(name, draw(MATRIX[name]), matrix_ways(name))
    for phase, strategies in (("align", ALIGN), ("finetune", FINETUNE), ("evaluate", EVALUATE)):
        for name in draw(st.sets(st.sampled_from(sorted(strategies)), max_size=4)):
            scope = draw(st.sampled_from(SCOPES)) if phase == "finetune" else ()
            dotted = ".".join((phase, *scope, name))
            value = draw(strategies[name])
            write(dotted, value, ways(dotted, value))
    return *sheets, chosen


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ways") / "spec.yaml"


@settings(max_examples=200, deadline=None)
@given(written_twice())
def test_every_way_resolves_to_the_same_spec(
    path: Path, written: tuple[Sheet, Sheet, dict[str, Any]]
) -> None:
    first, second, chosen = written
    for sheet in (first, second):
        sheet.flag("objective", "hictl:S1W0M0")
        if "task" not in chosen:
            sheet.flag("task", "pos,topic")
    spec = first.resolve(path)
    assert spec == second.resolve(path)
    for name, value in chosen.items():
        assert_arrived(spec, name, value)


def assert_arrived(spec: ResolvedSpec, name: str, value: Any) -> None:
    """The value stands in the resolved spec wherever it applies."""
    phase, *scope, last = name.split(".") if "." in name else ("", name)
    if phase in ("align", "evaluate"):
        assert getattr(getattr(spec, phase), last) == value
    elif phase == "finetune":
        for task, modes in spec.finetune.items():
            for mode, found in modes.items():
                if {*scope} <= {task, mode}:
                    assert getattr(found, last) == value
    elif name == "arm":
        assert set(spec.arm) == {"aligned" if arm == "mlm" else arm for arm in value}
    elif name == "align_step":
        assert spec.align_step == tuple(sorted(set(value)))
    elif isinstance(value, list):
        assert set(map(str, getattr(spec, name))) == set(map(str, value))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_an_objective_and_its_settings_in_every_way(path: Path, data: st.DataObject) -> None:
    variants = data.draw(st.lists(st.sampled_from(VARIANTS), min_size=1, unique=True))
    names = data.draw(st.sets(st.sampled_from(sorted(OBJECTIVE)), min_size=1, max_size=3))
    config = {name: data.draw(OBJECTIVE[name]) for name in sorted(names)}
    flag, listed, mapped = Sheet([], {}), Sheet([], {}), Sheet([], {})
    flag.flag("objective", f"hictl:{','.join(variants)}")
    listed.field("objective", [f"hictl:{variants[0]}", *variants[1:]])
    mapped.field("objective", {"hictl": dict.fromkeys(variants, config)})
    for name, value in config.items():
        flag.option(f"objective.{name}", value)
        listed.written_option(f"objective.{name}", value)
    expected = flag.resolve(path)
    assert listed.resolve(path) == expected
    assert mapped.resolve(path) == expected
    assert isinstance(expected.objective, dict)
    assert list(expected.objective["hictl"]) == variants
    for found in expected.objective["hictl"].values():
        assert {name: found[name] for name in config} == config


def test_what_is_typed_wins_over_the_file(path: Path) -> None:
    """Of two ways at once the command line counts, and of two budgets the one that comes later."""
    sheet = Sheet([], {"seed": [1], "finetune": {"epochs": 3}, "options": {"align.steps": 7}})
    sheet.flag("seed", 2)
    sheet.flag("max-steps", 9)
    sheet.option("align.steps", 8)
    spec = sheet.resolve(path)
    assert spec.seed == (2,)
    assert spec.align.steps == 8
    found = spec.finetune["pos"]["full"]
    assert (found.steps, found.epochs) == (9, None)

"""Test items that were trained on are counted, in every kind of task, and change nothing else."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from xbench.api import LabelledText, Language, Source, TaggedSentence
from xbench.plan.artefacts import PREDICTIONS
from xbench.stages.inputs.contamination import learnt_from, overlap
from xbench.stages.inputs.examples import load_examples, sample

from .. import toys
from ..toys import World

Worlds = Callable[..., World]
LONG = {"shortest": 6, "longest": 12}
LEAKED = (0, 3, 4)


def leak(source: type[Source], monkeypatch: pytest.MonkeyPatch) -> None:
    """Three test items, whatever their language, are training items in capitals."""
    read = source.read

    def leaking(self: Any, languages: Sequence[Language], split: str) -> Iterator[Any]:
        records = list(read(self, languages, split))
        if split == "test":
            train = list(read(self, [Language("aaa", "source", "Latn")], "train"))
            for place in LEAKED:
                records[place] = _in_capitals(train[2 * place])
        yield from records

    monkeypatch.setattr(source, "read", leaking)


def _in_capitals(record: Any) -> Any:
    if isinstance(record, TaggedSentence):
        return TaggedSentence(tuple(w.upper() for w in record.words), record.tags, id=record.id)
    return LabelledText(f"“{record.text.upper()}”", record.label, id=record.id)


def counted(world: World, **spec: Any) -> Mapping[str, Any]:
    plan = world.plan(**{"arm": ("none",), **spec})
    (parent,), (stage,) = (
        [plan.stages[key] for key in plan.of_kind(kind)] for kind in ("finetune", "evaluate")
    )
    world.run(parent)
    result: dict[str, Any] = json.loads(
        (world.run(stage, parent=parent) / "result.json").read_text()
    )
    return result


@pytest.mark.parametrize("mode", ["full", "linear"])
@pytest.mark.parametrize(("task", "source"), [("tags", toys.Tagged), ("topics", toys.Topical)])
def test_known_items_are_counted(
    task: str, source: type[Source], mode: str, new_world: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {"task": (task,), "mode": (mode,)}
    assert counted(new_world(data=LONG), **spec)["overlap"] == 0
    leak(source, monkeypatch)
    assert counted(new_world(data=LONG), **spec)["overlap"] == len(LEAKED)


def test_an_item_of_several_rows_counts_once(
    new_world: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    leak(toys.Tagged, monkeypatch)
    assert counted(new_world(data=LONG), finetune={"max_length": 8})["overlap"] == len(LEAKED)


def test_only_items_that_are_tested_count(
    new_world: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    leak(toys.Tagged, monkeypatch)
    tested = sample(range(24), 12)
    expected = len(set(tested) & set(LEAKED))
    assert 0 < expected < len(LEAKED)
    assert counted(new_world(data=LONG), evaluate={"max_items": 12})["overlap"] == expected


def test_only_items_that_are_trained_on_count(
    new_world: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    leak(toys.Tagged, monkeypatch)
    world = new_world(data=LONG)
    chosen = sampled(world, 12)
    expected = sum(f"train-{2 * place}-é" in chosen for place in LEAKED)
    assert counted(world, finetune={"max_train": 12})["overlap"] == expected
    assert expected < len(LEAKED)


def sampled(world: World, count: int) -> set[str]:
    stage = world.stage("finetune", arm=("none",), finetune={"max_train": count})
    resources = world.resources()
    limits = {"max_length": 40, "max_items": count}
    return set(load_examples(stage, resources, resources.tokenizer(stage), "train", limits).names())


def test_texts_that_are_too_short_to_tell_are_not_counted(
    new_world: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    leak(toys.Tagged, monkeypatch)
    assert counted(new_world(data={"longest": 4}))["overlap"] == 0


def test_training_texts_are_read_once_per_job(
    new_world: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = new_world(data=LONG)
    plan = world.plan(arm=("none",), language=("aaa", "bbb"))
    (parent,) = (plan.stages[key] for key in plan.of_kind("finetune"))
    resources = world.resources()
    world.run(parent, resources)
    first = learnt_from(parent, resources)
    assert len(first) == 24
    assert learnt_from(parent, resources) is first
    reads: list[str] = []
    read = toys.Tagged.read

    def noted(self: Any, languages: Sequence[Language], split: str) -> Iterator[Any]:
        reads.append(split)
        return read(self, languages, split)

    monkeypatch.setattr(toys.Tagged, "read", noted)
    for key in plan.of_kind("evaluate"):
        world.run(plan.stages[key], resources, parent)
    assert reads == ["test", "test"]


def test_of_a_pair_both_texts_must_be_known() -> None:
    class Items:
        def __init__(self, *items: set[bytes]) -> None:
            self.items = items

        def digests(self) -> Iterator[set[bytes]]:
            return iter(self.items)

    known = frozenset({b"premise", b"hypothesis"})
    pairs = Items({b"premise", b"hypothesis"}, {b"premise", b"new"}, {b"premise"}, set(), {b"new"})
    assert overlap(pairs, known) == 2  # type: ignore[arg-type]


def test_predictions_do_not_change(new_world: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    def folder_of(world: World) -> Path:
        plan = world.plan(arm=("none",))
        parent, stage = (plan.stages[plan.of_kind(kind)[0]] for kind in ("finetune", "evaluate"))
        world.run(parent)
        return world.run(stage, parent=parent)

    expected = (folder_of(new_world()) / PREDICTIONS).read_bytes()
    monkeypatch.setattr("xbench.stages.evaluate.overlap", lambda examples, known: 24)
    assert (folder_of(new_world()) / PREDICTIONS).read_bytes() == expected

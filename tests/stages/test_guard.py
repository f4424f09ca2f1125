"""Sentences of guarded test sets are taken out of the alignment text, and counted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xbench.api import MissingData, ParallelText
from xbench.catalogue.registry import Binding
from xbench.stages.inputs.pairs import Corpus, PairInput, pair_table

from .. import toys
from ..toys import World

Worlds = Callable[..., World]
LEAKED = 5


@pytest.fixture
def guarded(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The suite guards the topic corpus; five of its test sentences are in the alignment text."""

    def leaking(self: Any, languages: Any, split: str) -> Any:
        first, second = (self.sentences(language, split) for language in languages)
        test = list(toys.Topical(count=8, shortest=6).sentences(languages[0], "test"))
        for index, (source, target) in enumerate(zip(first, second, strict=True)):
            text = (
                " ".join(test[index // 3]).upper()
                if index in (0, 3, 6, 9, 12)
                else " ".join(source)
            )
            yield ParallelText(text + " !", " ".join(target), id=f"pair-{index}")

    monkeypatch.setattr(toys.Bitext, "read", leaking)
    original = toys.registry

    def registry(*options: Any, **changes: Any) -> Any:
        made = original(*options, **changes)
        guard = (Binding(source="topical", options={"count": 8, "shortest": 6}),)
        suite = made.suites["toy"].model_copy(update={"guard": guard})
        return made.model_copy(update={"suites": {"toy": suite}})

    monkeypatch.setattr(toys, "registry", registry)
    return world


def result(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return content


def test_leaked_sentences_are_left_out_and_counted(guarded: World) -> None:
    settings = {"steps": 2, "batch_size": 4}
    kept = result(guarded.run(guarded.stage("align", align=settings)))
    assert kept["pairs_available"] == 24
    assert "excluded" not in kept
    stage = guarded.stage("align", align={**settings, "exclude_overlap": True})
    cleaned = result(guarded.run(stage))
    assert cleaned["pairs_available"] == 24 - LEAKED
    assert cleaned["excluded"] == {"topical": LEAKED, "tagged": 0}
    assert [entry.split for entry in stage.spec.guard] == ["test"] * 4  # both languages of either


def test_no_batch_holds_a_guarded_sentence(guarded: World) -> None:
    settings = {"steps": 40, "batch_size": 4, "exclude_overlap": True}
    stage = guarded.stage("align", align=settings)
    resources = guarded.resources()
    text = PairInput(stage.spec, stage.places.text, stage.spec.settings, has_words=False)
    table = pair_table(text, stage, resources, resources.tokenizer(stage))
    corpus = Corpus(table, text, seed=42)
    allowed = {
        tuple(table.row("source", row)) for row in range(24) if not len(table.row("guarded", row))
    }
    for step in range(40):
        assert {tuple(pair.source) for pair in corpus.batch(step)} <= allowed


def test_another_guard_is_another_key_and_no_guard_leaves_the_key_alone(
    guarded: World, new_world: Worlds
) -> None:
    without = guarded.stage("align", align={"steps": 2})
    with_guard = guarded.stage("align", align={"steps": 2, "exclude_overlap": True})
    assert without.key != with_guard.key
    assert without.spec.guard is None
    assert "exclude_overlap" not in without.to_json()["spec"]["settings"]


def test_a_guard_that_is_not_here_is_said(guarded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(self: Any, languages: Any, split: str) -> Any:
        raise MissingData("no such file")

    monkeypatch.setattr(toys.Topical, "fingerprint", gone)
    plan = guarded.plan(arm=("aligned",), align={"steps": 2, "exclude_overlap": True})
    assert set(plan.unguarded) == {"topical: aaa", "topical: bbb"}
    assert plan.gaps == {}


def test_the_runs_own_test_sets_guard_too(world: World) -> None:
    """Without a word in the suite: a treebank, pairs of texts, a retrieval."""
    align = {"steps": 2, "exclude_overlap": True}
    for task, source in (("tags", "tagged"), ("pairs", "paired"), ("finding", "bitext")):
        plan = world.plan(arm=("aligned",), task=(task,), align=align)
        (key,) = plan.of_kind("align")
        bindings = {place.source for place in plan.stages[key].places.text.guard}
        assert source in bindings, task


def test_a_tagged_sentence_is_known_by_its_text(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words of a treebank are not the words of the text: in dem, for im."""
    from dataclasses import replace

    read = toys.Tagged.read
    surface = "Sie wohnt im schönen Haus am Fluss."

    def treebank(self: Any, languages: Any, split: str) -> Any:
        for index, sentence in enumerate(read(self, languages, split)):
            yield replace(sentence, surface=surface) if index == 0 and split == "test" else sentence

    monkeypatch.setattr(toys.Tagged, "read", treebank)
    bitext = toys.Bitext.read

    def leaking(self: Any, languages: Any, split: str) -> Any:
        for index, pair in enumerate(bitext(self, languages, split)):
            yield replace(pair, source=surface.upper()) if index == 3 else pair

    monkeypatch.setattr(toys.Bitext, "read", leaking)
    align = {"steps": 2, "batch_size": 4, "exclude_overlap": True}
    stage = world.stage("align", task=("tags",), align=align)
    assert result(world.run(stage))["excluded"]["tagged"] == 1

"""Retrieval: both directions against a slow exact search, ties, samples, and mistakes."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from xbench.api import ParallelText
from xbench.api import search as search_module
from xbench.api.search import Search
from xbench.plan import Stage
from xbench.stages import retrieve
from xbench.stages.inputs.examples import sample

from ..toys import Bitext, Centre, World
from .slow import Slow

Worlds = Callable[..., World]
FINDING: dict[str, Any] = {"task": ("finding",), "arm": ("none",)}
SIMILARITIES = ("cosine", "csls", "margin")


def pairs(world: World, split: str = "test") -> list[ParallelText]:
    languages = [world.catalogue.languages.get(code) for code in ("aaa", "bbb")]
    return list(Bitext(None, **world.data).read(languages, split))


def predicted(folder: Path) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = pq.read_table(folder / "predictions.parquet").to_pydict()
    return found


def slow_scores(sources: list[Tensor], targets: list[Tensor], how: str) -> Tensor:
    """[N, M] float64, in loops."""

    def cosine(one: Tensor, two: Tensor) -> float:
        one, two = one.double(), two.double()
        return float(one @ two / (one.norm() * two.norm()))

    def around(one: Tensor, others: list[Tensor], k: int) -> float:
        nearest = sorted((cosine(one, other) for other in others), reverse=True)[:k]
        return sum(nearest) / len(nearest)

    k = {"cosine": 1, "csls": 10, "margin": 4}[how]
    of_sources = [around(each, targets, k) for each in sources]
    of_targets = [around(each, sources, k) for each in targets]
    scores = torch.zeros(len(sources), len(targets), dtype=torch.float64)
    for n, (source, r) in enumerate(zip(sources, of_sources, strict=True)):
        for m, (target, s) in enumerate(zip(targets, of_targets, strict=True)):
            value = cosine(source, target)
            every = {"cosine": value, "csls": 2 * value - r - s, "margin": 2 * value / (r + s)}
            scores[n, m] = every[how]
    return scores


def check_best(found: list[int], scores_NM: Tensor) -> None:
    """What was found has the best score, as far as float32 tells scores apart."""
    best_N = scores_NM.max(1).values
    own_N = scores_NM[torch.arange(len(scores_NM)), torch.tensor(found)]
    assert float((best_N - own_N).max()) < 1e-5
    others = (best_N[:, None] - scores_NM > 1e-5).double().mean()
    assert float(others) > 0.8, "most scores are alike: that is no test"


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_both_directions_are_a_slow_exact_search(
    similarity: str, new_world: Worlds, toy_model: Path
) -> None:
    world = new_world(data={"count": 30, "shortest": 4, "longest": 12})
    settings = {"retrieval_similarity": similarity, "batch_size": 7, "max_length": 14}
    stage = world.stage("evaluate", **FINDING, evaluate=settings)
    folder = world.run(stage)
    slow, every = Slow(toy_model), pairs(world)
    sources, targets = (
        [slow.sentence(getattr(pair, side), max_length=14) for pair in every]
        for side in ("source", "target")
    )
    table = predicted(folder)
    forward, backward = (list(places) for places in zip(*table["predicted"], strict=True))
    check_best(forward, slow_scores(sources, targets, similarity))
    check_best(backward, slow_scores(targets, sources, similarity))
    assert table["id"] == [pair.id for pair in every]
    assert table["gold"] == [[n, n] for n in range(30)]
    assert json.loads((folder / "result.json").read_text()) == {"items": 30, "labels": 60}


@pytest.mark.parametrize(("depth", "pooling"), [(0.0, "mean"), (0.5, "mean"), (1.0, "cls")])
def test_sentences_are_compared_at_the_depth_and_pooling_asked_for(
    depth: float, pooling: str, world: World, toy_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[Tensor] = []

    def nearest(queries: Tensor, candidates: Tensor, k: int, search: Search) -> Any:
        compared.append(queries)
        return search_module.nearest(queries, candidates, k, search)

    monkeypatch.setattr(retrieve, "nearest", nearest)
    settings = {"retrieval_depth": depth, "retrieval_pooling": pooling}
    world.run(world.stage("evaluate", **FINDING, evaluate=settings))
    slow = Slow(toy_model)
    for side, found in zip(("source", "target"), compared, strict=True):
        texts = [getattr(pair, side) for pair in pairs(world)]
        expected = torch.stack([slow.sentence(text, depth, pooling) for text in texts])
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


class TestItsOwnSettings:
    def test_those_of_the_alignment_play_no_part(self, world: World) -> None:
        """The untouched encoder was aligned by nothing."""
        plain = world.stage("evaluate", **FINDING)
        other = world.stage("evaluate", **FINDING, align={"max_length": 9, "precision": "bf16"})
        assert (other.key, other.spec) == (plain.key, plain.spec)

    @pytest.mark.parametrize("given", [{"max_length": 6}, {"precision": "bf16"}])
    def test_each_is_in_the_key_and_is_what_the_encoder_reads_with(
        self, given: dict[str, Any], new_world: Worlds
    ) -> None:
        world = new_world(data={"shortest": 6, "longest": 12})
        stages = [world.stage("evaluate", **FINDING, evaluate=each) for each in ({}, given)]
        assert stages[0].key != stages[1].key
        assert given.items() <= vars(stages[1].spec.settings).items()
        vectors = [vectors_of(world, stage) for stage in stages]
        assert not torch.allclose(*vectors, atol=1e-6)

    def test_a_fine_tuned_model_is_evaluated_as_it_was_fine_tuned(self, world: World) -> None:
        given = {"max_length": 9, "precision": "bf16"}
        plain, other = (world.stage("evaluate", evaluate=each) for each in ({}, given))
        assert plain.spec.finetune is not None
        assert other.key == plain.key

    def test_a_transform_is_fitted_as_its_task_is_evaluated(self, world: World) -> None:
        given = {"max_length": 9, "retrieval_depth": 0.5}
        asked = {"task": ("finding",), "arm": ("aligned",), "objective": ("centre",)}
        plan = world.plan(**asked, evaluate=given)
        (key,) = plan.of_kind("fit")
        settings = plan.stages[key].spec.settings
        assert (settings.max_length, settings.depth) == (9, 0.5)


def vectors_of(world: World, stage: Stage) -> Tensor:
    """[N, D] the source language's side, as the stage compares it."""
    compared: list[Tensor] = []

    def nearest(queries: Tensor, *arguments: Any) -> Any:
        compared.append(queries)
        return search_module.nearest(queries, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieve, "nearest", nearest)
        world.run(stage)
    return compared[0]


def test_the_score_is_the_share_of_right_ones(world: World) -> None:
    plan = world.plan(**FINDING)
    assert world.finish(plan) == ["evaluate done", "score done"]
    (evaluate,), (score,) = plan.of_kind("evaluate"), plan.of_kind("score")
    table = predicted(world.store.folder("evaluate", evaluate))
    right = [[n == f, n == b] for n, (f, b) in enumerate(table["predicted"])]
    forward, backward = (sum(each) / 24 for each in zip(*right, strict=True))
    result = world.store.result("score", score)
    assert result["n"] == 24
    assert result["scores"] == {
        "retrieval_accuracy": pytest.approx((forward + backward) / 2),
        "retrieval_forward": pytest.approx(forward),
        "retrieval_backward": pytest.approx(backward),
    }


class TestTies:
    @pytest.mark.parametrize("similarity", SIMILARITIES)
    def test_a_collapsed_encoder_finds_one_of_all(
        self, similarity: str, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """All sentences are the same: the first is what everybody finds."""
        monkeypatch.setattr(Bitext, "read", lambda *a: [ParallelText("da di", "da di")] * 20)
        settings = {"retrieval_similarity": similarity}
        folder = world.run(world.stage("evaluate", **FINDING, evaluate=settings))
        table = predicted(folder)
        assert table["predicted"] == [[0, 0]] * 20
        assert table["id"] == [str(n) for n in range(20)]

    def test_of_equal_sentences_the_first_counts(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        texts = ["da di", "bu be bo", "da di", "bi", "bu be bo"]
        monkeypatch.setattr(Bitext, "read", lambda *a: [ParallelText(t, t) for t in texts])
        settings = {"batch_size": 100}
        folder = world.run(world.stage("evaluate", **FINDING, evaluate=settings))
        first = [texts.index(text) for text in texts]
        assert predicted(folder)["predicted"] == [[n, n] for n in first]


def test_a_limit_takes_a_sample_that_all_languages_share(new_world: Worlds) -> None:
    world = new_world(data={"count": 40})
    plan = world.plan(**FINDING, language=("bbb", "ccc"), evaluate={"max_items": 9})
    world.finish(plan)
    ids = [predicted(world.store.folder("evaluate", key))["id"] for key in plan.of_kind("evaluate")]
    assert ids[0] == ids[1] == [pair.id for pair in sample(pairs(world), 9)]
    assert ids[0] != [f"pair-{n}" for n in range(9)]


def test_an_aligned_encoder_is_searched_with_its_own_weights(world: World) -> None:
    plan = world.plan(task=("finding",), arm=("none", "aligned"), align={"learning_rate": 0.01})
    world.finish(plan)
    (align,) = plan.of_kind("align")
    none, aligned = (plan.stages[key] for key in plan.of_kind("evaluate"))
    assert (none.parents, aligned.parents) == ((), (align,))
    slow = Slow(world.store.folder("align", align) / "step-12")
    every = pairs(world)
    sources, targets = (
        [slow.sentence(getattr(pair, side)) for pair in every] for side in ("source", "target")
    )
    found = predicted(world.store.folder("evaluate", aligned.key))["predicted"]
    check_best([f for f, _ in found], slow_scores(sources, targets, "cosine"))


def test_a_transform_moves_both_sides(
    world: World, toy_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def forward(self: Centre, states: Tensor, language: str) -> Tensor:
        seen.append(language)
        return states * torch.linspace(-1, 1, 16) if language == "bbb" else states

    monkeypatch.setattr(Centre, "forward", forward)
    plan = world.plan(task=("finding",), arm=("aligned",), objective=("centre",))
    world.finish(plan)
    (key,) = plan.of_kind("evaluate")
    slow, every = Slow(toy_model), pairs(world)
    sources = [slow.sentence(pair.source) for pair in every]
    targets = [slow.sentence(pair.target) * torch.linspace(-1, 1, 16) for pair in every]
    found = predicted(world.store.folder("evaluate", key))["predicted"]
    check_best([f for f, _ in found], slow_scores(sources, targets, "cosine"))
    assert sorted(seen) == ["aaa", "bbb"]


class TestMistakes:
    def stage(self, world: World) -> Stage:
        return world.stage("evaluate", **FINDING)

    def test_no_pair(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Bitext, "read", lambda *a: iter(()))
        with pytest.raises(
            ValueError, match="the test data of finding bbb on the untouched encoder"
        ):
            world.run(self.stage(world))

    def test_a_text_without_any_token_has_a_vector_all_the_same(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read = Bitext.read

        def blank(*arguments: Any) -> Iterator[ParallelText]:
            first, *rest = read(*arguments)
            yield from (replace(first, target=" "), *rest)

        monkeypatch.setattr(Bitext, "read", blank)
        found = predicted(world.run(self.stage(world)))["predicted"]
        assert len(found) == 24

    def test_an_encoder_that_has_diverged(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lost = torch.full((24, 16), torch.nan)
        monkeypatch.setattr(retrieve, "_encode", lambda *arguments: lost)
        with pytest.raises(ValueError, match="a query is not finite: the encoder has diverged"):
            world.run(self.stage(world))

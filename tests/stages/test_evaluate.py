"""Phase III: a prediction for every word of every item, and scores from the predictions alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from xbench.plan import Plan, Stage
from xbench.plan.artefacts import PREDICTIONS
from xbench.stages import finetune
from xbench.stages.inputs.examples import load_examples
from xbench.stages.resources import text_format
from xbench.stages.training.features import all_features
from xbench.stages.training.tuning import Tuned

from ..toys import TAGS, TOPICS, Tagged, Topical, World
from .test_finetune import rows_encoded

Worlds = Callable[..., World]
MODES = pytest.mark.parametrize("mode", ["full", "linear"])


def only(plan: Plan, kind: str) -> Stage:
    (key,) = plan.of_kind(kind)
    return plan.stages[key]


def evaluated(world: World, **spec: Any) -> tuple[Plan, Path]:
    """The plan, and the folder of its evaluation."""
    plan = world.plan(**{"arm": ("none",), **spec})
    parent = only(plan, "finetune")
    world.run(parent)
    return plan, world.run(only(plan, "evaluate"), parent=parent)


def predictions(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / PREDICTIONS).to_pylist()
    return rows


def one_by_one(world: World, plan: Plan, task: str) -> list[list[int]]:
    """The slow reference: each item alone, tokenised by itself, straight through the modules."""
    stage = only(plan, "finetune")
    tuned = finetune.load(stage, world.resources())
    tuned.head.eval()
    tokenizer = world.resources().tokenizer(stage)
    language = world.catalogue.languages.get("bbb")
    answers = []
    for record in (Tagged if task == "tags" else Topical)().read([language], "test"):
        if task == "tags":
            words = tokenizer.encode_words(record.words)
            ids = [0, *(piece for word in words for piece in word), 2]
            starts = [1 + sum(map(len, words[:i])) for i in range(len(words))]
        else:
            ids = [0, *tokenizer.encode_texts([record.text])[0], 2]
        tensor = torch.tensor(ids).view(1, 1, -1)
        with torch.no_grad():
            states = tuned.encoder(tensor, torch.ones_like(tensor))[-1][0, 0]
            seen = states[starts] if task == "tags" else states[1:-1].mean(0, keepdim=True)
            answers.append(tuned.head(seen).argmax(-1).tolist())
    return answers


@MODES
@pytest.mark.parametrize("task", ["tags", "topics"])
def test_predictions_are_those_of_each_item_by_itself(world: World, task: str, mode: str) -> None:
    learning = {"steps": 60, "encoder_learning_rate": 5e-3, "head_learning_rate": 0.1}
    plan, folder = evaluated(
        world, task=(task,), mode=(mode,), finetune=learning, evaluate={"batch_size": 5}
    )
    rows = predictions(folder)
    assert [row["predicted"] for row in rows] == one_by_one(world, plan, task)
    assert len({number for row in rows for number in row["predicted"]}) > 1


@MODES
def test_gold_and_ids_are_the_sources(world: World, mode: str) -> None:
    _, folder = evaluated(world, mode=(mode,))
    sentences = list(Tagged().read([world.catalogue.languages.get("bbb")], "test"))
    rows = predictions(folder)
    assert [row["id"] for row in rows] == [sentence.id for sentence in sentences]
    assert [[TAGS[n] for n in row["gold"]] for row in rows] == [list(s.tags) for s in sentences]
    assert all(len(row["gold"]) == len(row["predicted"]) for row in rows)
    result = json.loads((folder / "result.json").read_text())
    labels = sum(len(s.words) for s in sentences)
    assert result == {"items": 24, "labels": labels, "overlap": 0}


def test_texts_have_one_prediction(world: World) -> None:
    _, folder = evaluated(world, task=("topics",))
    texts = list(Topical().read([world.catalogue.languages.get("bbb")], "test"))
    rows = predictions(folder)
    assert [[TOPICS[n] for n in row["gold"]] for row in rows] == [[t.label] for t in texts]
    assert {len(row["predicted"]) for row in rows} == {1}


@MODES
def test_a_split_sentence_has_all_its_words_in_order(new_world: Worlds, mode: str) -> None:
    world = new_world(data={"shortest": 12, "longest": 20})
    _, folder = evaluated(world, mode=(mode,), finetune={"max_length": 8})
    sentences = list(
        Tagged(shortest=12, longest=20).read([world.catalogue.languages.get("bbb")], "test")
    )
    rows = predictions(folder)
    assert [row["id"] for row in rows] == [sentence.id for sentence in sentences]
    assert [[TAGS[n] for n in row["gold"]] for row in rows] == [list(s.tags) for s in sentences]
    assert [len(row["predicted"]) for row in rows] == [len(s.words) for s in sentences]


def test_a_limit_takes_a_sample_with_the_predictions_of_the_whole(new_world: Worlds) -> None:
    _, folder = evaluated(new_world(), evaluate={"max_items": 5})
    _, whole = evaluated(new_world())
    rows = predictions(folder)
    assert [row["id"] for row in rows] != [f"test-{i}-é" for i in range(5)]
    assert len(rows) == 5
    assert rows == [row for row in predictions(whole) if row in rows]


def test_the_batch_size_changes_no_prediction(new_world: Worlds) -> None:
    found = [
        predictions(evaluated(new_world(), evaluate={"batch_size": size})[1]) for size in (1, 64)
    ]
    assert found[0] == found[1]


def test_linear_seeds_share_the_test_features(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.plan(arm=("none",), mode=("linear",), seed=(1, 2, 3), language=("aaa", "bbb"))
    resources, calls = world.resources(), rows_encoded(monkeypatch)
    for key in plan.of_kind("finetune"):
        world.run(plan.stages[key], resources)
    folders = [
        world.run(plan.stages[key], resources, plan.stages[plan.stages[key].parents[0]])
        for key in plan.of_kind("evaluate")
    ]
    assert len(folders) == 6
    assert sum(rows for rows, _ in calls) == 3 * 24  # the training data and two test sets
    assert not any(training for _, training in calls)
    # each seed's head has been asked, not the first one's
    assert len({str(predictions(folder)) for folder in folders}) > 2


def test_features_of_a_row_do_not_depend_on_the_batch(world: World) -> None:
    stage = world.stage("finetune", arm=("none",), mode=("linear",))
    resources = world.resources()
    tokenizer = resources.tokenizer(stage)
    limits = {"max_length": 40, "max_items": None}
    examples = load_examples(stage, resources, tokenizer, "train", limits)
    encoder = resources.encoder(stage).double()
    common = (encoder, examples, text_format(tokenizer), "mean", "fp32")
    # features are handed on in float32
    for first, second in zip(all_features(*common, 1), all_features(*common, 7), strict=True):
        torch.testing.assert_close(first, second, atol=1e-6, rtol=0)
        assert first.dtype == torch.float32
        assert not first.requires_grad


def test_evaluation_has_no_dropout(world: World) -> None:
    stage = world.stage("finetune", arm=("none",))
    with world.store.write(stage.kind, stage.key, stage.spec) as entry:
        tuned: Tuned = finetune.run(stage, world.resources(), entry)
    vectors = torch.ones(3, 16)
    assert torch.equal(tuned.head(vectors), tuned.head(vectors))
    assert not tuned.encoder.training


@MODES
def test_a_resumed_pipeline_predicts_the_same(
    mode: str, new_world: Worlds, interrupted: Callable[[int, Callable[[], object]], None]
) -> None:
    undisturbed = new_world()
    undisturbed.run(undisturbed.stage("align"))
    _, expected = evaluated(undisturbed, arm=("aligned",), mode=(mode,))
    world = new_world(state_interval=0.0)
    interrupted(7, lambda: world.run(world.stage("align")))
    world.run(world.stage("align"))
    interrupted(5, lambda: evaluated(world, arm=("aligned",), mode=(mode,)))
    _, found = evaluated(world, arm=("aligned",), mode=(mode,))
    assert (found / PREDICTIONS).read_bytes() == (expected / PREDICTIONS).read_bytes()


@pytest.mark.parametrize("task", ["tags", "topics"])
def test_accuracy_is_the_share_of_right_predictions(world: World, task: str) -> None:
    plan, folder = evaluated(world, task=(task,))
    scored = json.loads((world.run(only(plan, "score")) / "result.json").read_text())
    pairs = [
        pair
        for row in predictions(folder)
        for pair in zip(row["gold"], row["predicted"], strict=True)
    ]
    right = sum(gold == predicted for gold, predicted in pairs)
    assert 0 < right < len(pairs)
    assert scored == {"scores": {"accuracy": pytest.approx(right / len(pairs))}, "n": 24}


def test_scores_need_the_predictions_only(world: World) -> None:
    plan, _ = evaluated(world)
    first = (world.run(only(plan, "score")) / "result.json").read_bytes()
    (world.store.folder("finetune", only(plan, "finetune").key) / "head.safetensors").unlink()
    again = (world.run(only(plan, "score")) / "result.json").read_bytes()
    assert first == again


def test_damaged_predictions_are_not_scored(world: World) -> None:
    plan, folder = evaluated(world)
    (folder / PREDICTIONS).write_bytes((folder / PREDICTIONS).read_bytes()[:-9])
    with pytest.raises(Exception, match="is damaged"):
        world.run(only(plan, "score"))

"""Model selection: on the source language's dev split alone, exact through interruptions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from xbench.api import MissingData
from xbench.errors import XbenchError
from xbench.stages.training.selection import BestStep, evaluating

from ..toys import Tagged, World

Worlds = Callable[..., World]
HEAD, ENCODER = "head.safetensors", "encoder/model.safetensors"
MODES = pytest.mark.parametrize("mode", ["full", "linear"])


def tuned(world: World, mode: str = "full", **settings: Any) -> Path:
    spec = {"arm": ("none",), "mode": (mode,), "task": ("tags",)}
    return world.run(world.stage("finetune", finetune=settings, **spec))


def result(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return content


class Steps(nn.Module):
    """Its weight says how often it was trained."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.zeros(()))


def followed(folder: Path, scores: list[float], every: int = 1) -> tuple[BestStep, Steps]:
    module, values = Steps(), iter(scores)
    selection = BestStep(folder, {"module": module}, lambda: next(values), every)
    for step in range(1, len(scores) * every + 1):
        module.step.data.fill_(float(step))
        selection.look(step, last=False)
    return selection, module


def test_the_best_step_is_put_back_and_of_equals_the_first(tmp_path: Path) -> None:
    selection, module = followed(tmp_path, [0.2, 0.7, 0.5, 0.7, 0.1])
    assert selection.finish()["selected"] == {"step": 2, "value": 0.7}
    assert module.step.item() == 2
    assert len(list(tmp_path.glob("best-*"))) <= 2


def test_it_looks_every_so_many_steps_and_at_the_last(tmp_path: Path) -> None:
    selection, _ = followed(tmp_path, [0.2, 0.3], every=3)
    selection._score = lambda: 0.9
    selection.look(7, last=True)
    assert [found["step"] for found in selection.scores] == [3, 6, 7]
    assert selection.finish()["selected"]["step"] == 7


def test_a_score_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="development split is nan at step 1"):
        followed(tmp_path, [float("nan")])


def test_scoring_leaves_the_modules_as_they_were() -> None:
    module = nn.Dropout().train()
    seen = []
    evaluating({"m": module}, lambda: float(seen.append(module.training) or 1))()
    assert seen == [False]
    assert module.training


@MODES
def test_the_model_is_that_of_the_best_step(world: World, mode: str) -> None:
    """Training to just that step, without selection, gives the same weights."""
    steps = {"steps": 12, "schedule": "constant"}
    folder = tuned(world, mode, selection="best", selection_every=3, **steps)
    found = result(folder)
    assert [point["step"] for point in found["dev"]] == [3, 6, 9, 12]
    best = max(found["dev"], key=lambda point: (point["value"], -point["step"]))
    assert found["selected"] == best
    other = tuned(world, mode, steps=best["step"], schedule="constant")
    names = (HEAD, ENCODER) if mode == "full" else (HEAD,)
    for name in names:
        ours, theirs = load_file(folder / name), load_file(other / name)
        for key, value in theirs.items():  # without selection fewer word embeddings take part
            torch.testing.assert_close(ours[key], value, rtol=1e-4, atol=1e-6)


def test_the_score_is_the_metric_on_the_dev_split(world: World) -> None:
    """Evaluated as test data would be, the selected model has the score that it was selected for."""
    folder = tuned(world, selection="best", selection_every=4)
    spec = {"arm": ("none",), "task": ("tags",), "language": ("aaa",)}
    settings = {"selection": "best", "selection_every": 4}
    plan = world.plan(finetune=settings, evaluate={"split": "dev"}, **spec)
    (evaluate,) = (plan.stages[key] for key in plan.of_kind("evaluate"))
    (scored,) = (plan.stages[key] for key in plan.of_kind("score"))
    parent = plan.stages[evaluate.parents[0]]
    assert world.store.folder("finetune", parent.key) == folder
    world.run(evaluate, parent=parent)
    value = result(world.run(scored))["scores"]["accuracy"]
    assert value == pytest.approx(result(folder)["selected"]["value"])


def test_only_the_source_languages_dev_split_is_read(world: World, monkeypatch: Any) -> None:
    read = []
    original = Tagged.read

    def noted(self: Tagged, languages: Any, split: str) -> Any:
        read.append((languages[0].code, split))
        return original(self, languages, split)

    monkeypatch.setattr(Tagged, "read", noted)
    tuned(world, selection="best")
    assert set(read) == {("aaa", "train"), ("aaa", "dev")}
    read.clear()
    tuned(world, steps=5)
    assert ("aaa", "dev") not in read


@MODES
def test_an_interrupted_selection_ends_as_an_undisturbed_one(
    mode: str,
    new_world: Worlds,
    interrupted: Callable[[int, Callable[[], object]], None],
) -> None:
    asked: dict[str, Any] = {"steps": 14, "selection": "best", "selection_every": 2}
    undisturbed = tuned(new_world(), mode, **asked)
    world = new_world(state_interval=0.0)
    for step in (1, 4, 9, 13):
        interrupted(step, lambda: tuned(world, mode, **asked))
    resumed = tuned(world, mode, **asked)
    for name in (HEAD, "result.json", *([ENCODER] if mode == "full" else [])):
        assert (resumed / name).read_bytes() == (undisturbed / name).read_bytes()
    assert not list((world.store.root / "work").rglob("best-*"))


def test_lost_weights_of_the_best_step_start_training_over(
    new_world: Worlds, interrupted: Callable[[int, Callable[[], object]], None]
) -> None:
    asked: dict[str, Any] = {"steps": 8, "selection": "best", "selection_every": 2}
    world = new_world(state_interval=0.0)
    interrupted(5, lambda: tuned(world, **asked))
    for path in (world.store.root / "work").rglob("best-*"):
        path.unlink()
    resumed, undisturbed = tuned(world, **asked), tuned(new_world(), **asked)
    assert (resumed / HEAD).read_bytes() == (undisturbed / HEAD).read_bytes()


def test_dev_data_is_in_the_key_of_a_selected_model_only(new_world: Worlds) -> None:
    plain, selected = ({"steps": 5}, {"steps": 5, "selection": "best"})
    world = new_world()
    one = world.stage("finetune", arm=("none",), finetune=plain)
    two = world.stage("finetune", arm=("none",), finetune=selected)
    assert one.spec.selected_on is None
    assert two.spec.selected_on.data.split == "dev"
    assert two.spec.selected_on.metric.name == "accuracy"
    assert one.key != two.key


def test_a_task_without_dev_data_says_so_before_any_work(
    new_world: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Tagged.fingerprint

    def without_dev(self: Tagged, languages: Any, split: str) -> Any:
        if split == "dev":
            raise MissingData("there is train and test only")
        return original(self, languages, split)

    monkeypatch.setattr(Tagged, "fingerprint", without_dev)
    with pytest.raises(XbenchError, match="--selection last"):
        new_world().stage("finetune", arm=("none",), finetune={"selection": "best"})
    new_world().stage("finetune", arm=("none",))

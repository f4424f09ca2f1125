"""Nothing on the way from text to predictions mixes devices: checked on a device that is none."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from xbench.plan import Stage
from xbench.plan.artefacts import PREDICTIONS

from ..pretend_device import DeviceMix, Pretended, pretending
from ..toys import World

Worlds = Callable[..., World]
CALM = {"finetune": {"head_dropout": 0.0}}


@pytest.fixture
def elsewhere() -> Iterator[Callable[[Stage], Stage]]:
    """Gives a stage as it would be planned for a GPU."""
    with pretending():
        yield lambda stage: replace(stage, places=replace(stage.places, device="cuda"))


def curve(folder: Path) -> list[float]:
    return [step["loss"] for step in json.loads((folder / "result.json").read_text())["curve"]]


class TestTheDevice:
    def test_it_says_that_it_is_another_one(self, elsewhere: object) -> None:
        there = torch.ones(2, 3).to("cuda")
        assert there.device.type == torch.zeros(3, device=there.device).device.type == "cuda"
        assert there.cpu().device.type == there.to("cpu").device.type == "cpu"
        assert not isinstance(there.cpu(), Pretended)

    def test_a_mix_is_an_error_and_scalars_are_none(self, elsewhere: object) -> None:
        there = torch.ones(3).to("cuda")
        with pytest.raises(DeviceMix):
            there + torch.ones(3)
        with pytest.raises(DeviceMix):
            torch.arange(3)[there.long()]
        assert there[torch.tensor([0, 1])].tolist() == [1.0, 1.0]
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()
        assert (there * torch.tensor(2.0)).tolist() == [2.0, 2.0, 2.0]

    def test_gradients_are_there_as_well(self, elsewhere: object) -> None:
        layer = torch.nn.Linear(3, 1).to("cuda")
        layer(torch.ones(2, 3).to("cuda")).sum().backward()
        assert layer.weight.grad is not None
        assert layer.weight.grad.device.type == "cuda"
        assert layer.weight.grad.tolist() == [[2.0, 2.0, 2.0]]


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("objective", ["everything:all", "hictl:S1W1M1", "remembering:all"])
def test_alignment(
    objective: str,
    accumulate: int,
    new_world: Worlds,
    calm_model: Path,
    elsewhere: Callable[[Stage], Stage],
) -> None:
    spec: dict[str, Any] = {
        "objective": (objective,),
        "align": {"accumulate": accumulate, "steps": 3},
    }
    here, there = new_world(calm_model), new_world(calm_model)
    stage = here.stage("align", **spec)
    expected = curve(here.run(stage))
    assert curve(there.run(elsewhere(stage))) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("task", ["tags", "topics"])
@pytest.mark.parametrize("mode", ["full", "linear"])
def test_fine_tuning_and_evaluation(
    mode: str,
    task: str,
    new_world: Worlds,
    calm_model: Path,
    elsewhere: Callable[[Stage], Stage],
) -> None:
    found = []
    for place in (lambda stage: stage, elsewhere):
        world = new_world(calm_model)
        plan = world.plan(arm=("none",), task=(task,), mode=(mode,), **CALM)
        (tuned,) = (place(plan.stages[key]) for key in plan.of_kind("finetune"))
        (evaluated,) = (place(plan.stages[key]) for key in plan.of_kind("evaluate"))
        losses = curve(world.run(tuned))
        folder = world.run(evaluated, parent=tuned)
        found.append((losses, pq.read_table(folder / PREDICTIONS).to_pydict()))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-3)
    assert found[1][1] == found[0][1]


def test_the_best_model_of_a_training(
    new_world: Worlds, elsewhere: Callable[[Stage], Stage]
) -> None:
    world = new_world(state_interval=0.0)
    settings = {"selection": "best", "selection_every": 4}
    stage = elsewhere(world.stage("finetune", arm=("none",), finetune=settings))
    result = json.loads((world.run(stage) / "result.json").read_text())
    assert [look["step"] for look in result["dev"]] == [4, 8, 12]


def test_going_on_with_a_saved_training(
    new_world: Worlds,
    elsewhere: Callable[[Stage], Stage],
    interrupted: Callable[[int, Callable[[], object]], None],
) -> None:
    undisturbed, world = new_world(), new_world(state_interval=0.0)
    stage = elsewhere(world.stage("align", objective=("remembering:all",)))
    interrupted(7, lambda: world.run(stage))
    assert curve(world.run(stage)) == curve(undisturbed.run(stage))

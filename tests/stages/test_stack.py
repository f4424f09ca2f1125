"""Full fine-tunings that are trained as one program give what each gives by itself."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from safetensors.torch import load_file

from xbench.engine.todo import find_work, stacked
from xbench.nn.stack.training import StackedTraining
from xbench.nn.training_state import NOTE
from xbench.plan import Plan
from xbench.plan.artefacts import ENCODER, HEAD
from xbench.stages.training import stack as stacks

from ..toys import World, model_folder

Worlds = Callable[..., World]
TASKS = pytest.mark.parametrize("task", ["tags", "topics", "pairs"])
SEEDS = {"seed": (15, 33, 47)}


def plan_of(world: World, **asked: Any) -> Plan:
    asked = {"arm": ("none", "aligned"), **SEEDS, **asked}
    asked["finetune"] = {"steps": 6, **asked.get("finetune", {})}
    return world.plan(**asked)


def results(world: World, plan: Plan) -> dict[str, dict[str, torch.Tensor]]:
    """The weights of each fine-tuning by seed and arm."""
    found = {}
    for key in plan.of_kind("finetune"):
        stage = plan.stages[key]
        files = [world.store.file("finetune", key, name) for name in (HEAD, ENCODER)]
        name = f"{stage.spec.seed} {stage.spec.encoder.align is None}"
        found[name] = {k: v for file in files for k, v in load_file(file).items()}
    return found


def assert_same(one: dict[str, Any], other: dict[str, Any], tolerance: float = 2e-3) -> None:
    assert one.keys() == other.keys()
    for name in one:
        for key, value in one[name].items():
            torch.testing.assert_close(
                value, other[name][key], atol=tolerance, rtol=1e-2, msg=f"{name} {key}"
            )


@TASKS
def test_without_dropout_stacks_give_the_weights_of_the_plain_path(
    task: str, new_world: Worlds, tmp_path: Path
) -> None:
    rates = {"hidden_dropout": 0.0, "attention_dropout": 0.0}
    model = model_folder(tmp_path / "no dropout", **rates)
    asked = {"task": (task,), "finetune": {"head_dropout": 0.0}}
    found = []
    for stack in (0, 4):
        world = new_world()
        world.model = model
        plan = plan_of(world, **asked)
        heard = world.finish(plan, keep=True, stack=stack)
        assert all(" done" in event for event in heard)
        found.append(results(world, plan))
    assert len(found[0]) == 6
    assert_same(*found)


def test_a_model_does_not_depend_on_the_stack_that_it_is_in(new_world: Worlds) -> None:
    found = []
    for stack in (1, 4, 6):
        world = new_world()
        plan = plan_of(world)
        world.finish(plan, keep=True, stack=stack)
        found.append(results(world, plan))
        sizes = [world.store.result("finetune", key)["stacked"] for key in plan.of_kind("finetune")]
        assert sorted(sizes) == {1: [1] * 6, 4: [2, 2, 4, 4, 4, 4], 6: [6] * 6}[stack]
    assert_same(found[0], found[1])
    assert_same(found[0], found[2])


def test_which_go_together_follows_from_the_work(new_world: Worlds) -> None:
    world = new_world()
    plan = plan_of(world, task=("tags", "topics"), mode=("full", "linear"))
    work = find_work(plan, world.store)
    for most, workers, sizes in [(16, 1, [6, 6]), (4, 1, [4, 2, 4, 2]), (16, 3, [2] * 6)]:
        jobs = stacked(work, plan, most, workers).jobs
        kinds = [[plan.stages[key] for key in job.stages] for job in jobs]
        full = [[s for s in job if s.kind == "finetune" and s.spec.mode == "full"] for job in kinds]
        assert [len(job) for job in full if job] == sizes
        assert all(len({s.places.task for s in job}) <= 1 for job in full)
        assert sorted(key for job in jobs for key in job.stages) == sorted(work.todo)
        assert jobs == stacked(work, plan, most, workers).jobs


@pytest.mark.parametrize(
    "settings",
    [{"accumulate": 2}, {"selection": "best"}, {"precision": "fp16"}],
    ids=lambda settings: next(iter(settings)),
)
def test_what_needs_the_plain_path_takes_it(settings: Any, new_world: Worlds) -> None:
    plan = plan_of(new_world(), finetune=settings)
    assert {plan.stages[key].stack() for key in plan.of_kind("finetune")} == {None}


@contextmanager
def spoilt(number: int) -> Iterator[None]:
    """The encoder of one of a stack has weights that are no numbers."""
    load = stacks.load_encoder
    loaded = []

    def spoilt_load(folder: Path) -> Any:
        encoder = load(folder)
        loaded.append(folder)
        if len(loaded) == number:
            with torch.no_grad():
                encoder.layers[0].query.weight.fill_(torch.nan)
        return encoder

    with patch.object(stacks, "load_encoder", spoilt_load):
        yield


def test_one_that_fails_takes_no_other_with_it(new_world: Worlds) -> None:
    world, whole = new_world(), new_world()
    plan = plan_of(world, arm=("none",))
    with spoilt(2):
        heard = world.finish(plan, keep=True, stack=3)
    failed = [event for event in heard if "finetune failed" in event]
    assert len(failed) == 1
    assert "the loss 'loss' is nan at step 0, before any update" in failed[0]
    assert sum(event.startswith("score done") for event in heard) == 2
    whole.finish(plan_of(whole, arm=("none",)), keep=True, stack=3)
    left = [k for k in plan.of_kind("finetune") if world.store.state("finetune", k) == "done"]
    assert [plan.stages[key].spec.seed for key in left] == [15, 47]
    for key in left:
        for name in (HEAD, ENCODER):
            own, other = (w.store.file("finetune", key, name) for w in (world, whole))
            for tensor, value in load_file(own).items():
                torch.testing.assert_close(value, load_file(other)[tensor], msg=tensor)


def test_where_all_fail_each_says_so(new_world: Worlds) -> None:
    world = new_world()
    plan = plan_of(world, arm=("none",), finetune={"encoder_learning_rate": 1e30})
    heard = world.finish(plan, stack=3)
    failed = [event for event in heard if "finetune failed" in event]
    assert len(failed) == 3
    assert all("try a lower learning rate" in event for event in failed)


def test_an_alignment_that_fails_blocks_its_own_cells_alone(new_world: Worlds) -> None:
    world = new_world()
    plan = plan_of(world, objective=("diverging", "everything:all"), arm=("none", "aligned"))
    heard = world.finish(plan, stack=9)
    assert heard.count("finetune blocked") == 3
    assert heard.count("finetune done") == 6


def test_where_memory_runs_out_fewer_are_trained_at_once(new_world: Worlds) -> None:
    world = new_world()
    plan = plan_of(world)
    made = stacks.StackedModel
    tried = []

    def too_large(encoder: Any, heads: Any, half: bool) -> Any:
        tried.append(len(heads))
        if len(heads) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return made(encoder, heads, half)

    with patch.object(stacks, "StackedModel", too_large):
        heard = world.finish(plan, stack=6)
    assert all(" done" in event for event in heard)
    assert tried[:2] == [6, 3]
    assert {1, 2} >= {
        world.store.result("finetune", key)["stacked"] for key in plan.of_kind("finetune")
    }


class Stopped(BaseException):
    """Somebody pressed Ctrl-C."""


def stopping(after: int) -> Any:
    """A training that is interrupted."""
    step = StackedTraining.step

    def stops(self: StackedTraining, number: int, *rest: Any) -> Any:
        if number == after:
            raise Stopped
        return step(self, number, *rest)

    return patch.object(StackedTraining, "step", stops)


def test_an_interrupted_stack_goes_on_where_it_was(new_world: Worlds) -> None:
    undisturbed, world = new_world(), new_world(state_interval=0.0)
    plan = plan_of(world, finetune={"steps": 25})
    undisturbed.finish(plan_of(undisturbed, finetune={"steps": 25}), keep=True, stack=6)
    for after in (5, 15, 24):
        with stopping(after), pytest.raises(Stopped):
            world.finish(plan, keep=True, stack=6)
    (note,) = world.store.root.glob(f"work/**/{NOTE}")
    assert json.loads(note.read_text())["step"] == 21
    with stopping(20):  # it would stop if it began anew
        heard = world.finish(plan, keep=True, stack=6)
    assert heard.count("finetune done") == 6
    assert_same(results(world, plan), results(undisturbed, plan), 1e-6)
    curves = [
        [w.store.result("finetune", k)["curve"] for k in plan.of_kind("finetune")]
        for w in (world, undisturbed)
    ]
    assert [[look["step"] for look in curve] for curve in curves[0]] == [[0, 10, 20, 24]] * 6
    for own, other in zip(*curves, strict=True):
        assert [look["loss"] for look in own] == pytest.approx([look["loss"] for look in other])


def test_the_time_of_a_stack_is_shared_by_its_cells(new_world: Worlds) -> None:
    world = new_world()
    plan = plan_of(world, arm=("none",), finetune={"steps": 40})
    world.finish(plan, stack=3)
    seconds = [
        world.store.status("finetune", key)["measured"]["seconds"]
        for key in plan.of_kind("finetune")
    ]
    assert all(value > 0 for value in seconds)
    assert max(seconds) < 0.7 * sum(seconds)

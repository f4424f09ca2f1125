"""Told to leave, a training saves its state and stops; it goes on as if nothing had happened."""

from collections.abc import Callable, Mapping

import pytest

from xbench.engine.job import JobRunner
from xbench.nn.training_state import Leaving
from xbench.plan import Stage
from xbench.stages.resources import Resources

from ..toys import World

Worlds = Callable[..., World]


def leaving_after(step: int, world: World) -> Resources:
    """Resources that are told to leave when a training says that it has come to a step."""

    def hear(at: int, steps: int, values: Mapping[str, float]) -> None:
        if at > step:
            resources.leaving.set()

    resources = world.resources(hear)
    return resources


@pytest.mark.parametrize("kind", ["align", "finetune"])
def test_a_training_saves_its_state_at_once(kind: str, new_world: Worlds) -> None:
    asked = {"arm": ("none",)} if kind == "finetune" else {}
    world, undisturbed = new_world(state_interval=1e9), new_world()
    stage = world.stage(kind, **asked)
    with pytest.raises(Leaving):
        world.run(stage, leaving_after(0, world))
    assert world.store.state(kind, stage.key) == "absent"  # no failure
    (note,) = world.store.root.glob("work/*/state.json")
    assert '"step": 1' in note.read_text()
    heard: list[int] = []
    folder = world.run(stage, world.resources(lambda step, steps, values: heard.append(step)))
    assert heard[0] == 11
    result = (undisturbed.run(undisturbed.stage(kind, **asked)) / "result.json").read_bytes()
    assert (folder / "result.json").read_bytes() == result


def test_no_stage_begins_after_the_word(new_world: Worlds) -> None:
    world = new_world()
    plan = world.plan(arm=("none",))
    heard: list[tuple[str, str]] = []
    resources = world.resources()

    def report(event: str, stage: Stage, details: Mapping[str, object]) -> None:
        heard.append((event, stage.kind))
        if event == "done" and stage.kind == "finetune":
            resources.leaving.set()

    with pytest.raises(Leaving):
        JobRunner(plan.stages, resources, report, keep=False).run([*plan.stages])
    assert heard[-1] == ("done", "finetune")
    failed = [stage for key, stage in plan.stages.items() if world.store.error(stage.kind, key)]
    assert not failed

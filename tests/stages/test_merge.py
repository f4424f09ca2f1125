"""Merges: snapshots at the right steps, their mean, resumption, and what is refused."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from xbench.stages import finetune
from xbench.stages.training.snapshots import Snapshots

from ..toys import Latest, Topical, World
from .slow import Slow

Worlds = Callable[..., World]
Weights = dict[str, Tensor]
MERGED: dict[str, Any] = {"objective": ("latest",), "arm": ("aligned",), "task": ("topics",)}


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> dict[int, Weights]:
    """step -> the weights after it, noted beside what the snapshots keep."""
    noted: dict[int, Weights] = {}
    look = Snapshots.look

    def watched(self: Snapshots, step: int, last: bool) -> dict[str, Any]:
        noted[step] = {
            f"{kind}/{name}": value.detach().clone()
            for kind, module in self._modules.items()
            for name, value in module.state_dict().items()
        }
        return look(self, step, last)

    monkeypatch.setattr(Snapshots, "look", watched)
    return noted


@pytest.mark.parametrize("mode", ["full", "linear"])
def test_what_is_left_is_the_mean_of_the_steps_asked_for(
    mode: str, world: World, passed: dict[int, Weights]
) -> None:
    stage = world.stage("finetune", **MERGED, mode=(mode,))
    folder = world.run(stage)
    assert sorted(passed) == list(range(1, 13))
    mean = {
        name: (passed[10][name] + passed[11][name] + passed[12][name]) / 3 for name in passed[12]
    }
    assert any(not torch.equal(mean[name], passed[12][name]) for name in mean)
    for name, value in load_file(folder / "head.safetensors").items():
        torch.testing.assert_close(value, mean[f"head/{name}"], atol=1e-6, rtol=0)
    if mode == "full":
        found = finetune.load(stage, world.resources()).encoder.state_dict()
        for name, value in found.items():
            expected = mean[f"encoder/{name}"]
            torch.testing.assert_close(value, expected, atol=1e-6, rtol=0, msg=name)
    assert world.store.result("finetune", stage.key)["merged"] == [10, 11, 12]
    assert not list(world.store.root.rglob("snapshot-*"))


def test_predictions_are_those_of_the_merged_model(world: World) -> None:
    plan = world.plan(**MERGED)
    world.finish(plan, keep=True)
    (evaluate,), (tuned,) = plan.of_kind("evaluate"), plan.of_kind("finetune")
    folder = world.store.folder("finetune", tuned)
    slow, head = Slow(folder / "encoder"), load_file(folder / "head.safetensors")
    expected = []
    for record in Topical().read([world.catalogue.languages.get("bbb")], "test"):
        logits = slow.sentence(record.text) @ head["weight"].T + head["bias"]
        expected.append([int(logits.argmax())])
    table = pq.read_table(world.store.folder("evaluate", evaluate) / "predictions.parquet")
    assert table.to_pydict()["predicted"] == expected


class TestResuming:
    @pytest.mark.parametrize("step", [6, 10, 11])
    @pytest.mark.parametrize("mode", ["full", "linear"])
    def test_in_the_middle_it_equals_an_undisturbed_one(
        self, mode: str, step: int, new_world: Worlds, interrupted: Callable[..., None]
    ) -> None:
        found = []
        for disturbed in (False, True):
            world = new_world(state_interval=0.0)
            stage = world.stage("finetune", **MERGED, mode=(mode,))
            if disturbed:
                interrupted(step, lambda world=world, stage=stage: world.run(stage))
            folder = world.run(stage)
            found.append({p.name: p.read_bytes() for p in folder.rglob("*.safetensors")})
        assert found[0] == found[1]

    def test_a_snapshot_that_is_gone_means_from_the_beginning(
        self, new_world: Worlds, interrupted: Callable[..., None], passed: dict[int, Weights]
    ) -> None:
        world = new_world(state_interval=0.0)
        stage = world.stage("finetune", **MERGED)
        interrupted(11, lambda: world.run(stage))
        work = world.store.work_folder(stage.key)
        assert sorted(path.name for path in work.glob("snapshot-*")) == [
            "snapshot-10.safetensors",
            "snapshot-11.safetensors",
        ]
        (work / "snapshot-10.safetensors").unlink()
        passed.clear()
        folder = world.run(stage)
        assert sorted(passed) == list(range(1, 13))
        other = new_world()
        again = other.run(other.stage("finetune", **MERGED))
        assert (folder / "head.safetensors").read_bytes() == (
            again / "head.safetensors"
        ).read_bytes()


class TestMistakes:
    @pytest.mark.parametrize(
        "steps", [[], [0, 3], [12, 13], [-1]], ids=["none", "before", "after", "negative"]
    )
    def test_steps_that_there_are_not(
        self, steps: Sequence[int], world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Latest, "steps", lambda self, count: steps)
        with pytest.raises(ValueError, match=r"Latest asks for the steps \[.*\] of 12"):
            world.run(world.stage("finetune", **MERGED))

    @pytest.mark.parametrize("spoil", ["lost", "wrong shape"])
    def test_weights_that_do_not_fit(
        self, spoil: str, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        combine = Latest.combine

        def spoilt(self: Latest, snapshots: Any) -> Weights:
            merged = combine(self, snapshots)
            if spoil == "lost":
                return {name: value for name, value in merged.items() if name != "head/bias"}
            return {**merged, "head/bias": torch.zeros(9)}

        monkeypatch.setattr(Latest, "combine", spoilt)
        with pytest.raises(RuntimeError, match="bias"):
            world.run(world.stage("finetune", **MERGED))

    def test_weights_that_are_not_finite(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        combine = Latest.combine
        monkeypatch.setattr(
            Latest, "combine", lambda *a: {n: v * torch.nan for n, v in combine(*a).items()}
        )
        with pytest.raises(FloatingPointError, match="not finite"):
            world.run(world.stage("finetune", **MERGED))

    def test_steps_may_be_asked_for_twice_and_in_any_order(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Latest, "steps", lambda self, count: [12, 4, 12])
        stage = world.stage("finetune", **MERGED)
        world.run(stage)
        assert world.store.result("finetune", stage.key)["merged"] == [4, 12]

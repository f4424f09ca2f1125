"""Compositions: the weighted sum of several objectives on one batch, whose encodings they share."""

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from safetensors.torch import load
from torch import Tensor, nn

from xbench.api import Objective, Term
from xbench.catalogue.identity import Component
from xbench.nn.encoders.encoder import Encoder
from xbench.stages.align import total
from xbench.stages.resources import Resources
from xbench.stages.training.objective import WeightedSum, build_objective

from ..toys import Everything, World
from .test_pairs import batches

Worlds = Callable[..., World]
WHOLE = {"everything": {"variant": "all", "weight": 1.0}}
BOTH = {"everything": {"variant": "contrast", "weight": 0.5}, "linked": {"weight": 3.0}}
NAMES: dict[str, Any] = {"objective": ("both",), "arm": ("aligned",)}


def suite(parts: dict[str, Any]) -> dict[str, Any]:
    return {"compositions": {"both": {"parts": parts}}}


def weights_of(world: World, **spec: Any) -> bytes:
    """The aligned encoder's file."""
    plan = world.plan(**spec)
    world.finish(plan)
    (key,) = plan.of_kind("align")
    path = world.store.folder("align", key) / "step-12" / "model.safetensors"
    return path.read_bytes()


class TestSum:
    def objectives(self, world: World) -> tuple[Any, dict[str, Objective], Any]:
        """The composition, its parts by themselves, and a batch for all."""
        plan = world.plan(**NAMES)
        stage = plan.stages[plan.of_kind("align")[0]]
        made = batches(world, **NAMES)
        resources, encoder = world.resources(), made.encoder
        asked = stage.spec.objective
        whole = build_objective(asked, resources.catalogue, encoder, 1)
        parts = {
            name: build_objective(part, resources.catalogue, encoder, 1)
            for name, part in asked.parts.items()
        }
        return whole, parts, made

    def test_it_is_the_sum_of_its_parts_with_their_weights(
        self, new_world: Worlds, calm_model: Any
    ) -> None:
        world = new_world(calm_model, corpus={"links": True}, suite=suite(BOTH))
        whole, parts, made = self.objectives(world)
        terms = whole.terms(made.chunk(0, 0))
        assert set(terms) == {"everything.contrast", "linked.links"}
        own = {
            f"{name}.{term}": value
            for name, part in parts.items()
            for term, value in part.terms(made.chunk(0, 0)).items()
        }
        weights = {"everything.contrast": 0.5, "linked.links": 3.0}
        for name, weight in weights.items():
            assert terms[name].count == own[name].count
            torch.testing.assert_close(terms[name].mean, weight * own[name].mean)
        loss, losses = total(whole, made.chunk(0, 0))
        expected = sum(weight * own[name].mean for name, weight in weights.items())
        torch.testing.assert_close(loss, expected)
        assert list(losses)[-1] == "loss"

    def test_parts_share_one_encoding(
        self, new_world: Worlds, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = new_world(corpus={"links": True}, suite=suite(BOTH))
        whole, parts, made = self.objectives(world)
        asked: list[int] = []
        layer = Encoder.layer

        def counted(self: Encoder, index: int, states: Tensor, bias: Tensor) -> Tensor:
            asked.append(index)
            return layer(self, index, states, bias)

        monkeypatch.setattr(Encoder, "layer", counted)
        whole.terms(made.chunk(0, 0))
        assert sorted(asked) == [0, 0, 1, 1]  # two sides, two layers
        asked.clear()
        for part in parts.values():
            part.terms(made.chunk(0, 0))
        assert len(asked) > 4

    def test_a_single_part_of_weight_one_is_that_objective_bit_for_bit(
        self, new_world: Worlds
    ) -> None:
        world = new_world(suite=suite(WHOLE))
        alone = {"objective": ("everything:all",), "arm": ("aligned",)}
        assert weights_of(world, **NAMES) == weights_of(world, **alone)

    def test_another_weight_is_another_encoder(self, new_world: Worlds) -> None:
        found = [
            weights_of(new_world(corpus={"links": True}, suite=suite(parts)), **NAMES)
            for parts in (BOTH, {**BOTH, "linked": {"weight": 0.01}})
        ]
        assert found[0] != found[1]

    @pytest.mark.parametrize("accumulate", [1, 2])
    def test_chunks_change_nothing_but_rounding(
        self, accumulate: int, new_world: Worlds, calm_model: Any
    ) -> None:

        world = new_world(calm_model, corpus={"links": True}, suite=suite(BOTH))
        # ponderous steps, so that differences of rounding do not grow
        settings = {"accumulate": accumulate, "learning_rate": 1e-4}
        found = load(weights_of(world, **NAMES, align=settings))
        whole = load(weights_of(world, **NAMES, align={"learning_rate": 1e-4}))
        for name, value in found.items():
            torch.testing.assert_close(value, whole[name], atol=2e-5, rtol=0)

    def test_it_may_act_beside_a_tasks_loss(self, new_world: Worlds) -> None:
        world = new_world(corpus={"links": True}, suite=suite(BOTH))
        plan = world.plan(**NAMES, phase=("during",), mode=("full",))
        assert {line.split()[1] for line in world.finish(plan)} == {"done"}
        (key,) = plan.of_kind("finetune")
        curve = world.store.result("finetune", key)["curve"]
        assert set(curve[0]) == {"step", "task", "everything.contrast", "linked.links", "loss"}


class TestState:
    def test_a_resumed_training_equals_an_undisturbed_one(
        self, new_world: Worlds, interrupted: Callable[..., None]
    ) -> None:
        parts = {"remembering": {"variant": "contrast"}, "everything": {"variant": "all"}}
        found = []
        for disturbed in (False, True):
            world = new_world(state_interval=0.0, suite=suite(parts))
            stage = world.stage("align", **NAMES)
            if disturbed:
                interrupted(7, lambda world=world, stage=stage: world.run(stage))
            folder = world.run(stage)
            found.append((folder / "step-12" / "model.safetensors").read_bytes())
        assert found[0] == found[1]

    def test_options_reach_the_part_that_is_trained(
        self, new_world: Worlds, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[str] = []
        setup = Everything.setup

        def look(self: Everything, encoder: nn.Module) -> None:
            seen.append(self.config.only)
            setup(self, encoder)

        monkeypatch.setattr(Everything, "setup", look)
        world = new_world(suite=suite(WHOLE))
        options = {"objective.both.everything.only": "mlm"}
        world.run(world.stage("align", **NAMES, options=options))
        assert seen == ["mlm"]


class Part(Objective):
    """Takes ``wanted`` batches before training, or does not prepare at all."""

    def __init__(self, wanted: int, seen: list[int]) -> None:
        super().__init__()
        self.wanted, self.seen = wanted, seen
        self.steps: list[int] = []

    def terms(self, batch: Any) -> dict[str, Term]:
        return {"term": Term(torch.ones(()), 1)}

    def after_step(self, encoder: nn.Module, step: int) -> None:
        self.steps.append(step)


class Preparing(Part):
    def prepare(self, batches: Iterator[Any]) -> None:
        for _ in range(self.wanted):
            self.seen.append(next(batches).number)


class Numbered:
    def __init__(self, number: int) -> None:
        self.number = number


class TestParts:
    def test_each_that_prepares_sees_the_same_batches_from_the_first_on(self) -> None:
        parts = {n: Preparing(wanted, []) for n, wanted in {"a": 2, "b": 4, "c": 1}.items()}
        made = WeightedSum({**parts, "d": Part(0, [])}, dict.fromkeys("abcd", 1.0))
        made.prepare(Numbered(n) for n in range(9))  # type: ignore[arg-type,misc]
        assert {name: part.seen for name, part in parts.items()} == {
            "a": [0, 1],
            "b": [0, 1, 2, 3],
            "c": [0],
        }

    @pytest.mark.usefixtures("only_new_garbage")
    def test_no_batch_is_kept_for_those_that_do_not_prepare(self) -> None:
        """A queue may take thousands of batches, each with its states."""
        alive: list[int] = []
        known: list[weakref.ref[Numbered]] = []

        def count() -> Iterator[Numbered]:
            for number in range(50):
                gc.collect()
                alive.append(sum(each() is not None for each in known))
                batch = Numbered(number)
                known.append(weakref.ref(batch))
                yield batch
                del batch

        seen: list[int] = []
        parts = {"first": Part(0, []), "queue": Preparing(40, seen), "last": Part(0, [])}
        WeightedSum(parts, dict.fromkeys(parts, 1.0)).prepare(count())  # type: ignore[arg-type]
        assert len(seen) == 40
        assert max(alive) <= 2

    def test_all_hear_of_every_step(self) -> None:
        parts = {name: Part(0, []) for name in "ab"}
        made = WeightedSum(parts, {"a": 1.0, "b": 1.0})
        for step in range(3):
            made.after_step(nn.Linear(1, 1), step)
        assert [part.steps for part in parts.values()] == [[0, 1, 2]] * 2

    def test_weights_and_buffers_of_parts_are_its_own(self, world: World) -> None:
        catalogue = world.catalogue
        parts = {
            name: Component(name=name, weight=1.0, config={"only": "contrast"})
            for name in ("everything", "remembering")
        }
        asked = Component(name="both", parts=parts)
        resources = Resources(world.store, catalogue)
        encoder = resources.encoder(world.stage("align", objective=("everything:all",)))
        made = build_objective(asked, catalogue, encoder, 1)
        assert set(made.state_dict()) == {
            "everything.projection.weight",
            "remembering.projection.weight",
            "remembering.centre",
        }
        assert made.training
        assert not made.eval().get_submodule("remembering").training
        assert not torch.equal(
            made.get_parameter("everything.projection.weight"),
            made.get_parameter("remembering.projection.weight"),
        )

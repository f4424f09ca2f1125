"""An objective beside the task's loss: gradients, translations, state, and what it may not ask for."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from xbench.api import LabelledText, Term
from xbench.nn.heads import Head
from xbench.nn.optimise import Optimiser
from xbench.stages import finetune
from xbench.stages.align import pair_batches, total
from xbench.stages.resources import Resources
from xbench.stages.training import joint
from xbench.stages.training.objective import build_objective
from xbench.stages.training.tuning import FineTuning

from ..toys import Everything, Smooth, Topical, Translating, World

Worlds = Callable[..., World]
Gradients = dict[str, Tensor]
DURING: dict[str, Any] = {
    "arm": ("aligned",),
    "mode": ("full",),
    "phase": ("during",),
    "task": ("topics",),
}
TRANSLATED = {**DURING, "objective": ("translating",)}


class Seen(Exception):
    """The gradients of the first step have been seen."""


def gradients(world: World, monkeypatch: pytest.MonkeyPatch, **spec: Any) -> Gradients:
    """Of the first step of a fine-tuning, in float64, before they are clipped."""
    caught: Gradients = {}
    encoder, head = Resources.encoder, finetune.new_head
    models: dict[str, nn.Module] = {}

    def wide_encoder(self: Resources, stage: Any) -> Any:
        models["encoder"] = encoder(self, stage).double()
        return models["encoder"]

    def wide_head(*arguments: Any, **options: Any) -> Head:
        made = head(*arguments, **options).double()
        models["head"] = made
        return made

    def look(self: Optimiser, step: int) -> None:
        for kind, module in models.items():
            for name, parameter in module.named_parameters():
                if parameter.grad is not None:
                    caught[f"{kind} {name}"] = parameter.grad.clone()
        raise Seen

    with monkeypatch.context() as patch:
        patch.setattr(Resources, "encoder", wide_encoder)
        patch.setattr(finetune, "new_head", wide_head)
        patch.setattr(finetune, "trimmed", lambda work, encoder: None)  # gradients of all rows
        patch.setattr(joint, "build_objective", lambda *given: build_objective(*given).double())
        patch.setattr(Optimiser, "step", look)
        plan = world.plan(**{**DURING, **spec})
        for key in plan.of_kind("links"):
            world.run(plan.stages[key])
        with pytest.raises(Seen):
            world.run(plan.stages[plan.of_kind("finetune")[0]])
    return caught


def own_gradients(world: World, name: str, **spec: Any) -> Gradients:
    """Of the objective by itself, on the first batch of parallel text."""
    plan = world.plan(**{**DURING, "objective": (name,), **spec})
    stage = plan.stages[plan.of_kind("finetune")[0]]
    asked, resources = stage.spec.joint, world.resources()
    encoder = resources.encoder(stage).double().train()
    text = joint.pair_input(stage)
    objective = build_objective(asked.objective, resources.catalogue, encoder, 15).double()
    loss, _ = total(objective, pair_batches(text, stage, resources, encoder).chunk(0, 0))
    loss.backward()  # type: ignore[no-untyped-call]
    found = {n: p.grad for n, p in encoder.named_parameters() if p.grad is not None}
    return {f"encoder {name}": gradient for name, gradient in found.items()}


class TestLoss:
    @pytest.mark.parametrize("arm", ["aligned", "shuffled"])
    @pytest.mark.parametrize("name", ["everything:contrast", "linked"])
    def test_the_gradient_is_that_of_the_task_and_weight_times_that_of_the_objective(
        self,
        name: str,
        arm: str,
        new_world: Worlds,
        calm_model: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        world = new_world(calm_model, corpus={"links": True})
        quiet = {"head_dropout": 0.0, "joint_weight": 0.3}
        spec = {"arm": (arm,), "finetune": quiet}
        both = gradients(world, monkeypatch, **spec, objective=(name,))
        alone = gradients(world, monkeypatch, arm=("none",), phase=None, finetune=quiet)
        own = own_gradients(world, name, **spec)
        assert set(both) == set(alone) | set(own)
        for each, found in both.items():
            zero = torch.zeros_like(found)
            expected = alone.get(each, zero) + 0.3 * own.get(each, zero)
            torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-9, msg=each)
        assert any(bool((0.3 * value).abs().max() > 1e-3) for value in own.values())

    def test_the_gradient_of_one_that_reads_the_task_is_linear_in_the_weight(
        self, new_world: Worlds, calm_model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = new_world(calm_model)
        found = [
            gradients(
                world,
                monkeypatch,
                objective=("smooth",),
                finetune={"head_dropout": 0.0, "joint_weight": weight},
            )
            for weight in (1.0, 2.0, 4.0)
        ]
        for name, one in found[0].items():
            two, four = found[1][name], found[2][name]
            torch.testing.assert_close(four - two, 2 * (two - one), atol=1e-12, rtol=1e-9)
        assert any(bool((found[1][n] - found[0][n]).abs().max() > 1e-6) for n in found[0])

    def test_its_terms_are_noted_beside_the_tasks_loss(self, world: World) -> None:
        stage = world.stage(
            "finetune", **DURING, objective=("smooth",), finetune={"joint_weight": 0.25}
        )
        world.run(stage)
        for point in world.store.result("finetune", stage.key)["curve"]:
            assert set(point) == {"step", "task", "smooth", "loss"}
            assert point["loss"] == pytest.approx(point["task"] + 0.25 * point["smooth"])

    def test_what_it_draws_from_torch_is_the_steps_and_not_its_neighbours(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        drawn: list[float] = []

        def terms(self: Smooth, batch: Any) -> dict[str, Term]:
            drawn.append(torch.rand(()).item())
            return {"smooth": Term(batch.task.view.pooled().square().sum(), 1)}

        monkeypatch.setattr(Smooth, "terms", terms)
        for dropout in (0.0, 0.5):
            settings = {"head_dropout": dropout, "steps": 3}
            world.run(world.stage("finetune", **DURING, objective=("smooth",), finetune=settings))
        assert drawn[:3] == drawn[3:]
        assert len(set(drawn)) == 3

    @pytest.mark.parametrize("precision", ["fp32", "bf16"])
    @pytest.mark.parametrize("name", ["smooth", "translating", "everything:all", "linked"])
    def test_every_kind_is_trained_to_finite_weights(
        self, name: str, precision: str, new_world: Worlds
    ) -> None:
        world = new_world(corpus={"links": True})
        plan = world.plan(
            **DURING,
            objective=(name,),
            finetune={"precision": precision, "steps": 4},
            align={"precision": precision},
        )
        heard = world.finish(plan)
        assert not [line for line in heard if not line.endswith(" done")]
        (key,) = plan.of_kind("finetune")
        curve = world.store.result("finetune", key)["curve"]
        assert all(torch.isfinite(torch.tensor(list(point.values()))).all() for point in curve)
        saved = load_file(world.store.folder("finetune", key) / "head.safetensors")
        assert all(bool(torch.isfinite(value).all()) for value in saved.values())

    @pytest.mark.parametrize("task", ["tags", "topics", "pairs"])
    def test_every_level_of_task(self, task: str, world: World) -> None:
        plan = world.plan(**{**DURING, "task": (task,), "objective": ("smooth",)})
        assert {line.split()[1] for line in world.finish(plan)} == {"done"}


class TestState:
    @pytest.mark.parametrize("name", ["remembering", "smooth", "translating", "linked"])
    def test_a_resumed_training_equals_an_undisturbed_one(
        self, name: str, new_world: Worlds, interrupted: Callable[..., None]
    ) -> None:
        """Objectives with buffers, weights and draws of their own."""
        weights = []
        for disturbed in (False, True):
            world = new_world(state_interval=0.0, corpus={"links": True})
            plan = world.plan(**DURING, objective=(name,))
            for key in plan.of_kind("links"):
                world.run(plan.stages[key])
            stage = plan.stages[plan.of_kind("finetune")[0]]
            if disturbed:
                interrupted(5, lambda world=world, stage=stage: world.run(stage))
                interrupted(9, lambda world=world, stage=stage: world.run(stage))
            folder = world.run(stage)
            files = ("encoder/model.safetensors", "head.safetensors", "result.json")
            weights.append([(folder / name).read_bytes() for name in files])
        assert weights[0] == weights[1]

    def test_it_prepares_once_and_not_again_when_resumed(
        self,
        new_world: Worlds,
        interrupted: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        prepared: list[int] = []

        def prepare(self: Everything, batches: Iterator[Any]) -> None:
            prepared.append(len(list(batches)))

        monkeypatch.setattr(Everything, "prepare", prepare)
        world = new_world(state_interval=0.0)
        stage = world.stage("finetune", **DURING, objective=("everything:contrast",))
        interrupted(4, lambda: world.run(stage))
        assert prepared == [4]
        world.run(stage)
        assert prepared == [4]

    def test_it_hears_of_every_step_after_the_update(
        self, new_world: Worlds, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        heard: list[tuple[int, Tensor]] = []

        def after_step(self: Smooth, encoder: nn.Module, step: int) -> None:
            heard.append((step, next(encoder.parameters()).detach().clone()))

        monkeypatch.setattr(Smooth, "after_step", after_step)
        world = new_world()
        settings = {"steps": 3, "schedule": "constant"}
        world.run(world.stage("finetune", **DURING, objective=("smooth",), finetune=settings))
        assert [step for step, _ in heard] == [0, 1, 2]
        assert not torch.equal(heard[0][1], heard[1][1])

    def test_its_own_weights_are_trained(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scales: list[float] = []
        monkeypatch.setattr(
            Smooth, "after_step", lambda self, encoder, step: scales.append(self.scale.item())
        )
        settings = {"steps": 4, "joint_weight": 50.0}
        world.run(world.stage("finetune", **DURING, objective=("smooth",), finetune=settings))
        assert scales[-1] != 1.0

    def test_the_best_step_is_chosen_with_it_too(self, world: World) -> None:
        settings = {"selection": "best", "selection_every": 4}
        plan = world.plan(**DURING, objective=("smooth",), finetune=settings)
        world.finish(plan)
        result = world.store.result("finetune", plan.of_kind("finetune")[0])
        assert [point["step"] for point in result["dev"]] == [4, 8, 12]


def work_of(world: World, **spec: Any) -> FineTuning:
    return finetune.prepare(world.stage("finetune", **{**TRANSLATED, **spec}), world.resources())


def names(work: FineTuning, partners: dict[int, int], other: Any) -> dict[str, str]:
    """item -> the item that it is given as its translation."""
    own, theirs = work.examples.names(), other.names()
    item = {row: int(other.table.row("item", row)[0]) for row in range(len(other))}
    own_item = [int(work.examples.table.row("item", row)[0]) for row in range(len(work.examples))]
    return {own[own_item[row]]: theirs[item[p]] for row, p in partners.items()}


class TestTranslations:
    @pytest.fixture
    def turned(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The other language's file has the items in the opposite order, and one more."""
        read = Topical.read

        def turn(self: Topical, languages: Any, split: str) -> Any:
            found = list(read(self, languages, split))
            more = LabelledText("ta ta", "food", id="another")
            return found if languages[0].code == "aaa" else [more, *found[::-1]]

        monkeypatch.setattr(Topical, "read", turn)

    def test_items_are_joined_by_their_id(self, turned: None, world: World) -> None:
        work = work_of(world)
        other, partners = joint.translations_of(work)
        assert len(partners) == 24
        found = names(work, partners, other)
        assert all(name == translation for name, translation in found.items())

    def test_wrong_ones_are_a_permutation_without_a_fixed_point(
        self, turned: None, world: World
    ) -> None:
        work = work_of(world, arm=("shuffled",))
        other, partners = joint.translations_of(work)
        found = names(work, partners, other)
        assert sorted(found) == sorted(found.values())
        assert not [name for name, translation in found.items() if name == translation]

    def test_a_sample_of_the_items_is_enough(self, turned: None, world: World) -> None:
        work = work_of(world, finetune={"max_train": 5})
        other, partners = joint.translations_of(work)
        assert (len(partners), len(other)) == (5, 25)
        assert all(one == two for one, two in names(work, partners, other).items())

    def test_the_objective_sees_them_row_by_row(
        self, turned: None, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[tuple[list[list[int]], list[list[int]]]] = []

        def terms(self: Translating, batch: Any) -> dict[str, Term]:
            task = batch.task
            seen.append((task.view.ids.tolist(), task.translated.ids.tolist()))
            return {"translated": Term(task.translated.pooled().sum(), 1)}

        monkeypatch.setattr(Translating, "terms", terms)
        world.run(world.stage("finetune", **TRANSLATED, finetune={"steps": 2}))
        tokenizer = world.resources().tokenizer(world.stage("finetune", **TRANSLATED))
        text = {
            code: {
                record.id: tokenizer.build_single(tokenizer.encode_texts([record.text])[0])
                for record in Topical().read([world.catalogue.languages.get(code)], "train")
            }
            for code in ("aaa", "bbb")
        }
        pairs = {(tuple(text["aaa"][name]), tuple(text["bbb"][name])) for name in text["aaa"]}
        for own, translated in seen:
            for rows in zip(own, translated, strict=True):
                assert tuple(tuple(n for n in row if n != 1) for row in rows) in pairs

    def test_items_that_fill_several_rows_keep_their_order(
        self, new_world: Worlds, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A long sentence is cut between words; its translation may be cut into more or fewer."""
        world = new_world(data={"shortest": 3, "longest": 20})
        work = work_of(world, task=("tags",), finetune={"max_length": 12})
        other, partners = joint.translations_of(work)
        assert len(work.examples) > 24
        assert set(partners) == set(range(len(work.examples)))
        rows: dict[int, list[int]] = {}
        for row in range(len(other)):
            rows.setdefault(int(other.table.row("item", row)[0]), []).append(row)
        part: dict[int, int] = {}
        for row in range(len(work.examples)):
            item = int(work.examples.table.row("item", row)[0])
            number = part[item] = part.get(item, -1) + 1
            assert partners[row] == rows[item][min(number, len(rows[item]) - 1)]

    def test_missing_ones_are_an_error_that_names_one(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read = Topical.read

        def lack(self: Topical, languages: Any, split: str) -> Any:
            found = list(read(self, languages, split))
            return found if languages[0].code == "aaa" else found[:-3]

        monkeypatch.setattr(Topical, "read", lack)
        message = "3 of 24 training items have no translation.*no item 'train-21'"
        with pytest.raises(ValueError, match=message):
            world.run(world.stage("finetune", **TRANSLATED))

    @pytest.mark.parametrize("where", ["aaa", "bbb"])
    def test_items_that_share_an_id_are_an_error(
        self, where: str, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read = Topical.read

        def same(self: Topical, languages: Any, split: str) -> Any:
            found = list(read(self, languages, split))
            if languages[0].code == where:
                found[7] = replace(found[7], id=found[3].id)
            return found

        monkeypatch.setattr(Topical, "read", same)
        with pytest.raises(ValueError, match="several items have the id 'train-3'"):
            world.run(world.stage("finetune", **TRANSLATED))

    def test_a_language_without_training_data_leaves_cells_that_say_so(
        self, new_world: Worlds
    ) -> None:
        world = new_world(suite={"tasks": {"finding": {"source": "bitext"}, "topics": _partial()}})
        plan = world.plan(**TRANSLATED)
        assert {cell.unavailable for cell in plan.cells} == {"there is no text in bbb"}


def _partial() -> dict[str, Any]:
    return {"source": "bitext", "options": {"missing": ["bbb"]}}


class TestContamination:
    def test_translations_of_training_data_count_as_learnt(
        self, new_world: Worlds, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The test set of the other language is what the model saw as translations."""
        sentences = Topical.sentences
        monkeypatch.setattr(
            Topical,
            "sentences",
            lambda self, language, split: sentences(
                self, language, "train" if language.code == "bbb" else split
            ),
        )
        world = new_world(data={"shortest": 6, "longest": 9})
        counts = {}
        for name in ("translating", "smooth"):
            plan = world.plan(**{**DURING, "objective": (name,)})
            world.finish(plan)
            (key,) = plan.of_kind("evaluate")
            path = world.store.folder("evaluate", key) / "result.json"
            counts[name] = json.loads(path.read_text())["overlap"]
        assert counts == {"translating": 24, "smooth": 0}


class TestWhatMayBeAskedFor:
    @pytest.mark.parametrize(
        ("ask", "message"),
        [
            (lambda b: b.source, "there is no source here.*needs = {'pairs'"),
            (lambda b: b.links, "there is no links here.*needs = {'pairs'"),
            (lambda b: b.task.translated, "no translated examples.*'translated_task'"),
        ],
        ids=["pairs", "links", "translations"],
    )
    def test_what_an_objective_did_not_say_that_it_needs(
        self, ask: Callable[[Any], Any], message: str, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Smooth, "terms", lambda self, batch: ask(batch))
        with pytest.raises(ValueError, match=message):
            world.run(world.stage("finetune", **DURING, objective=("smooth",)))

    def test_without_pairs_there_are_still_embeddings_weights_and_a_stream(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looked: list[Any] = []

        def terms(self: Smooth, batch: Any) -> dict[str, Term]:
            ids = batch.task.view.ids
            looked.append(torch.rand(1, generator=batch.generator).item())
            assert batch.embeddings(ids).shape == (*ids.shape, 16)
            assert batch.embeddings().shape == (batch.vocabulary.size, 16)
            assert all(parameter.requires_grad for parameter in batch.weights().values())
            assert batch.task.labels.shape == (len(ids),)
            return {"smooth": Term(batch.embeddings(ids).sum(), 1)}

        monkeypatch.setattr(Smooth, "terms", terms)
        world.run(world.stage("finetune", **DURING, objective=("smooth",), finetune={"steps": 2}))
        assert len(set(looked)) == 2

    def test_no_term_at_all(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Smooth, "terms", lambda self, batch: {})
        with pytest.raises(ValueError, match=r"Smooth.terms gave no term at all"):
            world.run(world.stage("finetune", **DURING, objective=("smooth",)))

    def test_one_that_diverges_is_named_with_its_term(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def terms(self: Smooth, batch: Any) -> dict[str, Term]:
            return {"smooth": Term(batch.task.view.pooled().sum() * torch.nan, 1)}

        monkeypatch.setattr(Smooth, "terms", terms)
        with pytest.raises(FloatingPointError, match="the loss 'smooth' is nan at step 0"):
            world.run(world.stage("finetune", **DURING, objective=("smooth",)))

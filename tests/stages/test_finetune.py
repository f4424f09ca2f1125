"""Phase II: what is trained in each mode, accumulation, seeds, resumption."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.vocabulary import TrimmedVocabulary
from xbench.stages import finetune
from xbench.stages.resources import Resources

from ..toys import World, model_folder

Worlds = Callable[..., World]
HEAD, ENCODER = "head.safetensors", "encoder/model.safetensors"
TASKS = pytest.mark.parametrize("task", ["tags", "topics"])


def tuned(world: World, resources: Resources | None = None, **settings: Any) -> Path:
    names = ("mode", "seed", "task")
    spec = {name: (settings.pop(name),) for name in names if name in settings}
    stage = world.stage("finetune", **{"arm": ("none",), "finetune": settings, **spec})
    return world.run(stage, resources)


def curve(folder: Path) -> list[dict[str, float]]:
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return list(result["curve"])


def rows_encoded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """From now on, (rows, training mode) of every call of the embedding layer."""
    calls: list[tuple[int, bool]] = []
    embed = Encoder.embed

    def counted(self: Encoder, ids: torch.Tensor, types: Any = None) -> torch.Tensor:
        calls.append((ids.shape[1], self.training))
        return embed(self, ids, types)

    monkeypatch.setattr(Encoder, "embed", counted)
    return calls


@TASKS
def test_full_changes_the_encoder_and_learns(world: World, toy_model: Path, task: str) -> None:
    folder = tuned(world, task=task, steps=120, encoder_learning_rate=5e-3)
    before, after = load_file(toy_model / "model.safetensors"), load_file(folder / ENCODER)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name for name in before if "layer." in name} <= changed
    assert not [name for name in changed if "lm_head" in name]
    losses = [point["loss"] for point in curve(folder)]
    assert losses[-1] < 0.7 * losses[0]
    assert Encoder.from_folder(folder / "encoder").has_mlm_head


@TASKS
def test_linear_leaves_the_encoder_alone_and_encodes_once_in_evaluation_mode(
    world: World, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources, calls = world.resources(), rows_encoded(monkeypatch)
    stages = [
        world.stage("finetune", arm=("none",), mode=("linear",), seed=(s,), task=(task,))
        for s in (1, 2, 3)
    ]
    heads = []
    for stage in stages:
        folder = world.run(stage, resources)
        assert not (folder / ENCODER).exists()
        heads.append(load_file(folder / HEAD)["weight"])
    assert sum(rows for rows, _ in calls) == 24
    assert not any(training for _, training in calls)
    encoder = finetune.frozen_encoder(stages[0], resources)
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    for name, value in Encoder.from_folder(world.model).state_dict().items():
        assert torch.equal(encoder.state_dict()[name], value)
    assert not torch.equal(heads[0], heads[1])


def test_full_encodes_in_training_mode(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = rows_encoded(monkeypatch)
    tuned(world, steps=3)
    assert sum(rows for rows, _ in calls) == 3 * 4
    assert all(training for _, training in calls)


@pytest.mark.parametrize("mode", ["full", "linear"])
@pytest.mark.parametrize("chunks", [2, 3, 4, 9])
@TASKS
def test_accumulation_equals_one_batch(
    task: str, chunks: int, mode: str, new_world: Worlds, calm_model: Path
) -> None:
    common = {"task": task, "mode": mode, "head_dropout": 0.0, "steps": 7}
    whole, cut = (tuned(new_world(calm_model), accumulate=n, **common) for n in (1, chunks))
    for first, second in zip(curve(whole), curve(cut), strict=True):
        assert first["loss"] == pytest.approx(second["loss"], rel=1e-5)
    for name, value in load_file(whole / HEAD).items():
        torch.testing.assert_close(load_file(cut / HEAD)[name], value, atol=2e-5, rtol=0)


def test_dropout_is_on_in_the_head_too(new_world: Worlds, calm_model: Path) -> None:
    heads = [
        load_file(tuned(new_world(calm_model), mode="linear", head_dropout=p) / HEAD)["weight"]
        for p in (0.0, 0.5)
    ]
    assert not torch.equal(*heads)


def test_seeds_differ_in_the_head_and_in_the_order(world: World) -> None:
    stages = [world.stage("finetune", arm=("none",), seed=(seed,)) for seed in (15, 33)]
    works = [finetune.prepare(stage, world.resources()) for stage in stages]
    heads = [finetune.new_head(w.stage, w.settings, hidden_size=16) for w in works]
    assert not torch.equal(heads[0].weight, heads[1].weight)
    assert 0.01 < float(heads[0].weight.detach().std()) < 0.03
    orders = [[row for step in range(6) for row in work.rows(step)] for work in works]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(24))


def test_arms_share_the_head_and_the_order(world: World) -> None:
    """Common random numbers: the same seed starts every encoder's fine-tuning alike."""
    stages = [world.stage("finetune", arm=(arm,)) for arm in ("none", "aligned")]
    untouched, aligned = (finetune.prepare(stage, world.resources()) for stage in stages)
    assert [untouched.rows(step) for step in range(9)] == [aligned.rows(step) for step in range(9)]
    heads = [finetune.new_head(w.stage, w.settings, 16).weight for w in (untouched, aligned)]
    assert torch.equal(*heads)


def test_epochs_count_a_last_smaller_batch(new_world: Worlds) -> None:
    world = new_world(data={"count": 10})
    stage = world.stage("finetune", arm=("none",), finetune={"epochs": 3})
    work = finetune.prepare(stage, world.resources())
    assert (work.per_epoch, work.steps) == (3, 9)
    epochs = [
        [row for step in range(3 * e, 3 * e + 3) for row in work.rows(step)] for e in range(3)
    ]
    assert [len(work.rows(step)) for step in range(4)] == [4, 4, 2, 4]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    folder = world.run(stage)
    assert json.loads((folder / "result.json").read_text())["steps"] == 9


def test_training_starts_from_the_aligned_checkpoint(new_world: Worlds) -> None:
    world = new_world()
    world.run(world.stage("align"))
    after = load_file(world.run(world.stage("finetune", finetune={"steps": 1})) / ENCODER)
    untouched = load_file(tuned(new_world(), steps=1) / ENCODER)
    assert any(not torch.equal(after[name], untouched[name]) for name in after)
    (folder,) = (world.store.root / "align").glob("*/step-12")
    start = load_file(folder / "model.safetensors")
    # one step of Adam moves a weight by at most its learning rate
    assert max(float((after[name] - start[name]).abs().max()) for name in start) < 1.1e-3


def test_a_training_sample_is_used(world: World) -> None:
    folder = tuned(world, max_train=7, steps=2)
    assert json.loads((folder / "result.json").read_text())["examples"] == 7


@pytest.mark.parametrize("mode", ["full", "linear"])
@TASKS
def test_a_resumed_fine_tuning_is_bitwise_the_undisturbed_one(
    mode: str,
    task: str,
    new_world: Worlds,
    interrupted: Callable[[int, Callable[[], object]], None],
) -> None:
    asked = {"mode": mode, "task": task, "steps": 14, "accumulate": 2, "warmup": 0.2}
    undisturbed = tuned(new_world(), **asked)
    world = new_world(state_interval=0.0)
    for step in (1, 2, 9, 13):
        interrupted(step, lambda: tuned(world, **asked))
    resumed = tuned(world, **asked)
    for name in (HEAD, "result.json", *([ENCODER] if mode == "full" else [])):
        assert (resumed / name).read_bytes() == (undisturbed / name).read_bytes()


def test_a_damaged_state_starts_over(
    new_world: Worlds, interrupted: Callable[[int, Callable[[], object]], None]
) -> None:
    world = new_world(state_interval=0.0)
    interrupted(8, lambda: tuned(world))
    (path,) = (world.store.root / "work").rglob("state-*.safetensors")
    path.write_bytes(path.read_bytes()[:100])
    resumed, undisturbed = tuned(world), tuned(new_world())
    assert (resumed / HEAD).read_bytes() == (undisturbed / HEAD).read_bytes()
    assert curve(resumed) == curve(undisturbed)


def test_the_stored_model_is_the_trained_one(world: World) -> None:
    for mode in ("full", "linear"):
        stage = world.stage("finetune", arm=("none",), mode=(mode,))
        with world.store.write(stage.kind, stage.key, stage.spec) as entry:
            trained = finetune.run(stage, world.resources(), entry)
        again = finetune.load(stage, world.resources())
        for first, second in ((trained.encoder, again.encoder), (trained.head, again.head)):
            assert not first.training
            assert not second.training or isinstance(second, type(trained.head))
            for name, value in first.state_dict().items():
                assert torch.equal(value, second.state_dict()[name])


@pytest.mark.parametrize("mode", ["full", "linear"])
def test_bf16_runs_on_a_cpu_and_the_head_stays_in_float32(new_world: Worlds, mode: str) -> None:
    half, whole = (
        tuned(new_world(), mode=mode, precision=precision, steps=5)
        for precision in ("bf16", "fp32")
    )
    for first, second in zip(curve(half), curve(whole), strict=True):
        assert first["loss"] == pytest.approx(second["loss"], rel=0.02)
    assert load_file(half / HEAD)["weight"].dtype == torch.float32


def test_a_training_that_diverges_says_so(new_world: Worlds, tmp_path: Path) -> None:
    model = model_folder(tmp_path / "nan")
    encoder = Encoder.from_folder(model)
    encoder.layers[1].output_norm.bias.data[0, 3] = torch.nan
    encoder.save(model)
    with pytest.raises(FloatingPointError, match="'loss' is nan at step 0"):
        tuned(new_world(model))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_text_is_pooled_as_asked(pooling: str, new_world: Worlds) -> None:
    other = {"mean": "cls", "cls": "mean"}[pooling]
    first, second = (
        tuned(new_world(), task="topics", mode="linear", sentence_pooling=how)
        for how in (pooling, other)
    )
    assert curve(first) != curve(second)


@TASKS
def test_training_the_rows_that_are_read_is_training_all(
    new_world: Worlds, calm_model: Path, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without dropout; word embeddings that no text reads are decayed alike."""
    how = {"task": task, "steps": 12, "weight_decay": 0.3, "head_dropout": 0.0, "warmup": 0.2}
    trained: list[int] = []
    restore = TrimmedVocabulary.restore

    def counted(self: TrimmedVocabulary, decay: float) -> None:
        trained.append(len(self.ids))
        restore(self, decay)

    monkeypatch.setattr(TrimmedVocabulary, "restore", counted)
    few = tuned(new_world(calm_model), encoder_learning_rate=1e-3, **how)
    monkeypatch.setattr(finetune, "trimmed", lambda work, encoder: None)
    whole = tuned(new_world(calm_model), encoder_learning_rate=1e-3, **how)
    found, expected = (load_file(folder / ENCODER) for folder in (few, whole))
    assert 0 < trained[0] < len(found["roberta.embeddings.word_embeddings.weight"])
    assert set(found) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6)
    for one, other in zip(curve(few), curve(whole), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)

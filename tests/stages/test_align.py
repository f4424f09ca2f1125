"""Phase I: checkpoints, controls, limits, resumption."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

from xbench.catalogue.settings import AlignSettings
from xbench.data.ragged import RaggedTable, write_ragged
from xbench.data.tokenizer import Tokenizer
from xbench.nn.encoders.encoder import Encoder
from xbench.plan.kinds.pairs import PairPlace, PairText
from xbench.plan.records import DataId, DataPlace
from xbench.stages.inputs.pairs import Corpus, PairInput, PairRow, pair_texts

from ..toys import Everything, World, model_folder

Worlds = Callable[..., World]
WEIGHTS = "model.safetensors"


def curve(folder: Path) -> list[dict[str, float]]:
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return list(result["curve"])


def aligned(world: World, **settings: Any) -> Path:
    spec = {
        name: settings.pop(name) for name in ("objective", "arm", "align_seed") if name in settings
    }
    return world.run(world.stage("align", align=settings, **spec))


def weights(folder: Path, step: int) -> dict[str, torch.Tensor]:
    return load_file(folder / f"step-{step}" / WEIGHTS)


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def test_checkpoints_load_with_transformers_and_are_the_same_encoder(world: World) -> None:
    folder = aligned(world, checkpoints=[5])
    assert sorted(path.name for path in folder.glob("step-*")) == ["step-12", "step-5"]
    assert not equal(weights(folder, 5), weights(folder, 12))
    for step in (5, 12):
        checkpoint = folder / f"step-{step}"
        tokens = AutoTokenizer.from_pretrained(checkpoint)("babe kuto dadi", return_tensors="pt")
        model = AutoModel.from_pretrained(checkpoint, add_pooling_layer=False).eval()
        masked = AutoModelForMaskedLM.from_pretrained(checkpoint).eval()
        ours = Encoder.from_folder(checkpoint).eval()
        ids, mask = tokens["input_ids"], tokens["attention_mask"]
        with torch.no_grad():
            states = ours(ids.unsqueeze(0), mask.unsqueeze(0))[-1]
            expected = model(**tokens).last_hidden_state
            torch.testing.assert_close(states[0], expected, atol=1e-5, rtol=0)
            logits, expected = ours.mlm_logits(states[:, 0])[0], masked(**tokens).logits[0]
            torch.testing.assert_close(logits, expected, atol=1e-5, rtol=0)


def test_a_checkpoint_on_the_way_does_not_change_the_way(new_world: Worlds) -> None:
    first, second = (aligned(new_world(), checkpoints=steps) for steps in ([], [1, 7]))
    assert (first / "step-12" / WEIGHTS).read_bytes() == (second / "step-12" / WEIGHTS).read_bytes()


def test_the_curve_has_every_term_and_their_sum(world: World) -> None:
    points = curve(aligned(world))
    assert [point["step"] for point in points] == [0, 10, 11]
    for point in points:
        terms = [point[name] for name in ("contrast", "mlm", "joint", "embedding")]
        assert point["loss"] == pytest.approx(sum(terms), rel=1e-5)
    assert points[-1]["loss"] < points[0]["loss"]


def test_progress_counts_the_steps_that_are_done(world: World) -> None:
    heard: list[tuple[int, int]] = []
    resources = world.resources(lambda step, steps, values: heard.append((step, steps)))
    world.run(world.stage("align"), resources)
    assert heard == [(1, 12), (11, 12), (12, 12)]


def test_seeds_change_the_order_and_nothing_else_is_left_to_chance(new_world: Worlds) -> None:
    first, again, other = (aligned(new_world(), align_seed=(s,)) for s in (42, 42, 43))
    assert equal(weights(first, 12), weights(again, 12))
    assert curve(first) == curve(again)
    assert not equal(weights(first, 12), weights(other, 12))


def test_the_state_of_torchs_own_generator_does_not_matter(new_world: Worlds) -> None:
    folders = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        folders.append(aligned(new_world(), objective=("remembering:all",), steps=4))
    assert equal(weights(folders[0], 4), weights(folders[1], 4))


def test_the_objective_hears_of_every_step(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[tuple[type, int, bool]] = []

    def after_step(self: Any, encoder: Any, step: int) -> None:
        updated = all(parameter.grad is None for parameter in encoder.parameters())
        heard.append((type(encoder), step, updated))

    monkeypatch.setattr(Everything, "after_step", after_step)
    aligned(world, steps=3)
    assert heard == [(Encoder, step, True) for step in range(3)]


STEPS = 14
OBJECTIVES = {
    "everything": {"objective": ("everything:all",)},
    "in chunks": {"objective": ("everything:all",), "accumulate": 4},
    "buffers": {"objective": ("remembering:all",)},
    "smoothed hard negatives": {
        "objective": {"hictl": {"hard": {"smoothed_hard_negatives": True, "negatives": 20}}}
    },
    "warm-up and decay": {"warmup": 0.4, "weight_decay": 0.1, "accumulate": 2},
}


@pytest.mark.parametrize("asked", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_a_resumed_alignment_is_bitwise_the_undisturbed_one(
    asked: dict[str, Any],
    new_world: Worlds,
    interrupted: Callable[[int, Callable[[], object]], None],
) -> None:
    asked = {**asked, "steps": STEPS, "checkpoints": [3, 9]}
    undisturbed = aligned(new_world(), **asked)
    world = new_world(state_interval=0.0)
    for step in (1, 3, 8, 13):
        interrupted(step, lambda: aligned(world, **asked))
    resumed = aligned(world, **asked)
    for step in (3, 9, STEPS):
        name = f"step-{step}/{WEIGHTS}"
        assert (resumed / name).read_bytes() == (undisturbed / name).read_bytes()
    assert (resumed / "result.json").read_bytes() == (undisturbed / "result.json").read_bytes()


def test_resumption_goes_on_from_the_saved_step(new_world: Worlds) -> None:
    """Killed while telling of its progress, after the update and before the state was saved."""
    world = new_world(state_interval=0.0)
    stage = world.stage("align")
    heard: list[int] = []

    def stop(step: int, steps: int, values: object) -> None:
        heard.append(step)
        if step == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.run(stage, world.resources(stop))
    folder = world.run(stage, world.resources(lambda step, steps, values: heard.append(step)))
    assert heard == [1, 11, 11, 12]
    assert (folder / "result.json").read_bytes() == (
        aligned(new_world()) / "result.json"
    ).read_bytes()


def test_a_damaged_state_or_a_lost_checkpoint_starts_over(
    new_world: Worlds, interrupted: Callable[[int, Callable[[], object]], None]
) -> None:
    undisturbed = aligned(new_world(), checkpoints=[5])
    for damage in ("state", "checkpoint"):
        world = new_world(state_interval=0.0)
        interrupted(8, lambda: aligned(world, checkpoints=[5]))  # noqa: B023
        work = world.store.work_folder(world.stage("align", align={"checkpoints": [5]}).key)
        if damage == "state":
            (path,) = work.glob("state-*.safetensors")
            path.write_bytes(path.read_bytes()[:100])
        else:
            (work / "step-5" / WEIGHTS).unlink()
        resumed = aligned(world, checkpoints=[5])
        assert equal(weights(resumed, 12), weights(undisturbed, 12))
        assert equal(weights(resumed, 5), weights(undisturbed, 5))
        assert curve(resumed) == curve(undisturbed)


def test_what_no_term_reaches_stays_as_it_was(world: World, toy_model: Path) -> None:
    """Only the first of two layers is asked for."""
    hictl = {"hictl": {"low": {"word": 0, "mlm": 0, "depth": 0.5}}}
    folder = aligned(world, objective=hictl, weight_decay=0.1)
    before, after = load_file(toy_model / WEIGHTS), weights(folder, 12)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any("layer.0." in name for name in changed)
    assert not [name for name in changed if "layer.1." in name or "lm_head" in name]


def test_a_loss_that_is_not_finite_names_term_and_step(world: World) -> None:
    with pytest.raises(FloatingPointError, match="'bad' is nan at step 3;"):
        aligned(world, objective=("diverging",))


def test_weights_that_are_not_finite_are_never_saved(world: World) -> None:
    with pytest.raises(FloatingPointError, match="not finite after step 3;"):
        aligned(world, objective=("diverging",), checkpoints=[4])
    key = world.stage("align", objective=("diverging",), align={"checkpoints": [4]}).key
    assert not list(world.store.work_folder(key).glob("step-*"))


def test_bf16_runs_on_a_cpu_and_is_close_to_float32(new_world: Worlds) -> None:
    half, whole = (aligned(new_world(), precision=p, steps=3) for p in ("bf16", "fp32"))
    for first, second in zip(curve(half), curve(whole), strict=True):
        assert first["loss"] == pytest.approx(second["loss"], rel=0.02)
    assert not equal(weights(half, 3), weights(whole, 3))
    assert all(value.dtype == torch.float32 for value in weights(half, 3).values())


def test_more_chunks_than_pairs_are_as_many_as_pairs(new_world: Worlds) -> None:
    each, more = (aligned(new_world(), accumulate=n, steps=2) for n in (6, 50))
    assert equal(weights(each, 2), weights(more, 2))


@pytest.mark.parametrize("chunks", [2, 4, 6])
def test_chunks_equal_the_whole_batch(chunks: int, new_world: Worlds, calm_model: Path) -> None:
    contrast = {"objective": ("everything:contrast",), "steps": 4}
    whole, cut = (aligned(new_world(calm_model), accumulate=n, **contrast) for n in (1, chunks))
    assert curve(cut)[0]["loss"] == pytest.approx(curve(whole)[0]["loss"], rel=1e-6)
    for name, value in weights(whole, 4).items():
        torch.testing.assert_close(weights(cut, 4)[name], value, atol=2e-5, rtol=0)


# --- the corpus --------------------------------------------------------------------------------


def table(folder: Path, size: int) -> RaggedTable:
    """Pair i is the token 100 + i and its translation 200 + i."""
    write_ragged(
        folder / "pairs.arrow", ({"source": [100 + i], "target": [200 + i]} for i in range(size))
    )
    return RaggedTable.open(folder / "pairs.arrow")


def corpus(pairs: RaggedTable, seed: int = 42, arm: str = "aligned", **settings: Any) -> Corpus:
    checked = AlignSettings(steps=9, **{"batch_size": 4, **settings})
    data, place = DataId(split="train"), DataPlace("toys", {}, None, None, ("aaa", "bbb"))
    text = PairText(arm=arm, corpus=data)
    return Corpus(pairs, PairInput(text, PairPlace(place), checked, has_words=False), seed)


def epoch(corpus: Corpus, number: int = 0) -> list[tuple[int, int]]:
    steps = corpus.size // 4
    batches = [corpus.batch(number * steps + step) for step in range(steps)]
    assert all(len(batch) == 4 for batch in batches)
    return [(int(pair.source[0]), int(pair.target[0])) for batch in batches for pair in batch]


def test_an_epoch_holds_each_pair_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    pairs = table(tmp_path, 20)
    first, second = (epoch(corpus(pairs), number) for number in (0, 1))
    assert sorted(first) == sorted(second) == [(100 + i, 200 + i) for i in range(20)]
    assert first != second
    assert first != epoch(corpus(pairs, seed=43))
    assert first == epoch(corpus(pairs))


def test_steps_can_be_asked_for_in_any_order(tmp_path: Path) -> None:
    pairs = table(tmp_path, 22)
    forwards = corpus(pairs)
    expected = [forwards.batch(step) for step in range(12)]
    backwards = corpus(pairs)
    for step in reversed(range(12)):
        assert backwards.batch(step) == expected[step]


def test_a_last_smaller_batch_is_left_out_and_its_pairs_come_another_time(tmp_path: Path) -> None:
    some = corpus(table(tmp_path, 11))
    epochs = [epoch(some, number) for number in range(12)]
    assert {len(each) for each in epochs} == {8}
    assert {pair for each in epochs for pair in each} == {(100 + i, 200 + i) for i in range(11)}


def test_the_sample_of_the_corpus_does_not_depend_on_the_seed(tmp_path: Path) -> None:
    pairs = table(tmp_path, 50)
    samples = [corpus(pairs, seed, max_pairs=12) for seed in (1, 2)]
    assert [sample.size for sample in samples] == [12, 12]
    assert [sample.available for sample in samples] == [50, 50]
    first, second = map(epoch, samples)
    assert first != second
    assert sorted(first) == sorted(second)
    rows = sorted(source - 100 for source, _ in first)
    assert rows != list(range(12))  # not the beginning of the corpus


@pytest.mark.parametrize("size", [4, 5, 40])
def test_the_shuffled_arm_has_the_same_text_wrongly_paired(tmp_path: Path, size: int) -> None:
    pairs = table(tmp_path, size)
    right, wrong = corpus(pairs), corpus(pairs, arm="shuffled")
    for number in range(size):
        for (source, true), (same, partner) in zip(
            epoch(right, number), epoch(wrong, number), strict=True
        ):
            assert source == same
            assert partner != true
    everything = {pair for number in range(12) for pair in epoch(wrong, number)}
    assert sorted(source for source, _ in everything) == list(range(100, 100 + size))
    assert sorted(target for _, target in everything) == list(range(200, 200 + size))
    other_seed = corpus(pairs, seed=7, arm="shuffled")
    assert everything == {pair for number in range(12) for pair in epoch(other_seed, number)}


def test_the_shuffled_arm_trains_differently(new_world: Worlds) -> None:
    contrast = ("everything:contrast",)
    right, wrong = (
        aligned(new_world(), objective=contrast, arm=(arm,)) for arm in ("aligned", "shuffled")
    )
    assert not equal(weights(right, 12), weights(wrong, 12))


def test_a_corpus_smaller_than_a_batch_is_refused(new_world: Worlds) -> None:
    world = new_world(corpus={"count": 5})
    with pytest.raises(ValueError, match=r"5 usable pairs, fewer than one batch of 6; lower align"):
        aligned(world)


def test_the_result_says_how_much_text_was_used(world: World) -> None:
    folder = aligned(world, max_pairs=10, steps=2)
    result = json.loads((folder / "result.json").read_text())
    assert (result["pairs"], result["pairs_available"]) == (10, 24)


# --- inputs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target", "kept"),
    [
        (3, 4, (3, 4)),
        (30, 30, (18, 18)),
        (30, 2, (30, 2)),
        (40, 2, (34, 2)),
        (2, 40, (2, 34)),
        (17, 40, (17, 19)),
        (40, 17, (19, 17)),
        (18, 18, (18, 18)),
    ],
)
def test_a_joint_input_is_cut_to_what_the_encoder_takes(
    toy_model: Path, source: int, target: int, kept: tuple[int, int]
) -> None:
    """40 positions, of which 4 are special tokens; each side keeps at least its half."""
    tokenizer = Tokenizer.from_folder(toy_model)
    first, second = np.full(source, 7, np.int32), np.full(target, 8, np.int32)
    texts = pair_texts([PairRow(first, second)], tokenizer, max_positions=40)
    assert texts.joint.ids.tolist() == [[0, *[7] * kept[0], 2, 2, *[8] * kept[1], 2]]
    assert texts.source.ids.tolist() == [[0, *[7] * source, 2]]
    assert texts.target.ids.tolist() == [[0, *[8] * target, 2]]
    assert texts.joint.token_types is None


def test_long_sentences_train_on_an_encoder_with_few_positions(
    new_world: Worlds, tmp_path: Path
) -> None:
    model = model_folder(tmp_path / "short", max_positions=12)
    world = new_world(model, corpus={"shortest": 9, "longest": 14})
    folder = aligned(world, max_length=64, steps=2)
    assert np.isfinite(curve(folder)[-1]["joint"])

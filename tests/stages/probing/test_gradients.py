"""Gradients that a probe sees: of tasks, of objectives and of the language model."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from xbench.api import MissingData
from xbench.nn.text import Text, pad
from xbench.nn.text_view import TextView
from xbench.stages.probing.gradients import aligned_pairs, labelled_examples
from xbench.stages.probing.parts import Parts
from xbench.stages.resources import text_format
from xbench.stages.training.features import features
from xbench.store import Store

from ...command import plan_of
from .asking import Seen, asked, seen_aligned


def dot(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> float:
    return float(sum((a[name].double() * b[name].double()).sum() for name in a if name in b))


def test_a_gradient_is_that_of_the_mean_loss_of_its_part(seen: Seen) -> None:
    gradients = seen.gradients
    assert gradients.task == "pos"
    found = gradients.of_task("qaa", 1, 2)
    examples = labelled_examples(seen.stage, seen.resources, "qaa")
    batches = Parts(range(len(examples)), 2, 4, 4, "task").part(1)
    rows = [row for batch in batches for row in batch]
    assert len(rows) == 8
    encoder = seen.encoder.requires_grad_(True)
    assert seen.tuned is not None
    format = text_format(seen.resources.tokenizer(seen.stage))
    batch = examples.batch(rows, format.vocabulary.pad_id, "cpu")
    vectors = features(encoder, batch, format, examples.level, "mean", "other")
    F.cross_entropy(seen.tuned.head(vectors), batch.labels).backward()
    expected = {n: p.grad for n, p in encoder.named_parameters() if p.grad is not None}
    assert set(found) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-6, rtol=1e-4)


def test_parts_are_disjoint_and_the_same_each_time(seen: Seen) -> None:
    cut = Parts(range(100), parts=4, size=4, batches=4, name="task")
    parts = [cut.part(number) for number in range(4)]
    flat = [{n for batch in part for n in batch} for part in parts]
    assert sum(map(len, flat)) == len(set().union(*flat)) == 16
    gradients = seen.gradients
    first, again = (gradients.of_masked_lm("qab", 0, 2) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = gradients.of_masked_lm("qab", 1, 2)
    assert dot(first, other) < 0.99 * (dot(first, first) * dot(other, other)) ** 0.5


def test_the_head_of_the_language_model_is_no_part_of_the_encoder(seen: Seen) -> None:
    gradients = seen.gradients
    gradient = gradients.of_masked_lm("qab", 0, 2)
    assert not any("mlm_head" in name for name in gradient)
    places = {gradients.module_of(name) for name in gradient}
    layers = {layer for layer, _ in places}
    assert layers == {None, *range(1, seen.encoder.config.num_layers + 1)}
    assert {kind for _, kind in places} == {"embeddings", "attention", "feed_forward", "norm"}


def test_an_aligned_encoder_has_the_gradient_of_its_objective(store: Store) -> None:
    gradients = replace(seen_aligned(store, pair=["qaa-qac"]), tuned=None).gradients
    assert gradients.objective == "hictl"
    found = gradients.of_objective(0, 2)
    assert 0 < dot(found, found) < float("inf")
    assert gradients.task is None
    with pytest.raises(MissingData, match="labelled text"):
        gradients.of_task("qaa", 0, 2)


def aligned_with(store: Store, **options: Any) -> Seen:
    """The aligned encoder, whose alignment had ``align.`` options."""
    given = {f"align.{name}": value for name, value in options.items()}
    return seen_aligned(store, task=[], options=given)


def test_gradients_are_float32_whatever_the_precision_of_the_run(seen: Seen) -> None:
    """In bfloat16 a small cosine moves by a third of itself."""
    gradients, stage = seen.gradients, seen.stage
    kinds: set[torch.dtype] = set()
    for module in seen.encoder.modules():
        module.register_forward_hook(
            lambda module, given, output: (
                kinds.add(output.dtype) if isinstance(output, torch.Tensor) else None
            )
        )
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", torch.bfloat16):
            found = gradients.of_masked_lm("qab", 0, 2)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    plain = gradients.of_masked_lm("qab", 0, 2)
    assert kinds == {torch.float32}
    for name, value in plain.items():
        torch.testing.assert_close(found[name], value)
    assert stage.spec.settings.precision == "fp32"


def test_the_precision_of_a_run_is_not_that_of_its_gradients() -> None:
    """The stage says what is used, and states keep the precision that was asked for."""
    plan = plan_of(asked("steep", "look", options={"probing.precision": "bf16"}))
    found = {
        cell.coordinates["probe"]: plan.stages[cell.probe].spec.settings.precision
        for cell in plan.cells
        if cell.probe
    }
    assert found == {"steep": "fp32", "look": "bf16"}


def test_the_objectives_gradient_is_of_the_batches_that_were_trained(store: Store) -> None:
    """Of another number of pairs a contrast has another number of negatives."""
    seen = aligned_with(store, batch_size=10, max_length=9)
    assert seen.stage.spec.settings.gradient_batch_size == 4  # of tasks and sentences
    pairs = aligned_pairs(seen.stage, seen.resources, seen.text)
    assert len(pairs) == 20
    tokenizer = seen.resources.tokenizer(seen.stage)
    format = text_format(tokenizer)
    room = 9 - tokenizer.special_tokens_single
    assert max(len(row.source) for row in pairs) == room
    (batch,) = Parts(pairs, parts=2, size=10, batches=4, name="objective").part(1)
    assert len(batch) == 10
    found = seen.gradients.of_objective(1, 2)

    encoder = seen.encoder.requires_grad_(True)
    encoder.zero_grad(set_to_none=True)
    sides = []
    for texts in ([row.source for row in batch], [row.target for row in batch]):
        rows = [tokenizer.build_single(ids.tolist()) for ids in texts]
        view = TextView(encoder, Text(pad(rows, format.vocabulary.pad_id)), format, ("x",))
        sides.append(view)
    from xbench_plugins.objectives.hictl import HiCTL

    assert seen.stage.spec.objective.config["sentence"] == 1  # S1W0M0: NTX alone
    config = HiCTL.variants["S1W0M0"]
    u_BD, v_BD = (view.pooled(config.depth, "mean") for view in sides)
    both_D = F.normalize(torch.cat([u_BD, v_BD]), dim=1)
    logits = both_D @ both_D.T / config.temperature
    logits.fill_diagonal_(-torch.inf)
    partner = torch.arange(20).roll(10)
    F.cross_entropy(logits, partner).backward()
    for name, parameter in encoder.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(found[name], parameter.grad, atol=1e-5, rtol=1e-3)
    encoder.zero_grad(set_to_none=True)


def test_a_batch_in_chunks_has_the_gradient_of_the_whole(store: Store) -> None:
    """S1W0M0 draws nothing at random, so that chunks change nothing but sums."""
    whole = aligned_with(store, batch_size=8)
    chunked = aligned_with(store, batch_size=8, accumulate=3)
    chunked.encoder.load_state_dict(whole.encoder.state_dict())
    one, other = (each.gradients.of_objective(0, 2) for each in (whole, chunked))
    assert dot(one, one) > 0
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("mode", [["full"], ["linear"], ["full", "linear"]])
def test_gradients_of_each_task_are_those_of_a_head_fitted_on_the_frozen_encoder(
    mode: list[str],
) -> None:
    """Whether or not the run asks for linear fine-tuning."""
    plan = plan_of(asked("steep", "look", task=["pos", "topic"], mode=mode, seed=[15, 33]))
    cells = [cell for cell in plan.cells if cell.probe]
    places = {
        (c.coordinates["arm"], c.coordinates["probe"], c.coordinates.get("task")) for c in cells
    }
    assert len(cells) == len(places)
    for arm in ("none", "aligned"):
        own = {place[1:] for place in places if place[0] == arm}
        assert own == {("steep", "pos"), ("steep", "topic"), ("look", None)}
    for cell in cells:
        stage = plan.stages[str(cell.probe)]
        if cell.coordinates["probe"] == "look":
            assert stage.spec.head is None
            continue
        head = plan.stages[stage.spec.head]
        assert stage.spec.head in stage.parents
        assert (head.spec.mode, head.spec.seed) == ("linear", 15)
        assert head.places.task == cell.coordinates["task"]
        assert head.spec.encoder == stage.spec.encoder


def test_without_a_task_gradients_are_of_the_language_model_alone() -> None:
    plan = plan_of(asked("steep", task=[], arm=["none"]))
    (cell,) = plan.cells
    assert plan.stages[str(cell.probe)].spec.head is None


def test_an_objective_that_compares_with_a_queue_has_one(store: Store) -> None:
    """It is empty in an objective that was just set up: nothing would be learnt from."""
    few = {"objective.xlco.queue": 64}
    gradients = seen_aligned(store, objective=["xlco"], options=few).gradients
    found, again, other = (gradients.of_objective(part, 2) for part in (0, 0, 1))
    assert dot(found, found) > 0
    assert dot(found, again) == dot(found, found) != dot(other, other)


def test_what_a_queue_is_filled_with_is_in_no_part() -> None:
    def flat(batches: list[list[int]]) -> set[int]:
        return {number for batch in batches for number in batch}

    many = Parts(range(100), parts=2, size=4, batches=4, name="objective")
    assert len(flat(many.unused(0))) == 84
    assert not flat(many.unused(0)) & (flat(many.part(0)) | flat(many.part(1)))
    few = Parts(range(16), parts=2, size=4, batches=4, name="objective")
    assert flat(few.unused(0)) == flat(few.part(1))


def test_an_objective_that_needs_more_than_pairs_says_so(store: Store) -> None:
    gradients = seen_aligned(store, objective=["word_contrastive"]).gradients
    with pytest.raises(MissingData, match="word_contrastive learns from links"):
        gradients.of_objective(0, 2)


def test_too_little_text_is_said() -> None:
    cut = Parts(range(10), parts=4, size=4, batches=4, name="task")
    with pytest.raises(MissingData, match="too few for 4 sets"):
        cut.part(0)
    with pytest.raises(ValueError, match="part 4 of 4"):
        cut.part(4)

"""XlCo on a tiny encoder in float64: keys, queue, momentum, mixtures, and what lasts."""

import math
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from xbench_plugins.objectives.xlco import XlCo

from ..nn.batches import BEGIN as REAL_BEGIN
from ..nn.batches import END as REAL_END
from . import real_batch as real
from .fake_batch import BEGIN, END, FakeBatch, TinyEncoder, random_pairs
from .slow_contrast import (
    PAIRS,
    batch,
    check_chunks,
    check_gradient,
    close,
    gradients_after,
    nearest_share,
    ready,
    slow_loss,
    values,
)

PLAIN: dict[str, Any] = {"mixup": False, "masked": False, "direction": "source_to_target"}
CHOICES: list[dict[str, Any]] = [
    {},
    PLAIN,
    {**PLAIN, "projection": True, "similarity": "cosine", "temperature": 0.05},
    {"mixup": False, "pooling": "mean", "depth": 1.0},
    {"direction": "source_to_target", "projection": True},
]
EARLIER = random_pairs(8, seed=9)


def objective(encoder: TinyEncoder | None = None, **settings: Any) -> XlCo:
    return ready(XlCo(XlCo.Config(**{"queue": 7, **settings})), encoder)


def filled(encoder: TinyEncoder | None = None, **settings: Any) -> XlCo:
    """Prepared with other pairs than are trained on."""
    loss = objective(encoder, **settings)
    loss.prepare(iter([batch(EARLIER[:5]), batch(EARLIER[5:]), batch(EARLIER[:5], seed=1)]))
    return loss


def encode(encoder: Any, ids: list[int], config: Any) -> Tensor:
    """[D] of one framed text, by itself, by the encoder's own arithmetic."""
    content = torch.tensor([i > 4 for i in ids])
    tokens = torch.tensor(ids)
    if config.masked:
        tokens = torch.where(content & (tokens % 3 == 0), 4, tokens)
    states, everywhere = encoder.words(tokens[None]), torch.ones(1, len(ids), dtype=torch.bool)
    for layer in range(round(3 * config.depth)):
        states = encoder.layer(layer, states, everywhere)
    return states[0, 0] if config.pooling == "cls" else states[0, content].mean(0)


def texts_of(pairs: Any, seed: int, config: Any) -> list[tuple[list[int], list[int]]]:
    """The queries and keys that the step's stream decides on, by hand."""
    size = 2 if config.mixup else 1
    groups = [pairs[i : i + size] for i in range(0, len(pairs), size)]
    draws = torch.randint(8, (len(groups),), generator=torch.Generator().manual_seed(seed))
    found = []
    for group, draw in zip(groups, draws.tolist(), strict=True):
        sides = []
        for number in (0, 1):
            texts = [pair[number] for pair in group]
            if draw & (1, 2)[number]:
                texts = texts[::-1]
            both = texts[0] if len(texts) == 1 else [*texts[0], END, *texts[1]]
            sides.append([BEGIN, *both, END])
        if draw & 4 and config.direction == "random":
            sides = sides[::-1]
        found.append((sides[0], sides[1]))
    return found


# What is computed


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("settings", CHOICES)
def test_value(settings: dict[str, Any], seed: int) -> None:
    pairs = PAIRS[:5]  # odd: the last pair has no neighbour
    encoder = TinyEncoder()
    loss = filled(encoder, **settings)
    config = loss.config
    for p in encoder.parameters():  # the momentum encoder is another by now
        p.data += 0.05
    slow = TinyEncoder()
    assert loss.queue.is_full
    expected, texts = 0.0, texts_of(pairs, seed, config)
    for query, key in texts:
        q = loss.projection(encode(encoder, query, config))
        k = loss.slow_projection.encoder(encode(slow, key, config))
        expected += slow_loss(q, k, loss.queue.vectors, config.temperature, config.similarity)
    found = values(loss, FakeBatch(encoder, pairs, seed=seed))["contrast"]
    assert found == (pytest.approx(expected, rel=1e-9), len(texts))
    assert len(texts) == (3 if config.mixup else 5)


def test_the_streams_of_some_steps_turn_every_side_and_change_roles() -> None:
    """Or the test above would not see it."""
    draws = {
        draw
        for seed in (0, 1)
        for draw in torch.randint(8, (3,), generator=torch.Generator().manual_seed(seed)).tolist()
    }
    for bit in (1, 2, 4):
        assert {bool(draw & bit) for draw in draws} == {True, False}


def test_the_optimum_is_known_where_keys_are_orthonormal() -> None:
    class View:
        ids, content_mask = torch.arange(2)[:, None], torch.ones(2, 1, dtype=torch.bool)

        def pooled(self, depth: float, how: str) -> Tensor:
            return torch.eye(6, dtype=torch.float64)[:2]

    class Batch:
        source = target = View()

        def through(self, encoder: Any) -> "Batch":
            return self

    loss = objective(temperature=0.25, queue=4, **PLAIN)
    loss.queue.push(torch.eye(6, dtype=torch.float64)[2:], torch.arange(4) + 50)
    expected = math.log(1 + 4 * math.exp(-1 / 0.25))
    assert float(loss.terms(Batch())["contrast"].mean) == pytest.approx(expected, rel=1e-12)


def test_other_pairs_of_the_batch_are_no_negatives() -> None:
    loss = filled(**PLAIN)
    alone = sum(values(loss, batch([pair]))["contrast"][0] for pair in PAIRS)
    assert values(loss, batch())["contrast"][0] == pytest.approx(alone, rel=1e-12)


def test_a_pairs_own_earlier_keys_are_never_its_negatives() -> None:
    for settings in (PLAIN, {"mixup": False}, {}):
        loss = objective(queue=50, **settings)
        loss.prepare(iter([batch(PAIRS[:1], seed=seed) for seed in range(8)]))
        assert int(loss.queue.filled) == 8
        assert values(loss, batch(PAIRS[:1]))["contrast"] == (0.0, 1)
        assert values(loss, batch(PAIRS[1:2]))["contrast"][0] > 0.0


def test_gradients_reach_the_query_alone() -> None:
    encoder = TinyEncoder()
    loss = filled(encoder, projection=True, **PLAIN)
    gradients_after(loss, FakeBatch(encoder, PAIRS))
    sources = {token for x, _ in PAIRS for token in x} | {BEGIN, END}
    elsewhere = sorted(set(range(40)) - sources)
    assert any(token in elsewhere for _, y in PAIRS for token in y)
    assert not encoder.words.weight.grad[elsewhere].any()
    assert encoder.words.weight.grad.any()
    assert {n for n, p in loss.named_parameters() if p.grad is not None} == {"projection.weight"}
    learnt = {n for n, p in loss.named_parameters() if p.requires_grad}
    assert learnt == {"projection.weight"}


def test_plain_reading_shares_the_batches_own_encoding() -> None:
    loss, b = filled(**PLAIN), batch()
    b.source.pooled(2 / 3)
    b.encoder.layers_run = 0
    loss.terms(b)
    assert b.encoder.layers_run == 0


# The queue and the momentum copies


@pytest.mark.parametrize("settings", CHOICES)
def test_prepare_fills_the_queue_and_takes_no_more_than_that(settings: dict[str, Any]) -> None:
    loss = objective(**settings)
    pairs = [random_pairs(4, seed=seed) for seed in range(10)]
    batches = iter([batch(p, seed=seed) for seed, p in enumerate(pairs)])
    loss.prepare(batches)
    config = loss.config
    keys = [
        loss.slow_projection.encoder(encode(TinyEncoder(), key, config))
        for seed, p in enumerate(pairs)
        for _, key in texts_of(p, seed, config)
    ]
    per_batch = 2 if config.mixup else 4
    taken = math.ceil(7 / per_batch)
    assert len(list(batches)) == 10 - taken
    latest = torch.stack(keys[: taken * per_batch][-7:])
    oldest_first = loss.queue.vectors.roll(-int(loss.queue.pointer), 0)
    torch.testing.assert_close(oldest_first, latest, rtol=1e-12, atol=1e-12)
    assert not loss.queue.vectors.requires_grad


def test_a_corpus_smaller_than_the_queue_fills_a_part_of_it() -> None:
    loss = objective(queue=100, **PLAIN)
    loss.prepare(iter([batch(EARLIER[:5])]))
    assert int(loss.queue.filled) == 5
    part = objective(queue=5, **PLAIN)
    part.prepare(iter([batch(EARLIER[:5])]))
    assert values(loss, batch()) == close(values(part, batch()))


def test_without_a_filled_queue_the_first_step_teaches_nothing_and_fills_it() -> None:
    loss = objective(**PLAIN)
    assert values(loss, batch())["contrast"] == (0.0, 6)
    loss.after_step(TinyEncoder(), 0)
    assert int(loss.queue.filled) == 6


def test_keys_enter_after_the_step_and_only_in_training() -> None:
    loss = filled(**PLAIN)
    before = loss.queue.vectors.clone()
    loss.terms(batch())
    assert torch.equal(loss.queue.vectors, before)
    loss.after_step(TinyEncoder(), 0)
    assert not torch.equal(loss.queue.vectors, before)
    after = loss.queue.vectors.clone()
    loss.after_step(TinyEncoder(), 1)  # they enter once
    loss.eval()
    loss.terms(batch())
    loss.after_step(TinyEncoder(), 2)
    assert torch.equal(loss.queue.vectors, after)


def test_the_slow_copies_follow() -> None:
    encoder = TinyEncoder()
    loss = filled(encoder, momentum=0.75, projection=True)
    start = [p.clone() for p in loss.slow.encoder.parameters()]
    slow_start = loss.slow_projection.encoder.weight.clone()
    assert torch.equal(slow_start, loss.projection.weight)
    for p in [*encoder.parameters(), *loss.projection.parameters()]:
        p.data += 1.0
    loss.after_step(encoder, 0)
    for p, s in zip(loss.slow.encoder.parameters(), start, strict=True):
        torch.testing.assert_close(p.data, s + 0.25)
    torch.testing.assert_close(loss.slow_projection.encoder.weight.data, slow_start + 0.25)


def train(loss: XlCo, encoder: TinyEncoder, steps: range) -> list[float]:
    parameters = [p for p in [*encoder.parameters(), *loss.parameters()] if p.requires_grad]
    found = []
    for step in steps:
        pairs = random_pairs(4, seed=step)
        term = loss.terms(FakeBatch(encoder, pairs, seed=step))["contrast"]
        gradients = torch.autograd.grad(term.mean, parameters, allow_unused=True)
        with torch.no_grad():
            for p, g in zip(parameters, gradients, strict=True):
                p -= 0 if g is None else 0.05 * g
        loss.after_step(encoder, step)
        found.append(float(term.sum.detach()))
    return found


def test_a_restored_state_continues_bit_for_bit() -> None:
    encoder = TinyEncoder()
    first = filled(encoder, projection=True, momentum=0.9)
    train(first, encoder, range(4))
    other = TinyEncoder(seed=8)
    second = objective(other, projection=True, momentum=0.9)
    second.load_state_dict(first.state_dict())
    other.load_state_dict(encoder.state_dict())
    assert int(first.queue.pointer) not in (0, 7)
    assert train(first, encoder, range(4, 9)) == train(second, other, range(4, 9))
    states = first.state_dict()
    assert all(torch.equal(states[name], value) for name, value in second.state_dict().items())


# What must not matter


@pytest.mark.parametrize("settings", CHOICES)
def test_padding_changes_nothing(settings: dict[str, Any]) -> None:
    total, count = values(filled(**settings), batch())["contrast"]
    padded = values(filled(**settings), batch(padding=5))["contrast"]
    assert padded == (pytest.approx(total, rel=1e-12), count)


def test_the_order_of_the_pairs_changes_nothing_where_nothing_is_drawn() -> None:
    total, count = values(filled(**PLAIN), batch())["contrast"]
    turned = batch([PAIRS[i] for i in (4, 2, 0, 5, 1, 3)])
    assert values(filled(**PLAIN), turned)["contrast"] == (pytest.approx(total, rel=1e-12), count)


@pytest.mark.parametrize("settings", CHOICES)
def test_gradient(settings: dict[str, Any]) -> None:
    check_gradient(filled(**settings))


@pytest.mark.parametrize("settings", CHOICES)
@pytest.mark.parametrize("sizes", [[2, 3], [2, 1, 2]])
def test_chunks_change_nothing(
    sizes: list[int], settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    framed = replace(real.OFTEN, frame=lambda ids: [REAL_BEGIN, *ids, REAL_END])
    monkeypatch.setattr(real, "OFTEN", framed)
    encoder = real.tiny_encoder()
    loss = ready(XlCo(XlCo.Config(**{**settings, "queue": 7, "masked": False})), encoder)
    loss.prepare(iter([real.real_batch(encoder, [(y, x) for x, y in real.PAIRS])] * 4))
    check_chunks(loss, sizes)


# Degenerate input


@pytest.mark.parametrize("settings", CHOICES)
@pytest.mark.parametrize(
    "pairs",
    [PAIRS[:1], [([], []), PAIRS[0]], [([], [])], [PAIRS[0], PAIRS[0]], PAIRS[:3]],
    ids=["one-pair", "an-empty-pair", "only-an-empty-pair", "a-pair-twice", "odd"],
)
def test_degenerate_batches_give_finite_numbers(pairs: Any, settings: dict[str, Any]) -> None:
    loss = filled(**settings)
    assert all(g.isfinite().all() for g in gradients_after(loss, batch(pairs)))
    assert math.isfinite(values(loss, batch(pairs))["contrast"][0])
    loss.after_step(TinyEncoder(), 0)
    assert loss.queue.vectors.isfinite().all()


def test_training_finds_the_true_partners_and_not_those_of_wrong_pairs() -> None:
    wrong = [(x, PAIRS[(i + 1) % len(PAIRS)][1]) for i, (x, _) in enumerate(PAIRS)]
    found = {}
    for name, pairs in (("true", PAIRS), ("wrong", wrong)):
        encoder = TinyEncoder()
        settings = {**PLAIN, "direction": "random", "similarity": "cosine", "temperature": 0.1}
        loss = objective(encoder, momentum=0.9, **{**settings, "queue": 12})
        loss.prepare(iter([FakeBatch(encoder, pairs, seed=seed) for seed in range(2)]))
        optimiser = torch.optim.Adam(encoder.parameters(), lr=0.02)
        for step in range(100):
            optimiser.zero_grad()
            loss.terms(FakeBatch(encoder, pairs, seed=step))["contrast"].mean.backward()
            optimiser.step()
            loss.after_step(encoder, step)
        found[name] = nearest_share(encoder, PAIRS, 2 / 3, "cls")
    assert found["true"] == 1.0
    assert found["wrong"] <= 1 / len(PAIRS)  # chance


# Configuration


@pytest.mark.parametrize(
    "bad",
    [
        {"momentum": 1.1},
        {"queue": 0},
        {"temperature": 0},
        {"similarity": "euclid"},
        {"direction": "backward"},
        {"depth": 2},
        {"mix": True},
    ],
)
def test_a_bad_setting_is_refused_and_named(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        XlCo.Config(**bad)


def test_every_default_says_where_it_is_from() -> None:
    assert set(XlCo.sources) == {field.name for field in fields(XlCo.Config)}
    assert all(XlCo.sources[n].startswith("reconstruction") for n in ("momentum", "queue"))

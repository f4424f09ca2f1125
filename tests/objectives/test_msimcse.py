"""mSimCSE on translations, on a tiny encoder in float64."""

import math
from dataclasses import fields
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from xbench_plugins.objectives.msimcse import MSimCSE

from .fake_batch import FakeBatch, TinyEncoder
from .real_batch import tiny_encoder
from .slow_contrast import (
    PAIRS,
    batch,
    check_chunks,
    check_gradient,
    close,
    gradients_after,
    nearest_share,
    others,
    ready,
    slow_loss,
    values,
)

CHOICES: list[dict[str, Any]] = [
    {},
    {"head": "none", "pooling": "mean", "temperature": 0.3, "depth": 2 / 3},
    {"bidirectional": True, "similarity": "dot"},
]


def objective(**settings: Any) -> MSimCSE:
    return ready(MSimCSE(MSimCSE.Config(**settings)))


def through_head(loss: MSimCSE, vectors: Tensor) -> Tensor:
    if loss.config.head == "none":
        return vectors
    dense = loss.head[0]
    return torch.tanh(vectors @ dense.weight.T + dense.bias)


@pytest.mark.parametrize("settings", CHOICES)
def test_value(settings: dict[str, Any]) -> None:
    loss, b = objective(**settings), batch()
    config = loss.config
    u, v = (
        through_head(loss, view.pooled(config.depth, config.pooling))
        for view in (b.source, b.target)
    )
    ways = ((u, v), (v, u))[: 1 + config.bidirectional]
    expected = sum(
        slow_loss(x, other[i], others(other, i), config.temperature, config.similarity)
        for own, other in ways
        for i, x in enumerate(own)
    )
    count = len(ways) * len(PAIRS)
    assert values(loss, b)["contrast"] == (pytest.approx(expected, rel=1e-9), count)


def test_the_default_agrees_with_sentence_transformers() -> None:
    losses = pytest.importorskip("sentence_transformers.sentence_transformer.losses")
    loss, b = objective(), batch()
    u, v = (through_head(loss, view.pooled(1.0, "cls")) for view in (b.source, b.target))
    reference = losses.MultipleNegativesRankingLoss(torch.nn.Identity(), scale=20.0)
    expected = reference.compute_loss_from_embeddings([u, v], None)
    torch.testing.assert_close(loss.terms(b)["contrast"].mean, expected, rtol=1e-9, atol=0)


def test_the_head_begins_small_learns_and_is_no_part_of_the_encoder() -> None:
    loss, b = objective(), batch()
    assert {n: tuple(p.shape) for n, p in loss.named_parameters()} == {
        "head.0.weight": (6, 6),
        "head.0.bias": (6,),
    }
    assert float(loss.head[0].weight.detach().abs().max()) < 0.1
    assert not loss.head[0].bias.any()
    before = set(b.encoder.state_dict())
    gradients_after(loss, b)
    assert all(p.grad.any() for p in loss.parameters())
    assert set(b.encoder.state_dict()) == before
    assert list(objective(head="none").parameters()) == []


def test_a_restored_head_continues_bit_for_bit() -> None:
    first, second = objective(), MSimCSE()
    second.setup(TinyEncoder())  # other initial weights
    assert values(first, batch()) != values(second, batch())
    second.load_state_dict(first.state_dict())
    assert values(first, batch()) == close(values(second, batch()))


@pytest.mark.parametrize("settings", CHOICES)
def test_padding_and_order_change_nothing(settings: dict[str, Any]) -> None:
    total, count = values(objective(**settings), batch())["contrast"]
    turned = [PAIRS[i] for i in (4, 2, 0, 5, 1, 3)]
    for other in (batch(padding=5), batch(turned)):
        assert values(objective(**settings), other)["contrast"] == (
            pytest.approx(total, rel=1e-12),
            count,
        )


@pytest.mark.parametrize("settings", CHOICES)
def test_gradient(settings: dict[str, Any]) -> None:
    check_gradient(objective(**settings))


@pytest.mark.parametrize("sizes", [[2, 3], [1, 1, 1, 1, 1]])
def test_chunks_change_nothing(sizes: list[int]) -> None:
    check_chunks(ready(MSimCSE(), tiny_encoder()), sizes)
    assert MSimCSE.coupled == {"contrast"}


@pytest.mark.parametrize("settings", CHOICES)
@pytest.mark.parametrize("pairs", [PAIRS[:1], [([], []), PAIRS[0]], [PAIRS[0], PAIRS[0]]])
def test_degenerate_batches_give_finite_numbers(pairs: Any, settings: dict[str, Any]) -> None:
    assert all(g.isfinite().all() for g in gradients_after(objective(**settings), batch(pairs)))
    assert math.isfinite(values(objective(**settings), batch(pairs))["contrast"][0])


def test_one_pair_costs_nothing() -> None:
    assert values(objective(), batch(PAIRS[:1]))["contrast"] == (0.0, 1)


def test_training_finds_the_true_partners_and_not_those_of_wrong_pairs() -> None:
    wrong = [(x, PAIRS[(i + 1) % len(PAIRS)][1]) for i, (x, _) in enumerate(PAIRS)]
    found = {}
    for name, pairs in (("true", PAIRS), ("wrong", wrong)):
        encoder, loss = TinyEncoder(), objective()
        optimiser = torch.optim.Adam([*encoder.parameters(), *loss.parameters()], lr=0.02)
        for _ in range(80):
            optimiser.zero_grad()
            loss.terms(FakeBatch(encoder, pairs))["contrast"].mean.backward()
            optimiser.step()
        found[name] = nearest_share(encoder, PAIRS, 1.0, "cls")
    assert found["true"] == 1.0
    assert found["wrong"] <= 1 / len(PAIRS)  # chance


@pytest.mark.parametrize(
    "bad", [{"temperature": 0}, {"depth": -1}, {"pooling": "max"}, {"head": "mlp"}, {"tau": 1}]
)
def test_a_bad_setting_is_refused_and_named(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        MSimCSE.Config(**bad)


def test_every_default_says_where_it_is_from() -> None:
    assert set(MSimCSE.sources) == {field.name for field in fields(MSimCSE.Config)}
    assert MSimCSE.variants["parallel"] == MSimCSE.Config()

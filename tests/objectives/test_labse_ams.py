"""LaBSE's ranking with an additive margin, on a tiny encoder in float64."""

import math
from dataclasses import fields
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from xbench_plugins.objectives.labse_ams import LabseAms

from .fake_batch import FakeBatch, TinyEncoder
from .real_batch import tiny_encoder
from .slow_contrast import (
    PAIRS,
    batch,
    check_chunks,
    check_gradient,
    gradients_after,
    nearest_share,
    others,
    ready,
    slow_loss,
    values,
)

CHOICES: list[dict[str, Any]] = [
    {},
    {"margin": 0.0, "scale": 5.0, "pooling": "mean", "depth": 1 / 3},
    {"bidirectional": False},
]


def objective(**settings: Any) -> LabseAms:
    return ready(LabseAms(LabseAms.Config(**settings)))


@pytest.mark.parametrize("settings", CHOICES)
def test_value(settings: dict[str, Any]) -> None:
    loss, b = objective(**settings), batch()
    config = loss.config
    u, v = (view.pooled(config.depth, config.pooling) for view in (b.source, b.target))
    expected = 0.0
    for own, other in ((u, v), (v, u))[: 1 + config.bidirectional]:
        expected += sum(
            slow_loss(own[i], other[i], others(other, i), 1 / config.scale, margin=config.margin)
            for i in range(len(PAIRS))
        )
    assert values(loss, b)["ranking"] == (pytest.approx(expected, rel=1e-9), len(PAIRS))


@pytest.mark.parametrize("margin", [0.0, 0.3])
def test_value_at_orthonormal_identical_views(margin: float) -> None:
    """Two sentences, the same in both languages, at right angles: both directions are added."""

    class View:
        def pooled(self, depth: float, how: str) -> torch.Tensor:
            return torch.eye(2, dtype=torch.float64)

    class Batch:
        source = target = View()

    loss = LabseAms(LabseAms.Config(margin=margin, scale=10.0))
    expected = 2 * math.log(1 + math.exp(-10 * (1 - margin)))
    assert float(loss.terms(Batch())["ranking"].mean) == pytest.approx(expected, rel=1e-12)


def test_a_margin_makes_it_harder_and_both_directions_are_the_sum_of_two() -> None:
    assert (
        values(objective(), batch())["ranking"] > values(objective(margin=0.0), batch())["ranking"]
    )
    turned = batch([(y, x) for x, y in PAIRS])
    forth, back = (values(objective(bidirectional=False), b)["ranking"] for b in (batch(), turned))
    assert values(objective(), batch())["ranking"][0] == pytest.approx(
        forth[0] + back[0], rel=1e-12
    )


@pytest.mark.parametrize("settings", CHOICES)
def test_padding_and_order_change_nothing(settings: dict[str, Any]) -> None:
    total, count = values(objective(**settings), batch())["ranking"]
    turned = [PAIRS[i] for i in (4, 2, 0, 5, 1, 3)]
    for other in (batch(padding=5), batch(turned)):
        assert values(objective(**settings), other)["ranking"] == (
            pytest.approx(total, rel=1e-12),
            count,
        )


@pytest.mark.parametrize("settings", CHOICES)
def test_gradient(settings: dict[str, Any]) -> None:
    check_gradient(objective(**settings))


@pytest.mark.parametrize("sizes", [[2, 3], [1, 1, 1, 1, 1]])
def test_chunks_change_nothing(sizes: list[int]) -> None:
    check_chunks(ready(LabseAms(), tiny_encoder()), sizes)
    assert LabseAms.coupled == {"ranking"}


@pytest.mark.parametrize("pairs", [PAIRS[:1], [([], []), PAIRS[0]], [PAIRS[0], PAIRS[0]]])
def test_degenerate_batches_give_finite_numbers(pairs: Any) -> None:
    b = batch(pairs)
    assert all(g.isfinite().all() for g in gradients_after(objective(pooling="mean"), b))
    assert math.isfinite(values(objective(pooling="mean"), batch(pairs))["ranking"][0])


def test_one_pair_costs_nothing_for_all_its_margin() -> None:
    assert values(objective(), batch(PAIRS[:1]))["ranking"] == (0.0, 1)


def test_training_finds_the_true_partners_and_not_those_of_wrong_pairs() -> None:
    wrong = [(x, PAIRS[(i + 1) % len(PAIRS)][1]) for i, (x, _) in enumerate(PAIRS)]
    found = {}
    for name, pairs in (("true", PAIRS), ("wrong", wrong)):
        encoder, loss = TinyEncoder(), objective()
        optimiser = torch.optim.Adam(encoder.parameters(), lr=0.02)
        for _ in range(80):
            optimiser.zero_grad()
            loss.terms(FakeBatch(encoder, pairs))["ranking"].mean.backward()
            optimiser.step()
        found[name] = nearest_share(encoder, PAIRS, 1.0, "cls")
    assert found == {"true": 1.0, "wrong": 0.0}


@pytest.mark.parametrize("bad", [{"margin": -1}, {"scale": 0}, {"depth": 2}, {"pooling": "max"}])
def test_a_bad_setting_is_refused_and_named(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        LabseAms.Config(**bad)


def test_every_default_says_where_it_is_from() -> None:
    assert set(LabseAms.sources) == {field.name for field in fields(LabseAms.Config)}
    assert LabseAms.sources["scale"].startswith("reconstruction")

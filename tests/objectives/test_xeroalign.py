"""XeroAlign: examples and their translations get the same vector."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from xbench_plugins.objectives.xeroalign import XeroAlign

from .fake_batch import FakeBatch, FakeTask, TinyEncoder, random_pairs
from .real_batch import PAIRS, check_slope, gradients, task_batch, tiny_encoder

CHOICES: list[dict[str, Any]] = [{}, {"pooling": "mean"}, {"depth": 1 / 3}]
choices = pytest.mark.parametrize("settings", CHOICES)
FEW = random_pairs(6)


def objective(**settings: Any) -> XeroAlign:
    return XeroAlign(XeroAlign.Config(**settings))


def value(made: XeroAlign, batch: Any) -> tuple[float, float]:
    (term,) = made.terms(batch).values()
    return float(term.sum.detach()), float(term.count)


@choices
def test_is_the_mean_squared_error(settings: dict[str, Any]) -> None:
    batch = task_batch(tiny_encoder())
    how = (settings.get("depth", 1.0), settings.get("pooling", "cls"))
    expected = F.mse_loss(batch.task.view.pooled(*how), batch.task.translated.pooled(*how))
    (term,) = objective(**settings).terms(batch).values()
    assert term.count == len(PAIRS)
    assert float(expected.detach()) > 0
    torch.testing.assert_close(term.mean, expected, rtol=1e-12, atol=0)


def test_the_first_token_is_what_is_compared() -> None:
    batch = task_batch(tiny_encoder())
    own, other = (v.states(1.0)[:, 0].tolist() for v in (batch.task.view, batch.task.translated))
    expected = sum(
        (a - b) ** 2 for x, y in zip(own, other, strict=True) for a, b in zip(x, y, strict=True)
    )
    total, _ = value(objective(), batch)
    assert total == pytest.approx(expected / 12, rel=1e-12)


def fake(encoder: TinyEncoder, pairs: Any, padding: int = 0) -> FakeBatch:
    batch = FakeBatch(encoder, pairs)
    texts, translations = zip(*pairs, strict=True)
    batch.task = FakeTask(encoder, texts, [0] * len(texts), translations, padding)
    return batch


@choices
def test_padding_and_order_change_nothing(settings: dict[str, Any]) -> None:
    made, encoder = objective(**settings), TinyEncoder()
    total, count = value(made, fake(encoder, FEW))
    assert value(made, fake(encoder, FEW, padding=4)) == (pytest.approx(total, rel=1e-12), count)
    assert value(made, fake(encoder, FEW[::-1])) == (pytest.approx(total, rel=1e-12), count)
    first, second = value(made, fake(encoder, FEW[:2])), value(made, fake(encoder, FEW[2:]))
    assert first[0] + second[0] == pytest.approx(total, rel=1e-12)
    assert first[1] + second[1] == count


@choices
def test_an_example_that_is_its_own_translation_is_at_the_optimum(settings: dict[str, Any]) -> None:
    batch = task_batch(tiny_encoder(), [(x, x) for x, _ in PAIRS])
    assert value(objective(**settings), batch)[0] == pytest.approx(0, abs=1e-20)


@choices
def test_the_gradient_is_the_slope_on_both_sides(settings: dict[str, Any]) -> None:
    encoder = tiny_encoder()
    check_slope(lambda: objective(**settings).terms(task_batch(encoder))["alignment"].mean, encoder)
    encoder = TinyEncoder()
    made = objective(**settings)
    made.terms(fake(encoder, [([7], [21])]))["alignment"].mean.backward()
    assert bool(encoder.words.weight.grad[7].any())
    assert bool(encoder.words.weight.grad[21].any())


def test_training_brings_translations_together() -> None:
    encoder = TinyEncoder()
    optimiser = torch.optim.SGD(encoder.parameters(), lr=0.3)
    start = value(objective(), fake(encoder, FEW))[0]
    for _ in range(50):
        optimiser.zero_grad()
        objective().terms(fake(encoder, FEW))["alignment"].mean.backward()
        optimiser.step()
    assert value(objective(), fake(encoder, FEW))[0] < start / 4


@choices
@pytest.mark.parametrize("pairs", [PAIRS[:1], [([], [])], [PAIRS[0], ([], [7])]])
def test_degenerate_batches_give_finite_numbers(settings: dict[str, Any], pairs: Any) -> None:
    encoder = tiny_encoder()
    (term,) = objective(**settings).terms(task_batch(encoder, pairs)).values()
    term.mean.backward()
    assert math.isfinite(float(term.mean.detach()))
    assert all(bool(g.isfinite().all()) for g in gradients(encoder).values())


def test_it_acts_during_fine_tuning_and_its_settings_have_their_origins() -> None:
    assert XeroAlign.phases == {"during"}
    assert XeroAlign.needs == {"task", "translated_task"}
    assert set(XeroAlign.sources) == set(XeroAlign.Config.__dataclass_fields__)
    for wrong in ({"pooling": "max"}, {"depth": -0.1}, {"weight": 1.0}):
        with pytest.raises(ValidationError):
            XeroAlign.Config(**wrong)

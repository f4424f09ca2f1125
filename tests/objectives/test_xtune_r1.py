"""Example consistency under noise on the embeddings."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from xbench_plugins.losses.consistency import symmetric_kl
from xbench_plugins.objectives.xtune_r1 import GaussianNoise, XTuneR1

from .real_batch import PAIRS, gradients, task_batch, tiny_encoder

PLACES = len(PAIRS)


def objective(**settings: Any) -> XTuneR1:
    return XTuneR1(XTuneR1.Config(**settings))


def value(made: XTuneR1, batch: Any) -> tuple[float, float]:
    (term,) = made.terms(batch).values()
    return float(term.sum.detach()), float(term.count)


def predictions(batch: Any, noise: float) -> tuple[Tensor, Tensor]:
    view = batch.task.view
    return batch.task.logits(view), batch.task.logits(view.perturbed(GaussianNoise(noise)))


def test_is_the_authors_elementwise_mean_by_default() -> None:
    batch = task_batch(tiny_encoder())
    p, q = predictions(batch, 0.1)
    with pytest.warns(UserWarning, match="batchmean"):
        theirs = F.kl_div(p.log_softmax(-1), q.softmax(-1)) + F.kl_div(
            q.log_softmax(-1), p.softmax(-1)
        )
    (term,) = objective().terms(batch).values()
    assert term.count == PLACES * 3
    assert float(theirs.detach()) > 1e-6
    torch.testing.assert_close(term.mean, 5 * theirs, rtol=1e-9, atol=0)


@pytest.mark.parametrize("classes", [2, 7])
def test_the_mean_over_examples_is_a_divergence(classes: int) -> None:
    batch = task_batch(tiny_encoder(), classes=classes)
    made = objective(reduction="examples", weight=2.0, noise=0.4)
    expected, _ = symmetric_kl(*predictions(batch, 0.4))
    total, count = value(made, batch)
    assert (total, count) == (pytest.approx(2 * float(expected.detach()), rel=1e-12), PLACES)
    elements = objective(weight=2.0, noise=0.4).terms(batch)["consistency"].mean
    assert float(elements.detach()) * classes == pytest.approx(total / count, rel=1e-12)


def test_the_noise_is_normal_and_repeatable() -> None:
    states = torch.ones(40, 50, 16, dtype=torch.float64)
    first, again = (
        GaussianNoise(0.3)(states, torch.Generator().manual_seed(4)) - 1 for _ in range(2)
    )
    assert torch.equal(first, again)
    assert float(first.mean()) == pytest.approx(0, abs=0.01)
    assert float(first.std()) == pytest.approx(0.3, rel=0.02)
    assert float((first.abs() < 0.3).double().mean()) == pytest.approx(0.6827, abs=0.01)
    halved = GaussianNoise(0.3)(states.bfloat16(), torch.Generator().manual_seed(4))
    assert halved.dtype == torch.bfloat16


def test_equal_noise_shares_one_encoding() -> None:
    view = task_batch(tiny_encoder()).task.view
    assert view.perturbed(GaussianNoise(0.1)) is view.perturbed(GaussianNoise(0.1))
    assert view.perturbed(GaussianNoise(0.1)) is not view.perturbed(GaussianNoise(0.2))


def test_more_noise_costs_more_and_hardly_any_hardly_anything() -> None:
    batch = task_batch(tiny_encoder())
    costs = [value(objective(noise=noise), batch)[0] for noise in (1e-6, 0.1, 1.0)]
    assert 0 <= costs[0] < 1e-9 < costs[1] < costs[2]


def test_padding_and_labels_change_nothing() -> None:
    encoder = tiny_encoder()
    plain, padded = task_batch(encoder), task_batch(encoder, padding=5)
    expected = pytest.approx(value(objective(), plain)[0], rel=1e-12)
    plain.task.labels = plain.task.labels.flip(0)
    assert value(objective(), plain)[0] == expected
    assert value(objective(), padded)[0] == expected


def test_each_prediction_learns_from_the_other_as_from_a_label() -> None:
    """The gradient is that of two cross-entropies with the other's distribution as the label."""
    found = []
    for own in (True, False):
        encoder = tiny_encoder()
        batch = task_batch(encoder)
        if own:
            objective(weight=1.0, reduction="examples").terms(batch)["consistency"].mean.backward()
        else:
            p, q = predictions(batch, 0.1)
            of_p, of_q = (x.softmax(-1).detach() for x in (p, q))
            (F.cross_entropy(p, of_q) + F.cross_entropy(q, of_p)).backward()
        found.append({**gradients(encoder), "head": batch.task.head.weight.grad})
    assert found[0].keys() == found[1].keys()
    assert bool(found[0]["head"].any())
    torch.testing.assert_close(found[0], found[1], rtol=1e-8, atol=1e-12)


def test_training_makes_predictions_agree() -> None:
    encoder = tiny_encoder()
    made = objective(noise=0.5)
    optimiser = torch.optim.Adam(encoder.parameters(), lr=0.003)
    costs = []
    for _ in range(30):
        optimiser.zero_grad()
        (term,) = made.terms(task_batch(encoder)).values()
        term.mean.backward()
        optimiser.step()
        costs.append(float(term.mean.detach()))
    assert costs[-1] < costs[0] / 2


@pytest.mark.parametrize("pairs", [PAIRS[:1], [([], [])], [PAIRS[0], ([], [])]])
def test_degenerate_batches_give_finite_numbers(pairs: Any) -> None:
    encoder = tiny_encoder()
    (term,) = objective().terms(task_batch(encoder, pairs)).values()
    term.mean.backward()
    assert math.isfinite(float(term.mean.detach()))
    assert all(bool(g.isfinite().all()) for g in gradients(encoder).values())


def test_it_acts_during_fine_tuning_and_its_settings_have_their_origins() -> None:
    assert XTuneR1.phases == {"during"}
    assert XTuneR1.needs == {"task"}
    assert set(XTuneR1.sources) == set(XTuneR1.Config.__dataclass_fields__)
    for wrong in ({"noise": 0}, {"weight": -1}, {"reduction": "batchmean"}, {"std": 0.1}):
        with pytest.raises(ValidationError):
            XTuneR1.Config(**wrong)

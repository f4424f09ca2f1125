"""Symmetric KL with stopped gradients: against torch.distributions and closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from xbench_plugins.losses.consistency import symmetric_kl


def logits(rows: int = 6, classes: int = 5) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(rows, classes).double(), torch.randn(rows, classes).double()


def test_is_the_divergence_both_ways() -> None:
    p, q = logits()
    forth = kl_divergence(Categorical(logits=p), Categorical(logits=q)).sum()
    back = kl_divergence(Categorical(logits=q), Categorical(logits=p)).sum()
    total, count = symmetric_kl(p, q)
    assert count == 6
    torch.testing.assert_close(total, forth + back, rtol=1e-12, atol=0)


def test_two_classes_in_closed_form() -> None:
    p = torch.tensor([[math.log(0.8), math.log(0.2)]]).double()
    q = torch.tensor([[0.0, 0.0]]).double()
    expected = 0.8 * math.log(1.6) + 0.2 * math.log(0.4) + 0.5 * (math.log(0.625) + math.log(2.5))
    assert float(symmetric_kl(p, q)[0]) == pytest.approx(expected, rel=1e-6)


def test_each_side_learns_from_the_other_as_from_a_label() -> None:
    p, q = (x.requires_grad_() for x in logits())
    of_p, of_q = torch.autograd.grad(symmetric_kl(p, q)[0], [p, q])
    difference = (p.softmax(-1) - q.softmax(-1)).detach()
    torch.testing.assert_close(of_p, difference, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(of_q, -difference, rtol=1e-9, atol=1e-12)


def test_the_default_reduction_of_kl_div_divides_by_the_classes_too() -> None:
    p, q = logits()
    with pytest.warns(UserWarning, match="batchmean"):
        theirs = F.kl_div(q.log_softmax(-1), p.softmax(-1)) + F.kl_div(
            p.log_softmax(-1), q.softmax(-1)
        )
    total, count = symmetric_kl(p, q)
    torch.testing.assert_close(total / (count * 5), theirs, rtol=1e-9, atol=0)


def test_equal_predictions_cost_nothing_and_a_constant_does_not_matter() -> None:
    p, q = logits()
    assert float(symmetric_kl(p, p + 3)[0]) == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(symmetric_kl(p - 7, q)[0], symmetric_kl(p, q)[0])


def test_a_certain_prediction_stays_finite() -> None:
    p = torch.tensor([[0.0, 900.0]], requires_grad=True)
    total, _ = symmetric_kl(p, torch.tensor([[900.0, 0.0]]))
    total.backward()
    assert math.isfinite(float(total.detach()))
    assert p.grad is not None
    assert bool(p.grad.isfinite().all())


def test_half_precision_is_raised_first_and_no_example_is_zero() -> None:
    p, q = (x.bfloat16() for x in logits())
    torch.testing.assert_close(symmetric_kl(p, q)[0], symmetric_kl(p.float(), q.float())[0])
    total, count = symmetric_kl(p[:0], q[:0])
    assert (float(total), count) == (0.0, 0)

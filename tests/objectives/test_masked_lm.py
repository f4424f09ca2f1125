"""Masked language modelling: the sum over masked positions."""

import math

import pytest
import torch

from xbench_plugins.losses.masked_lm import masked_lm


def test_sum_of_negative_log_probabilities() -> None:
    torch.manual_seed(0)
    logits = torch.randn(5, 7, dtype=torch.float64)
    labels = torch.tensor([0, 3, 3, 6, 1])
    expected = -sum(
        math.log(math.exp(row[label]) / sum(map(math.exp, row)))
        for row, label in zip(logits.tolist(), labels.tolist(), strict=True)
    )
    total, count = masked_lm(logits, labels)
    assert count == 5
    assert float(total) == pytest.approx(expected, rel=1e-12)


def test_half_precision_is_raised_before_the_sum() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(300, 9).bfloat16(), torch.randint(9, (300,))
    total, _ = masked_lm(logits, labels)
    assert total.dtype == torch.float32
    torch.testing.assert_close(total, masked_lm(logits.float(), labels)[0], rtol=0, atol=0)


def test_no_masked_position() -> None:
    logits = torch.empty(0, 7, requires_grad=True)
    total, count = masked_lm(logits, torch.empty(0, dtype=torch.int64))
    total.backward()
    assert (float(total.detach()), count) == (0.0, 0)

"""Masked language modelling: the sum over masked positions."""

import math

import pytest
import torch

from xbench.nn.encoders.vocabulary_loss import losses_of
from xbench_plugins.losses.masked_lm import masked_lm

from .fake_batch import FakeBatch, TinyEncoder


def test_sum_of_negative_log_probabilities() -> None:
    batch = FakeBatch(TinyEncoder(), [([10, 12, 13], [11, 18]), ([15, 16], [21, 24, 9])])
    view = batch.source.masked
    expected = -sum(
        math.log(math.exp(row[label]) / sum(map(math.exp, row)))
        for row, label in zip(view.logits().tolist(), view.labels.tolist(), strict=True)
    )
    total, count = masked_lm(view)
    assert count == 2  # 12 and 15, the multiples of 3
    assert float(total.detach()) == pytest.approx(expected, rel=1e-12)


def test_half_precision_is_raised_before_the_loss() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(300, 9).bfloat16(), torch.randint(9, (300,))
    losses = losses_of(logits, labels)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, losses_of(logits.float(), labels), rtol=0, atol=0)


def test_no_masked_position() -> None:
    batch = FakeBatch(TinyEncoder(), [([10, 12], [11, 18])], mask_every=1000)
    total, count = masked_lm(batch.source.masked)
    total.backward()
    assert (float(total.detach()), count) == (0.0, 0)

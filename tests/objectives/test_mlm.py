"""MLM on each side by itself."""

from pathlib import Path

import pytest

from xbench_plugins.objectives.hictl import HiCTL
from xbench_plugins.objectives.mlm import MLM

from .fake_batch import FakeBatch, TinyEncoder, random_pairs
from .real_batch import (
    check_chunks,
    check_slope,
    gradients,
    real_batch,
    tiny_encoder,
    transformers_loss,
)

FEW = random_pairs(6)


def value(batch: FakeBatch) -> tuple[float, float]:
    term = MLM().terms(batch)["mlm"]
    return float(term.sum.detach()), float(term.count)


def test_is_the_loss_of_transformers_over_both_sides_together(tmp_path: Path) -> None:
    encoder = tiny_encoder()
    batch = real_batch(encoder)
    (term,) = MLM().terms(batch).values()
    sides = [batch.source, batch.target]
    assert term.count == sum(len(view.masked.labels) for view in sides) > 10
    assert float(term.mean.detach()) == pytest.approx(
        transformers_loss(encoder, sides, tmp_path), rel=1e-9
    )


def test_is_the_control_of_hictl() -> None:
    hictl = HiCTL(HiCTL.variants["S0W0M1"])
    control = hictl.terms(FakeBatch(TinyEncoder(), FEW))["mlm"]
    total, count = value(FakeBatch(TinyEncoder(), FEW))
    assert count == control.count
    assert total == float(control.sum.detach())


def test_the_partner_plays_no_part() -> None:
    shuffled = [(x, FEW[i - 1][1]) for i, (x, _) in enumerate(FEW)]
    total, count = value(FakeBatch(TinyEncoder(), FEW))
    assert value(FakeBatch(TinyEncoder(), shuffled)) == (pytest.approx(total, rel=1e-12), count)


def test_padding_and_the_order_of_the_pairs_change_nothing() -> None:
    total, count = value(FakeBatch(TinyEncoder(), FEW))
    expected = (pytest.approx(total, rel=1e-12), count)
    assert value(FakeBatch(TinyEncoder(), FEW, padding=4)) == expected
    assert value(FakeBatch(TinyEncoder(), FEW[::-1])) == expected


def test_slope_and_chunks() -> None:
    encoder = tiny_encoder()
    check_slope(lambda: MLM().terms(real_batch(encoder))["mlm"].mean, encoder)
    check_chunks(MLM(), [2, 3])


def test_nothing_masked_is_a_sum_of_zero_over_zero() -> None:
    batch = FakeBatch(TinyEncoder(), FEW, mask_every=1000)
    (term,) = MLM().terms(batch).values()
    term.mean.backward()
    assert (float(term.sum.detach()), term.count) == (0.0, 0)
    assert not any(bool(g.any()) for g in gradients(batch.encoder).values())

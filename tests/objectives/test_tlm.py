"""TLM: masked LM on the concatenated pair."""

import math
from pathlib import Path

import pytest
import torch

from xbench_plugins.objectives.hictl import HiCTL
from xbench_plugins.objectives.tlm import TLM

from ..nn.batches import count_calls
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
    term = TLM().terms(batch)["tlm"]
    return float(term.sum.detach()), float(term.count)


def test_is_the_loss_of_transformers(tmp_path: Path) -> None:
    encoder = tiny_encoder()
    batch = real_batch(encoder)
    (term,) = TLM().terms(batch).values()
    assert term.count == len(batch.joint.masked.labels) > 10
    expected = transformers_loss(encoder, [batch.joint], tmp_path)
    assert float(term.mean.detach()) == pytest.approx(expected, rel=1e-9)


def test_no_knowledge_is_the_uniform_guess() -> None:
    encoder = tiny_encoder()
    with torch.no_grad():
        encoder.word_embeddings.zero_()
        encoder.mlm_head.bias.zero_()
    (term,) = TLM().terms(real_batch(encoder)).values()
    assert float(term.mean.detach()) == pytest.approx(math.log(40), rel=1e-12)


def test_words_of_both_languages_are_masked_and_either_helps_the_other() -> None:
    batch = real_batch(tiny_encoder())
    assert set(batch.joint.sides[batch.joint.masked.chosen].tolist()) == {0, 1}
    encoder = TinyEncoder()
    with_y = value(FakeBatch(encoder, [([9, 8], [6, 7])]))
    other_y = value(FakeBatch(encoder, [([9, 8], [6, 11])]))
    assert with_y[1] == other_y[1] == 2
    assert with_y[0] != pytest.approx(other_y[0], rel=1e-6)


def test_padding_and_the_order_of_the_pairs_change_nothing() -> None:
    total, count = value(FakeBatch(TinyEncoder(), FEW))
    assert count > 5
    expected = (pytest.approx(total, rel=1e-12), count)
    assert value(FakeBatch(TinyEncoder(), FEW, padding=4)) == expected
    assert value(FakeBatch(TinyEncoder(), FEW[::-1])) == expected


def test_slope_and_chunks() -> None:
    encoder = tiny_encoder()
    check_slope(lambda: TLM().terms(real_batch(encoder))["tlm"].mean, encoder)
    check_chunks(TLM(), [2, 3])
    check_chunks(TLM(), [1] * 5)


def test_nothing_masked_is_a_sum_of_zero_over_zero() -> None:
    batch = FakeBatch(TinyEncoder(), FEW, mask_every=1000)
    (term,) = TLM().terms(batch).values()
    term.mean.backward()
    assert (float(term.sum.detach()), term.count) == (0.0, 0)
    assert not any(bool(g.any()) for g in gradients(batch.encoder).values())


def test_one_forward_serves_every_objective_that_needs_it() -> None:
    encoder = tiny_encoder()
    calls, batch = count_calls(encoder), real_batch(encoder)
    (term,) = TLM().terms(batch).values()
    other = HiCTL(HiCTL.Config(sentence=0, word=0, mlm_input="joint")).terms(batch)["mlm"]
    torch.testing.assert_close(term.sum, other.sum)
    assert set(calls.values()) == {1}

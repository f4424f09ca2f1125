"""CAMLM: masked words are predicted from the translation, and from nothing else."""

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.loading import load_encoder
from xbench_plugins.objectives.camlm import CAMLM, from_the_translation
from xbench_plugins.objectives.tlm import TLM

from ..nn.batches import count_calls
from ..nn.families import model_folder
from .fake_batch import FakeBatch, TinyEncoder, random_pairs
from .real_batch import (
    PAIRS,
    check_chunks,
    check_slope,
    gradients,
    real_batch,
    tiny_encoder,
)

FEW = random_pairs(6)


def value(batch: FakeBatch) -> tuple[float, float]:
    term = CAMLM().terms(batch)["camlm"]
    return float(term.sum.detach()), float(term.count)


# The value


def slow(encoder: TinyEncoder, batch: FakeBatch) -> tuple[float, int]:
    """Each prediction by recursion over what a position may read, sentence by sentence."""
    view, total, count = batch.joint.masked, 0.0, 0

    for row in range(len(view.ids)):
        side = {t: int(s) for t, s in enumerate(view.sides[row]) if view.attention_mask[row, t]}
        masked = [t for t in side if view.chosen[row, t]]
        specials = [t for t in side if side[t] < 0]

        def read(t: int, side=side, masked=masked, specials=specials) -> list[int]:
            if side[t] < 0:
                return specials
            text = 1 - side[t] if t in masked else side[t]
            words = [k for k in side if side[k] == text and k not in masked]
            return sorted({t, *specials, *words})

        def state(layer: int, t: int, row=row, read=read) -> Tensor:
            if layer == 0:
                return encoder.words.weight[view.ids[row, t]]
            context = torch.stack([state(layer - 1, k) for k in read(t)]).mean(0)
            mixed = encoder.own[layer - 1](state(layer - 1, t))
            return torch.tanh(mixed + encoder.context[layer - 1](context))

        for t in masked:
            scores = (state(3, t) @ encoder.words.weight.T).log_softmax(0)
            total -= float(scores[batch.joint.ids[row, t]].detach())
            count += 1
    return total, count


def test_is_the_slow_recursion() -> None:
    encoder = TinyEncoder()
    pairs = [([9, 8], [6, 7, 12]), ([10, 11, 15], [13])]
    expected = slow(encoder, FakeBatch(encoder, pairs))
    assert expected[1] == 4
    found = value(FakeBatch(encoder, pairs, padding=2))
    assert found == (pytest.approx(expected[0], rel=1e-12), 4)


def test_no_knowledge_is_the_uniform_guess() -> None:
    encoder = tiny_encoder()
    with torch.no_grad():
        encoder.word_embeddings.zero_()
        encoder.mlm_head.bias.zero_()
    (term,) = CAMLM().terms(real_batch(encoder)).values()
    assert float(term.mean.detach()) == pytest.approx(math.log(40), rel=1e-12)


def test_the_order_of_the_pairs_changes_nothing() -> None:
    total, count = value(FakeBatch(TinyEncoder(), FEW))
    assert value(FakeBatch(TinyEncoder(), FEW[::-1])) == (pytest.approx(total, rel=1e-12), count)


def test_padding_changes_nothing() -> None:
    encoder = tiny_encoder()
    plain, padded = (
        CAMLM().terms(real_batch(encoder, padding=padding))["camlm"] for padding in (0, 7)
    )
    torch.testing.assert_close(padded.sum, plain.sum, rtol=1e-12, atol=0)
    assert padded.count == plain.count


# Leakage


@pytest.fixture(params=["xlm-roberta", "bert", "deberta-v2", "modernbert"])
def encoder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Our own encoder, and those that transformers computes."""
    if request.param in ("xlm-roberta", "bert"):
        yield tiny_encoder(model_type=request.param).eval()
    else:
        changes = {"vocab_size": 40, "pad_token_id": 1}
        folder = model_folder(tmp_path / "model", request.param, **changes)
        yield load_encoder(folder).double().eval()


def predictions(encoder: Encoder, pairs: Any) -> tuple[Tensor, Tensor, Tensor]:
    """(logits [M, V], rows [M], columns [M])"""
    view = real_batch(encoder, pairs).joint.masked
    rows, columns = view.chosen.nonzero(as_tuple=True)
    return view.attending(from_the_translation).logits(), rows, columns


def test_changing_a_word_moves_no_prediction_in_its_own_sentence(encoder: Encoder) -> None:
    """Every word of one pair in turn, seen or masked; what it is replaced with was not there."""
    number = 3
    before, rows, columns = predictions(encoder, PAIRS)
    view = real_batch(encoder).joint
    sides = view.sides[number]
    places = [(side, i) for side in (0, 1) for i in range(len(PAIRS[number][side]))]
    moved_others = set()
    for (side, i), place in zip(places, (sides >= 0).nonzero().flatten().tolist(), strict=True):
        pairs = copy.deepcopy(PAIRS)
        pairs[number][side][i] = 4 if pairs[number][side][i] != 4 else 5
        after, *_ = predictions(encoder, pairs)
        moved = (after - before).abs().amax(-1) > 1e-9
        own_input = (rows == number) & (columns == place)  # masked, but shown in one case of ten
        others = moved & ~own_input
        assert not bool((others & (rows != number)).any())
        assert set(sides[columns[others]].tolist()) <= {1 - side}
        if bool(view.masked.chosen[number, place]):
            assert not bool(others.any()), "a masked word is read by nobody"
        elif bool(others.any()):
            moved_others.add(side)
    assert moved_others == {0, 1}, "the other sentence is read"


def test_at_every_depth_only_permitted_inputs_have_an_influence() -> None:
    """The derivative of each masked word's state by each input embedding."""
    encoder = tiny_encoder().eval()
    embedded: list[Tensor] = []

    def watch(states: Tensor, stream: torch.Generator) -> Tensor:
        embedded.append(states.detach().clone().requires_grad_())
        return embedded[-1]

    view = real_batch(encoder).joint.masked.attending(from_the_translation).perturbed(watch)
    states = view.states(1.0)
    checked = 0
    for row, place in view.chosen.nonzero().tolist():
        (slope,) = torch.autograd.grad(states[row, place].sum(), embedded[0], retain_graph=True)
        rows, columns = (slope.abs().sum(-1) > 1e-12).nonzero(as_tuple=True)
        other = 1 - int(view.sides[row, place])
        allowed = (view.sides[row] == other) & ~view.chosen[row]
        allowed |= (view.sides[row] < 0) & view.attention_mask[row]
        allowed[place] = True
        assert set(rows.tolist()) == {row}
        assert columns.tolist() == allowed.nonzero().flatten().tolist()
        checked += 1
    assert checked > 10


# Training


def test_the_gradient_is_the_slope_and_chunks_are_the_whole() -> None:
    encoder = tiny_encoder()
    check_slope(lambda: CAMLM().terms(real_batch(encoder))["camlm"].mean, encoder)
    check_chunks(CAMLM(), [2, 3])
    check_chunks(CAMLM(), [1] * 5)


def test_it_masks_what_tlm_masks_and_is_encoded_once() -> None:
    encoder = tiny_encoder()
    batch = real_batch(encoder)
    tlm = TLM().terms(batch)["tlm"]
    calls = count_calls(encoder)
    first, again = (CAMLM().terms(batch)["camlm"] for _ in range(2))
    assert first.count == tlm.count
    assert not torch.isclose(first.sum, tlm.sum)
    assert torch.equal(first.sum, again.sum)
    assert set(calls.values()) == {1}


def test_it_learns_to_translate() -> None:
    """Words that only the translation tells: after training the loss is far below a guess."""
    words = list(range(6, 39, 3))  # those that are masked
    pairs = [([w], [w + 1]) for w in words]  # never masked
    encoder = TinyEncoder(width=12)
    optimiser = torch.optim.Adam(encoder.parameters(), lr=0.05)
    for _ in range(60):
        optimiser.zero_grad()
        CAMLM().terms(FakeBatch(encoder, pairs))["camlm"].mean.backward()
        optimiser.step()
    total, count = value(FakeBatch(encoder, pairs))
    wrong = [(x, pairs[i - 1][1]) for i, (x, _) in enumerate(pairs)]
    shuffled, _ = value(FakeBatch(encoder, wrong))
    assert count == len(words)
    assert total / count < 0.3
    assert shuffled / count > math.log(len(words))


# Degenerate input


@pytest.mark.parametrize("pairs", [FEW[:1], [([], [])], [FEW[0], ([9], [])]])
def test_degenerate_batches_give_finite_numbers(pairs: Any) -> None:
    batch = FakeBatch(TinyEncoder(), pairs)
    (term,) = CAMLM().terms(batch).values()
    term.mean.backward()
    assert math.isfinite(float(term.sum.detach()))
    assert all(bool(g.isfinite().all()) for g in gradients(batch.encoder).values())


def test_nothing_masked_is_a_sum_of_zero_over_zero() -> None:
    assert value(FakeBatch(TinyEncoder(), FEW, mask_every=1000)) == (0.0, 0)

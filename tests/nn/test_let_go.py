"""A step leaves nothing in memory: views in a circle would stay until Python looks for circles."""

import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from xbench.api import FrozenCopy
from xbench.nn.encoders.encoder import Encoder
from xbench.nn.pair_views import PairTexts, PairViews
from xbench.nn.replay import ReplayedBatch

from .batches import BEGIN, END, FORMAT, random_pairs, text, tiny_encoder

PAIRS = random_pairs((4, 6), (7, 3), (5, 5), (2, 8))
FRAMING = replace(FORMAT, frame=lambda ids: [BEGIN, *ids, END])
Make = Callable[[Encoder], Any]


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def chunk(encoder: Encoder, index: int, of: int) -> PairViews:
    own = PAIRS[index::of]
    sides = [text([pair[side] for pair in own]) for side in (0, 1)]
    joint = text([[*source, END, END, *target] for source, target in own])
    stream = (7, "align", 3, index)
    return PairViews(encoder, PairTexts(*sides, joint), FRAMING, stream, index)


def whole(encoder: Encoder) -> PairViews:
    return chunk(encoder, 0, 1)


def in_chunks(encoder: Encoder) -> ReplayedBatch:
    return ReplayedBatch(lambda index: chunk(encoder, index, 2), 2)


def own_text_only(view: Any) -> Tensor:
    allowed = view.attention_mask
    return allowed.unsqueeze(1) & allowed.unsqueeze(2)


def noise(states: Tensor, stream: torch.Generator) -> Tensor:
    return states + 0.1 * torch.randn(states.shape, generator=stream, dtype=states.dtype)


def everything(batch: Any, teacher: FrozenCopy) -> list[Tensor]:
    """An answer of each kind that an objective may ask for."""
    other = batch.through(teacher)
    return [
        batch.source.states(2 / 3),
        batch.target.pooled(1.0),
        batch.joint.pooled(1.0, "cls"),
        batch.source.masked.logits(),
        batch.source.attending(own_text_only).states(1.0),
        batch.source.masked.attending(own_text_only).logits(),
        batch.target.perturbed(noise).pooled(1.0),
        batch.compose([source for source, _ in PAIRS]).pooled(1.0),
        other.source.pooled(1.0),
        other.target.masked.logits(),
    ]


@pytest.mark.parametrize("make", [whole, in_chunks])
def test_what_was_asked_for_is_freed_with_the_batch(make: Make) -> None:
    encoder = tiny_encoder(dropout=0.1)
    teacher = FrozenCopy(encoder)
    batch = make(encoder)
    answers = everything(batch, teacher)
    torch.stack([answer.square().mean() for answer in answers]).sum().backward()
    if isinstance(batch, ReplayedBatch):
        batch.replay()
    assert encoder.word_embeddings.grad is not None
    alive = [weakref.ref(answer) for answer in answers]
    alive += [weakref.ref(view) for view in (batch, batch.source, batch.source.masked)]
    assert all(each() is not None for each in alive)
    del batch, answers
    assert [each() for each in alive if each() is not None] == []

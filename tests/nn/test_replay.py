"""Replay: a batch in chunks has the gradients of the whole batch, for every parameter."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from xbench.api import Objective, Term
from xbench.nn import text_view as views
from xbench.nn.encoders.encoder import Encoder
from xbench.nn.pair_views import PairViews
from xbench.nn.replay import ReplayedBatch
from xbench.nn.text_view import TextView
from xbench.stages.align import total
from xbench_plugins.objectives.hictl import HiCTL

from ..toys import Everything
from .batches import MASK, Pair, count_calls, pair_views, random_pairs, tiny_encoder

PAIRS = random_pairs((3, 4), (9, 2), (1, 1), (5, 14), (2, 6), (7, 7), (4, 3))
CHUNKS = {
    "one": [7],
    "unequal": [4, 3],
    "one alone": [1, 5, 1],
    "each alone": [1] * 7,
}
ALL_NEGATIVES = 10_000  # more than there are words: nothing is left to the sampler


def everything() -> Objective:
    return Everything(Everything.Config())


def hictl(**settings: Any) -> Objective:
    return HiCTL(HiCTL.Config(negatives=ALL_NEGATIVES, **settings))


OBJECTIVES = {
    "everything": everything,
    "hictl": hictl,
    "hictl, shared forward": partial(hictl, share_masked_forward=True, query="mean_of_both"),
    "hictl, joint mlm": partial(hictl, mlm_input="joint", pooling="cls", depth=1.0),
    "hictl, embeddings": partial(hictl, sentence=0, mlm=0, query_depth=0.0),
}
objectives = pytest.mark.parametrize("make", OBJECTIVES.values(), ids=OBJECTIVES.keys())
sizes = pytest.mark.parametrize("sizes", CHUNKS.values(), ids=CHUNKS.keys())


class ManuallyJoined:
    """The slow reference: all chunks encoded with a graph, and what they answer put together.

    Serves as batch and as view; ``of`` leads from a chunk to what this stands for.
    """

    def __init__(
        self, chunks: Sequence[PairViews], of: Callable[[Any], Any] = lambda chunk: chunk
    ) -> None:
        self.chunks = chunks
        self.of = of
        self.vocabulary = chunks[0].vocabulary
        self.generator = chunks[0].generator

    def __getattr__(self, name: str) -> Any:
        if name in ("source", "target", "joint", "masked"):
            return ManuallyJoined(self.chunks, lambda chunk: getattr(self.of(chunk), name))
        parts = [getattr(self.of(chunk), name) for chunk in self.chunks]
        return joined(parts, 1 if name == "ids" else 0)

    def embeddings(self, ids: Tensor | None = None) -> Tensor:
        return self.chunks[0].embeddings(ids)

    def states(self, depth: float = 1.0) -> Tensor:
        return joined([self.of(chunk).states(depth) for chunk in self.chunks])

    def pooled(self, depth: float = 1.0, how: str = "mean") -> Tensor:
        return torch.cat([self.of(chunk).pooled(depth, how) for chunk in self.chunks])

    def logits(self) -> Tensor:
        return torch.cat([self.of(chunk).logits() for chunk in self.chunks])

    def losses(self) -> Tensor:
        return torch.cat([self.of(chunk).losses() for chunk in self.chunks])


def joined(parts: list[Tensor], padding: int = 0) -> Tensor:
    if parts[0].dim() == 1:
        return torch.cat(parts)
    shape = (sum(len(part) for part in parts), max(part.shape[1] for part in parts))
    whole = parts[0].new_full((*shape, *parts[0].shape[2:]), padding)
    row = 0
    for part in parts:
        whole[row : row + len(part), : part.shape[1]] = part
        row += len(part)
    return whole


def cut(encoder: Encoder, sizes: Sequence[int]) -> Callable[[int], PairViews]:
    """The chunk of a number, built afresh, each with a stream of its own."""
    starts = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
    pieces: list[list[Pair]] = [PAIRS[a:b] for a, b in pairwise(starts)]
    return lambda index: pair_views(encoder, pieces[index], (7, "align", 3, index))


def prepared(make: Callable[[], Objective], dropout: float = 0.0) -> tuple[Encoder, Objective]:
    encoder = tiny_encoder(dropout)
    torch.manual_seed(0)
    objective = make()
    objective.setup(encoder)
    return encoder, objective.double().train()


def gradients(encoder: Encoder, objective: Objective) -> dict[str, Tensor | None]:
    named = [*encoder.named_parameters(), *objective.named_parameters(prefix="objective")]
    return {name: parameter.grad for name, parameter in named}


def same(found: dict[str, Tensor | None], expected: dict[str, Tensor | None]) -> None:
    assert any(gradient is not None for gradient in expected.values())
    for name, gradient in expected.items():
        if gradient is None:
            assert found[name] is None, name
            continue
        other = found[name]
        assert other is not None, name
        torch.testing.assert_close(other, gradient, atol=1e-10, rtol=0, msg=name)


def replayed(
    make: Callable[[], Objective], sizes: Sequence[int], dropout: float = 0.0
) -> tuple[Tensor, dict[str, Tensor | None]]:
    encoder, objective = prepared(make, dropout)
    batch = ReplayedBatch(cut(encoder, sizes), len(sizes))
    loss, _ = total(objective, batch)
    loss.backward()
    batch.replay()
    return loss.detach(), gradients(encoder, objective)


def mask_every_third(plain: TextView) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A masking that depends on the text only, so that it is the same in any chunk."""
    chosen = plain.content_mask & (plain.ids % 3 == 0)
    return plain.ids.masked_fill(chosen, MASK), chosen.nonzero(as_tuple=True)


@objectives
@sizes
def test_chunks_have_the_gradients_of_the_whole_batch(
    make: Callable[[], Objective], sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "_mask", mask_every_third)
    encoder, objective = prepared(make)
    loss, _ = total(objective, pair_views(encoder, PAIRS))
    loss.backward()
    found, found_gradients = replayed(make, sizes)
    torch.testing.assert_close(found, loss.detach(), atol=1e-12, rtol=0)
    same(found_gradients, gradients(encoder, objective))


@objectives
@sizes
def test_the_second_encoding_has_the_dropout_and_the_masks_of_the_first(
    make: Callable[[], Objective], sizes: list[int]
) -> None:
    encoder, objective = prepared(make, dropout=0.3)
    chunk = cut(encoder, sizes)
    loss, _ = total(objective, ManuallyJoined([chunk(i) for i in range(len(sizes))]))
    loss.backward()
    found, found_gradients = replayed(make, sizes, dropout=0.3)
    torch.testing.assert_close(found, loss.detach(), atol=1e-12, rtol=0)
    same(found_gradients, gradients(encoder, objective))


def test_contrast_in_chunks_without_replay_would_differ() -> None:
    """The point of it: separate losses of the chunks have other negatives."""
    encoder, objective = prepared(partial(hictl, word=0, mlm=0))
    chunk = cut(encoder, [4, 3])
    for index in (0, 1):
        loss, _ = total(objective, chunk(index))
        loss.backward()
    naive = gradients(encoder, objective)
    _, exact = replayed(partial(hictl, word=0, mlm=0), [4, 3])
    name = "layers.0.query.weight"
    assert naive[name] is not None
    assert (naive[name] - exact[name]).abs().max() > 1e-3  # type: ignore[operator]


def test_every_chunk_is_encoded_twice_and_only_as_far_as_needed() -> None:
    encoder, objective = prepared(partial(hictl, word=0, mlm=0, depth=2 / 3))
    calls = count_calls(encoder)
    batch = ReplayedBatch(cut(encoder, [4, 3]), 2)
    loss, _ = total(objective, batch)
    loss.backward()
    batch.replay()
    assert calls == {"embed": 8, 0: 8, 1: 8}  # 2 chunks, 2 sides, 2 passes


class Words(Objective):
    """Depends on the word embeddings only; asks for states and leaves them out of the loss."""

    def terms(self, batch: Any) -> dict[str, Term]:
        batch.source.states(1.0)
        vectors = batch.embeddings(batch.source.ids)
        return {"words": Term(vectors.square().sum(), len(vectors))}


class OnlyWords(Objective):
    def terms(self, batch: Any) -> dict[str, Term]:
        return {"words": Term(batch.embeddings().square().sum(), 1)}


@pytest.mark.parametrize("make", [Words, OnlyWords])
def test_a_loss_that_needs_no_states_needs_no_replay(make: Callable[[], Objective]) -> None:
    encoder, objective = prepared(make)
    loss, _ = total(objective, pair_views(encoder, PAIRS))
    loss.backward()
    found, found_gradients = replayed(make, [4, 3])
    torch.testing.assert_close(found, loss.detach())
    same(found_gradients, gradients(encoder, objective))


def test_the_joined_view_describes_the_whole_batch() -> None:
    encoder = tiny_encoder()
    whole = pair_views(encoder, PAIRS)
    batch = ReplayedBatch(cut(encoder, [1, 5, 1]), 3)
    for side in ("source", "target", "joint"):
        ours, theirs = getattr(batch, side), getattr(whole, side)
        assert torch.equal(ours.ids, theirs.ids)
        assert torch.equal(ours.attention_mask, theirs.attention_mask)
        assert torch.equal(ours.content_mask, theirs.content_mask)
        assert ours.masked.labels.shape == (len(ours.masked.logits()),)
        tokens = theirs.attention_mask
        torch.testing.assert_close(
            ours.states(2 / 3)[tokens], theirs.states(2 / 3)[tokens], atol=1e-12, rtol=0
        )
    torch.testing.assert_close(batch.embeddings(), whole.embeddings())
    assert batch.vocabulary == whole.vocabulary


def test_mixed_precision_is_the_same_in_both_encodings() -> None:
    autocast = partial(torch.autocast, "cpu", torch.bfloat16)
    encoder, objective = prepared(everything)
    encoder.float()
    objective.float()
    chunk = cut(encoder, [4, 3])
    with autocast():
        loss, _ = total(objective, ManuallyJoined([chunk(0), chunk(1)]))
    loss.backward()
    expected = gradients(encoder, objective)
    encoder.zero_grad()
    objective.zero_grad()
    with autocast():
        batch = ReplayedBatch(chunk, 2)
        found, _ = total(objective, batch)
    found.backward()
    batch.replay(autocast)
    torch.testing.assert_close(found, loss)
    for name, gradient in gradients(encoder, objective).items():
        if gradient is not None:
            scale = float(expected[name].abs().max())  # type: ignore[union-attr]
            torch.testing.assert_close(gradient, expected[name], atol=0.02 * scale, rtol=0)

"""Views that objectives alter: attention rules, noise, words and links, composed text, other encoders."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from xbench.api import FrozenCopy
from xbench.nn.encoders.encoder import Encoder
from xbench.nn.pair_views import PairTexts, PairViews
from xbench.nn.replay import ReplayedBatch
from xbench.nn.text import Text, pad

from .batches import BEGIN, END, FORMAT, PAD, Pair, random_pairs, text, tiny_encoder

PAIRS = random_pairs((3, 4), (6, 2), (1, 1), (5, 7), (2, 6))
FRAMING = replace(FORMAT, frame=lambda ids: [BEGIN, *ids, END])
STREAM = (7, "align", 3)


def side(rows: Sequence[Sequence[int]], owner: Callable[[int], int]) -> Text:
    """One side; token i of a text belongs to the word ``owner(i)``."""
    owners = pad([[-1, *(owner(i) for i in range(len(row))), -1] for row in rows], -1)
    return replace(text(rows), owners=owners)


def joint(pairs: Sequence[Pair]) -> Text:
    rows = [[*source, END, END, *target] for source, target in pairs]
    sides = [[-1] + [0] * len(s) + [-1, -1] + [1] * len(t) + [-1] for s, t in pairs]
    return replace(text(rows), sides=pad(sides, -1))


def batch(encoder: Encoder, pairs: Sequence[Pair] = PAIRS, index: int = 0) -> PairViews:
    """Words of two subwords in the source and of one in the target; word 0 links to word 0."""
    links = torch.tensor([[row, 0, 0] for row in range(len(pairs))] + [[0, 1, 1], [0, 9, 1]])
    source = side([pair[0] for pair in pairs], lambda i: i // 2)
    target = side([pair[1] for pair in pairs], lambda i: i)
    texts = PairTexts(source, target, joint(pairs), links)
    return PairViews(encoder, texts, FRAMING, (*STREAM, index), index)


def other_side_only(view: Any) -> Tensor:
    """[B, T, T]: a position sees itself and the other text, and never its own."""
    sides = view.sides
    other = (sides[:, :, None] != sides[:, None, :]) & (sides[:, None, :] >= 0)
    return other | torch.eye(sides.shape[1], dtype=torch.bool)


def test_what_a_rule_forbids_never_arrives() -> None:
    encoder = tiny_encoder().eval()
    before = batch(encoder).joint.attending(other_side_only).states(1.0)
    pairs = [(list(s), list(t)) for s, t in PAIRS]
    pairs[3][0][2] = pairs[3][0][2] % 30 + 5  # another word in the source of pair 3
    changed = batch(encoder, pairs)
    assert (changed.joint.ids != batch(encoder).joint.ids).sum() == 1
    after = changed.joint.attending(other_side_only).states(1.0)
    # One layer away the target sees it; what the source's other positions see is what the target
    # makes of itself, and the target never sees its own words: after one layer, no other source word.
    one = changed.joint.attending(other_side_only).states(1 / 3)
    same = batch(encoder).joint.attending(other_side_only).states(1 / 3)
    moved = ((one - same).abs().sum(-1) > 1e-12).nonzero().tolist()
    sides = changed.joint.sides
    place = (changed.joint.ids != batch(encoder).joint.ids).nonzero()[0].tolist()
    assert all(row == 3 and (sides[row, t] != 0 or [row, t] == place) for row, t in moved)
    torch.testing.assert_close(before[[0, 1, 2, 4]], after[[0, 1, 2, 4]])


def test_a_rule_that_allows_everything_changes_nothing() -> None:
    encoder = tiny_encoder().eval()
    views = batch(encoder)

    def everything(view: Any) -> Tensor:
        return torch.ones(*view.ids.shape, view.ids.shape[1], dtype=torch.bool)

    content = views.joint.attention_mask
    torch.testing.assert_close(
        views.joint.attending(everything).states(1.0)[content], views.joint.states(1.0)[content]
    )
    assert views.joint.attending(everything) is views.joint.attending(everything)


def test_masked_views_show_the_same_masks_under_any_rule() -> None:
    views = batch(tiny_encoder())
    masked = views.joint.masked
    for altered in (
        masked.attending(other_side_only),
        views.joint.attending(other_side_only).masked,
    ):
        assert torch.equal(altered.ids, masked.ids)
        assert torch.equal(altered.labels, masked.labels)


def test_noise_on_the_embeddings_is_drawn_from_the_steps_stream() -> None:
    encoder = tiny_encoder().eval()

    def noise(states: Tensor, stream: torch.Generator) -> Tensor:
        return states + 0.1 * torch.randn(states.shape, generator=stream, dtype=states.dtype)

    first, again = (batch(encoder).source.perturbed(noise).pooled() for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, batch(encoder).source.pooled())
    unchanged = batch(encoder).source.perturbed(lambda states, stream: states).pooled()
    torch.testing.assert_close(unchanged, batch(encoder).source.pooled())


def test_links_of_words_that_were_cut_off_are_left_out() -> None:
    links = batch(tiny_encoder()).links.tolist()
    assert links == [[row, 0, 0] for row in range(len(PAIRS))] + [[0, 1, 1]]


def test_text_whose_words_are_unknown_says_so() -> None:
    plain = side([[5, 6]], lambda i: i)
    texts = PairTexts(replace(plain, owners=None), plain, plain)
    views = PairViews(tiny_encoder(), texts, FRAMING, STREAM)
    with pytest.raises(ValueError, match="needs = "):
        views.source.words()
    with pytest.raises(ValueError, match="no word links"):
        _ = views.links
    with pytest.raises(ValueError, match="phase"):
        _ = views.task


def test_composed_text_is_framed_and_encoded_like_any_other() -> None:
    encoder = tiny_encoder().eval()
    views = batch(encoder)
    composed = views.compose([pair[0] for pair in PAIRS])
    assert torch.equal(composed.ids, views.source.ids)
    torch.testing.assert_close(composed.pooled(), views.source.pooled())
    assert views.compose([pair[0] for pair in PAIRS]) is composed


def test_a_frozen_copy_gives_no_gradient_and_sees_the_same_masks() -> None:
    encoder = tiny_encoder(dropout=0.3)
    teacher = FrozenCopy(encoder).train()
    views = batch(encoder)
    seen = views.through(teacher)
    assert not seen.source.pooled().requires_grad
    assert not seen.source.masked.logits().requires_grad
    assert torch.equal(seen.source.masked.ids, views.source.masked.ids)
    torch.testing.assert_close(seen.source.pooled(), views.through(teacher).source.pooled())


def test_a_momentum_copy_follows() -> None:
    encoder = tiny_encoder()
    copy = FrozenCopy(encoder)
    start = {name: p.clone() for name, p in copy.encoder.named_parameters()}
    for parameter in encoder.parameters():
        parameter.data += 1.0
    copy.follow(encoder, momentum=0.75)
    for name, parameter in copy.encoder.named_parameters():
        torch.testing.assert_close(parameter.data, start[name] + 0.25)


def contrast(views: Any) -> Tensor:
    """Something of everything that can be asked for."""
    links = views.links
    source, target = views.source.words(2 / 3), views.target.words(1.0, "last")
    linked = (source[links[:, 0], links[:, 1]] * target[links[:, 0], links[:, 2]]).sum()
    rule = views.joint.attending(other_side_only)
    attended = (rule.states(1.0).square() * (rule.sides >= 0).unsqueeze(-1)).sum()
    swapped = views.compose([target for _, target in PAIRS]).pooled(2 / 3).pow(3).sum()
    away = sum((p - 1).square().sum() for p in views.weights().values())
    return linked + attended + swapped + away


@pytest.mark.parametrize("sizes", [[5], [2, 3], [1, 1, 1, 1, 1]])
def test_chunks_have_the_gradients_of_the_whole(sizes: list[int]) -> None:
    whole, chunked = tiny_encoder(), tiny_encoder()
    bounds = [len(PAIRS) * i // len(sizes) for i in range(len(sizes) + 1)]

    def chunk(index: int) -> PairViews:
        pairs = PAIRS[bounds[index] : bounds[index + 1]]
        views = batch(chunked, pairs, index)
        if index:  # the extra links belong to the first pair of the whole batch
            views._texts = replace(views._texts, links=views._texts.links[: len(pairs)])
        return views

    expected = contrast(batch(whole))
    expected.backward()
    replayed = ReplayedBatch(chunk, len(sizes))
    loss = contrast(replayed)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    replayed.replay()
    for (name, one), two in zip(whole.named_parameters(), chunked.parameters(), strict=True):
        if one.grad is None:
            assert two.grad is None, name
            continue
        torch.testing.assert_close(two.grad, one.grad, rtol=1e-8, atol=1e-10, msg=name)


@pytest.mark.parametrize("texts", [1, 2, 4, 5, 9])
def test_any_number_of_texts_can_be_composed_in_chunks(texts: int) -> None:
    """Fewer than chunks, and more: numbers and gradients are those of the whole batch."""
    whole, chunked = tiny_encoder(), tiny_encoder()
    composed = [[*source, 5 + i] for i, (source, _) in enumerate([*PAIRS, *PAIRS][:texts])]

    def loss_of(views: Any) -> Tensor:
        view = views.compose(composed)
        assert len(view.ids) == len(view.content_mask) == texts
        noisy = view.perturbed(doubled).pooled().sin().sum()
        return view.pooled(2 / 3).pow(3).sum() + noisy + views.source.pooled().sum()

    expected = loss_of(batch(whole))
    expected.backward()
    replayed = ReplayedBatch(partial(chunk_of, chunked), 5)
    loss = loss_of(replayed)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    replayed.replay()
    for (name, one), two in zip(whole.named_parameters(), chunked.parameters(), strict=True):
        if one.grad is None:
            assert two.grad is None, name
            continue
        torch.testing.assert_close(two.grad, one.grad, rtol=1e-8, atol=1e-10, msg=name)


def doubled(states: Tensor, stream: torch.Generator) -> Tensor:
    return 2 * states


def test_a_chunk_that_no_asked_term_reads_needs_no_gradient() -> None:
    """One composed text in five chunks and nothing else: four chunks have nothing to replay."""
    encoder = tiny_encoder()
    replayed = ReplayedBatch(partial(chunk_of, encoder), 5)
    replayed.compose([[7, 8, 9]]).masked.logits().square().sum().backward()
    replayed.replay()
    assert encoder.word_embeddings.requires_grad
    assert any(parameter.grad is not None for parameter in encoder.parameters())


@pytest.mark.parametrize("chunks", [1, 5])
def test_composing_no_text_at_all_is_an_error(chunks: int) -> None:
    encoder = tiny_encoder()
    views: Any = batch(encoder)
    if chunks > 1:
        views = ReplayedBatch(partial(chunk_of, encoder), chunks)
    with pytest.raises(ValueError, match="no text to compose"):
        views.compose([]).pooled()


def test_chunks_through_a_frozen_copy_equal_the_whole() -> None:
    encoder = tiny_encoder().eval()
    teacher = FrozenCopy(encoder)
    replayed = ReplayedBatch(partial(chunk_of, encoder), 5).through(teacher)
    pooled = replayed.target.pooled(2 / 3)
    assert not pooled.requires_grad
    torch.testing.assert_close(pooled, batch(encoder).target.pooled(2 / 3))


def chunk_of(encoder: Encoder, index: int) -> PairViews:
    return batch(encoder, PAIRS[index : index + 1], index)


def test_padding_is_never_a_key_under_a_rule() -> None:
    encoder = tiny_encoder().eval()
    alone = batch(encoder, PAIRS[:1]).joint.attending(other_side_only).states(1.0)
    together = batch(encoder).joint.attending(other_side_only).states(1.0)
    there = batch(encoder, PAIRS[:1]).joint.ids[0] != PAD
    torch.testing.assert_close(together[0, : len(there)][there], alone[0][there])

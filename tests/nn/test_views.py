"""Views: lazy, each layer once, independent of padding and of the order of asking; MLM masking."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from xbench.nn.encoders.encoder import Encoder
from xbench.nn.text import Text, mean_over, pad
from xbench.nn.text_view import TextView

from .batches import (
    BEGIN,
    END,
    FORMAT,
    MASK,
    PAD,
    SPECIALS,
    STREAM,
    UNKNOWN,
    count_calls,
    pair_views,
    random_pairs,
    random_text,
    text,
    tiny_encoder,
    view,
)

ROWS = [random_text(length, seed) for seed, length in enumerate((4, 1, 9, 4, 30, 2))]
# of two lengths; more than fit into one of the rows that the layers see
MANY = [random_text(2 if seed % 2 else 25, seed) for seed in range(24)]
EVERYTHING = replace(FORMAT, mlm_probability=1.0)


def test_pad_fills_on_the_right() -> None:
    assert pad([[5, 6], [7], []], 1).tolist() == [[5, 6], [7, 1], [1, 1]]
    assert pad([[]], 1).shape == (1, 0)


def test_the_encoder_runs_no_further_than_asked() -> None:
    encoder = tiny_encoder()
    calls = count_calls(encoder)
    some = view(encoder, MANY)
    some.states(2 / 3)
    assert calls == {"embed": 1, 0: 1, 1: 1}
    some.states(0)
    some.pooled(1 / 3)
    assert calls == {"embed": 1, 0: 1, 1: 1}
    some.states(1.0)
    some.pooled(1.0)
    assert calls == {"embed": 1, 0: 1, 1: 1, 2: 1}


def test_masks_and_labels_run_no_encoder() -> None:
    encoder = tiny_encoder()
    calls = count_calls(encoder)
    batch = pair_views(encoder, random_pairs((3, 4), (5, 1)))
    assert batch.source.ids.shape == (2, 7)
    assert batch.joint.content_mask.sum() == 13
    assert batch.target.masked.labels.dim() == 1
    batch.embeddings(batch.source.ids)
    assert not calls


def test_a_masked_view_is_encoded_once_however_many_ask() -> None:
    encoder = tiny_encoder()
    calls = count_calls(encoder)
    some = view(encoder, ROWS)
    some.masked.logits()
    some.masked.logits()
    some.masked.states(1 / 3)
    assert some.masked.masked is some.masked
    assert calls == {"embed": 1, 0: 1, 1: 1, 2: 1}


@pytest.mark.parametrize("rows", [ROWS, MANY], ids=["one row", "several rows"])
@pytest.mark.parametrize("depth", [0, 1 / 3, 2 / 3, 1])
def test_states_are_those_of_the_whole_padded_batch(rows: list[list[int]], depth: float) -> None:
    encoder = tiny_encoder()
    some = view(encoder, rows)
    mask = some.ids != PAD
    expected = encoder(some.ids.unsqueeze(0), mask.unsqueeze(0))[round(depth * 3)][0]
    torch.testing.assert_close(some.states(depth)[mask], expected[mask], atol=1e-12, rtol=0)
    assert some.states(depth).shape == expected.shape


def answers(some: TextView, order: list[str]) -> dict[str, Tensor]:
    ask = {
        "low": lambda: some.states(1 / 3),
        "top": lambda: some.states(1.0),
        "pooled": lambda: some.pooled(2 / 3),
        "logits": lambda: some.masked.logits(),
        "labels": lambda: some.masked.labels,
        "masked": lambda: some.masked.states(1 / 3),
    }
    return {name: ask[name]() for name in order}


@pytest.mark.parametrize("rows", [ROWS, MANY], ids=["one row", "several rows"])
def test_the_order_of_asking_changes_nothing_even_with_dropout(rows: list[list[int]]) -> None:
    encoder = tiny_encoder(dropout=0.3)
    order = ["low", "top", "pooled", "logits", "labels", "masked"]
    first = answers(view(encoder, rows), order)
    torch.rand(17)
    second = answers(view(encoder, rows), order[::-1])
    only = answers(view(encoder, rows), ["pooled"])
    assert all(torch.equal(first[name], second[name]) for name in order)
    assert torch.equal(only["pooled"], first["pooled"])


def test_dropout_differs_by_step_side_and_layer_and_is_off_in_evaluation() -> None:
    encoder = tiny_encoder(dropout=0.3)
    some, later = view(encoder, ROWS), view(encoder, ROWS, stream=(7, "align", 4, 0))
    assert not torch.equal(some.states(), later.states())
    text_of_both = random_text(5, 1)
    batch = pair_views(encoder, [(text_of_both, text_of_both)])
    assert not torch.equal(batch.source.states(), batch.target.states())
    dropped = [(view(encoder, [[9] * 20]).states(depth)[0] == 0) for depth in (0, 1 / 3)]
    assert dropped[0].any()
    encoder.eval()
    assert torch.equal(view(encoder, ROWS).states(), view(encoder, ROWS, stream=(8, "x")).states())


def test_the_masked_text_has_dropout_of_its_own() -> None:
    nothing_masked = view(tiny_encoder(dropout=0.3), [[], []])
    assert torch.equal(nothing_masked.ids, nothing_masked.masked.ids)
    assert not torch.equal(nothing_masked.states(), nothing_masked.masked.states())


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("rows", [ROWS, MANY], ids=["one row", "several rows"])
def test_more_padding_changes_nothing(rows: list[list[int]], dropout: float) -> None:
    encoder = tiny_encoder(dropout)
    some, padded = view(encoder, rows), view(encoder, rows, padding=11)
    width = some.ids.shape[1]
    tokens = some.attention_mask
    torch.testing.assert_close(padded.states()[:, :width][tokens], some.states()[tokens])
    for how in ("mean", "cls"):
        pooled = some.pooled(2 / 3, how)
        torch.testing.assert_close(padded.pooled(2 / 3, how), pooled, atol=1e-12, rtol=0)
    assert torch.equal(padded.masked.ids[:, :width], some.masked.ids)
    assert torch.equal(padded.masked.labels, some.masked.labels)
    torch.testing.assert_close(padded.masked.logits(), some.masked.logits())


def test_companions_in_the_batch_change_nothing() -> None:
    encoder = tiny_encoder()
    together = view(encoder, MANY)
    for index in (0, 1, 7):
        alone = view(encoder, [MANY[index]])
        torch.testing.assert_close(alone.pooled()[0], together.pooled()[index], atol=1e-12, rtol=0)


@pytest.mark.parametrize("padding", [0, 5])
def test_gradients_do_not_depend_on_padding(padding: int) -> None:
    gradients = []
    for more in (0, padding):
        encoder = tiny_encoder(dropout=0.2)
        some = view(encoder, MANY, padding=more)
        (some.pooled().square().sum() + some.masked.logits().logsumexp(-1).sum()).backward()
        gradients.append([p.grad for p in encoder.parameters()])
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second, atol=1e-12, rtol=0)


def test_pooling_takes_content_only() -> None:
    encoder = tiny_encoder()
    some = view(encoder, ROWS)
    for row, ids in enumerate(ROWS):
        states = some.states(2 / 3)[row]
        expected = sum(states[1 + place] for place in range(len(ids))) / len(ids)
        torch.testing.assert_close(some.pooled(2 / 3)[row], expected, atol=1e-12, rtol=0)
        torch.testing.assert_close(some.pooled(2 / 3, "cls")[row], states[0])
    with pytest.raises(ValueError, match="'median', expected 'mean' or 'cls'"):
        some.pooled(how="median")


def test_unknown_tokens_are_content_and_an_empty_text_pools_to_zero() -> None:
    encoder = tiny_encoder()
    some = view(encoder, [[UNKNOWN, UNKNOWN], [], [9]])
    assert some.content_mask.tolist() == [
        [False, True, True, False],
        [False, False, False, False],
        [False, True, False, False],
    ]
    pooled = some.pooled()
    torch.testing.assert_close(pooled[0], some.states()[0, 1:3].mean(0), atol=1e-12, rtol=0)
    assert pooled[1].tolist() == [0.0] * 12
    pooled.square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())


def test_half_precision_is_averaged_in_float32() -> None:
    states = torch.ones(1, 301, 2, dtype=torch.bfloat16)
    mean = mean_over(states, torch.ones(1, 301, dtype=torch.bool))
    assert mean.dtype == torch.float32
    assert mean.tolist() == [[1.0, 1.0]]


def within(found: int, of: int, expected: float) -> bool:
    """Whether a count is within four standard deviations of a binomial's mean."""
    return abs(found - of * expected) < 4 * math.sqrt(of * expected * (1 - expected))


@pytest.mark.parametrize("probability", [0.15, 0.4])
def test_masking_follows_devlin(probability: float) -> None:
    rows = [random_text(50, seed) for seed in range(400)]
    some = view(tiny_encoder(), rows, format=replace(FORMAT, mlm_probability=probability))
    before, after = some.ids, some.masked.ids
    content = int(some.content_mask.sum())
    chosen = len(some.masked.labels)
    shown_mask = int((after == MASK).sum())
    other = (after != before) & (after != MASK)
    assert content == 20_000
    assert within(chosen, content, probability)
    assert within(shown_mask, chosen, 0.8)
    # a random id is the true one once in the 35 ordinary ids
    assert within(int(other.sum()), chosen, 0.1 * 34 / 35)
    assert set(after[other].tolist()) == set(range(40)) - set(SPECIALS)
    assert torch.equal(after[~some.content_mask], before[~some.content_mask])


def test_labels_are_the_original_ids_at_the_places_of_the_logits() -> None:
    encoder = tiny_encoder()
    some = view(encoder, MANY, format=EVERYTHING)
    assert torch.equal(some.masked.labels, some.ids[some.content_mask])
    states = some.masked.states(1.0)
    everywhere = encoder.mlm_logits(states.flatten(0, 1).unsqueeze(0))[0].view(
        *states.shape[:2], -1
    )
    expected = everywhere[some.content_mask]
    torch.testing.assert_close(some.masked.logits(), expected, atol=1e-12, rtol=0)


def test_chosen_places_are_predicted_in_order() -> None:
    """With 15 %, labels tell which places were chosen: where the input changed, they are there."""
    some = view(tiny_encoder(), [list(range(4, 39))] * 3)
    changed = some.masked.ids != some.ids
    changed_labels = some.ids[changed].tolist()
    labels = iter(some.masked.labels.tolist())
    assert all(label in labels for label in changed_labels)  # a subsequence


def test_masks_differ_by_step_and_repeat_with_the_stream() -> None:
    encoder = tiny_encoder()
    some, again = view(encoder, MANY).masked.ids, view(encoder, MANY).masked.ids
    assert torch.equal(some, again)
    assert not torch.equal(some, view(encoder, MANY, stream=(7, "align", 4, 0)).masked.ids)


def test_masks_are_those_of_the_plain_text_even_where_masked_ids_are_special() -> None:
    some = view(tiny_encoder(), ROWS, format=EVERYTHING)
    assert torch.equal(some.masked.attention_mask, some.attention_mask)
    assert torch.equal(some.masked.content_mask, some.content_mask)


def test_nothing_to_mask_gives_no_logits_and_no_labels() -> None:
    some = view(tiny_encoder(), [[], []])
    assert some.masked.logits().shape == (0, 40)
    assert some.masked.labels.shape == (0,)


def test_masking_needs_a_mask_token() -> None:
    without = replace(FORMAT, vocabulary=replace(FORMAT.vocabulary, mask_id=None))
    with pytest.raises(ValueError, match="no mask token"):
        _ = view(tiny_encoder(), ROWS, format=without).masked


def test_token_types_reach_the_encoder_wherever_a_text_is_packed() -> None:
    encoder = tiny_encoder(model_type="bert")
    ids = text(MANY).ids
    types = (torch.arange(ids.shape[1]) > 2).long().expand_as(ids)
    some = TextView(encoder, Text(ids, types), FORMAT, STREAM)
    mask = ids != PAD
    expected = encoder(ids.unsqueeze(0), mask.unsqueeze(0), types.unsqueeze(0))[-1][0]
    torch.testing.assert_close(some.states()[mask], expected[mask], atol=1e-12, rtol=0)
    masked_types = TextView(encoder, Text(ids), FORMAT, STREAM).masked.states()
    assert not torch.equal(some.masked.states(), masked_types)


def test_embeddings_are_the_encoders_own() -> None:
    encoder = tiny_encoder()
    batch = pair_views(encoder, random_pairs((2, 3)))
    words = encoder.word_embeddings[0]
    assert torch.equal(batch.embeddings(), words)
    assert torch.equal(batch.embeddings(batch.source.ids), words[batch.source.ids])
    batch.embeddings(torch.tensor([9, 9])).sum().backward()
    gradient = encoder.word_embeddings.grad
    assert gradient is not None
    assert gradient[0, 9].tolist() == [2.0] * 12
    assert gradient.sum() == 24


def test_the_joint_text_is_framed_as_a_pair() -> None:
    batch = pair_views(tiny_encoder(), [([7, 8], [9])])
    assert batch.joint.ids.tolist() == [[BEGIN, 7, 8, END, END, 9, END]]
    content = [False, True, True, False, False, True, False]
    assert batch.joint.content_mask.tolist() == [content]


def test_the_objectives_generator_is_named_by_the_step() -> None:
    encoder: Encoder = tiny_encoder()
    pairs = random_pairs((2, 3))
    draws = [torch.rand(3, generator=pair_views(encoder, pairs).generator) for _ in range(2)]
    other = torch.rand(3, generator=pair_views(encoder, pairs, (7, "align", 4, 0)).generator)
    assert torch.equal(*draws)
    assert not torch.equal(draws[0], other)

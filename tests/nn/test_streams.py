"""Streams: the same name gives the same draws, another name others."""

from itertools import combinations

import numpy as np
import pytest
import torch

from xbench.nn.random_streams import generator, permutation, seed_dropout, stream_seed


def test_seeds_are_the_same_everywhere() -> None:
    """Saved results rest on these numbers: sha256 of the JSON text, its first 63 bits."""
    assert stream_seed(42, "align", 0) == 6242355376529148719


@pytest.mark.parametrize(
    ("first", "second"),
    list(combinations([("a", "b"), ("ab",), ("a b",), ("a\0b",), (1,), ("1",), (1, ""), ()], 2)),
)
def test_different_names_have_different_seeds(
    first: tuple[str | int, ...], second: tuple[str | int, ...]
) -> None:
    assert stream_seed(*first) != stream_seed(*second)


def test_a_part_that_is_no_plain_value_is_refused() -> None:
    with pytest.raises(TypeError):
        stream_seed(np.int64(3))  # type: ignore[arg-type]


def test_a_stream_does_not_depend_on_what_was_drawn_before() -> None:
    expected = torch.rand(5, generator=generator(1, "x"))
    torch.rand(100)
    assert torch.equal(torch.rand(5, generator=generator(1, "x")), expected)
    assert not torch.equal(torch.rand(5, generator=generator(2, "x")), expected)


def test_a_permutation_holds_every_number_once() -> None:
    order = permutation(100, 3, "pairs", 0)
    assert order.sort().values.tolist() == list(range(100))
    assert torch.equal(order, permutation(100, 3, "pairs", 0))
    assert not torch.equal(order, permutation(100, 3, "pairs", 1))


def test_dropout_draws_from_the_stream() -> None:
    ones = torch.ones(200)
    seed_dropout(5, "layer", 1)
    expected = torch.dropout(ones, 0.5, train=True)
    torch.rand(3)
    seed_dropout(5, "layer", 1)
    assert torch.equal(torch.dropout(ones, 0.5, train=True), expected)
    seed_dropout(5, "layer", 2)
    assert not torch.equal(torch.dropout(ones, 0.5, train=True), expected)


def test_seeding_is_what_torch_calls_seeding() -> None:
    seed_dropout("any", 1)
    ours = torch.rand(4)
    torch.manual_seed(stream_seed("any", 1))
    assert torch.equal(torch.rand(4), ours)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_dropout_on_a_gpu_draws_from_the_stream_too() -> None:
    ones = torch.ones(200, device="cuda")
    seed_dropout(5)
    expected = torch.dropout(ones, 0.5, train=True)
    seed_dropout(5)
    assert torch.equal(torch.dropout(ones, 0.5, train=True), expected)

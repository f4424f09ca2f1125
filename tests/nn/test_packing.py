"""Packing: every token has a place, rows are filled, sentences stay apart, nothing is lost."""

from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from xbench.nn.packing import Packing, pack

LENGTHS = st.lists(st.integers(0, 90), min_size=1, max_size=40)


@given(LENGTHS, st.integers(1, 120))
def test_each_sentence_is_in_one_row_and_no_two_rows_would_fit_into_one(
    lengths: list[int], width: int
) -> None:
    rows = pack(lengths, width)
    held = [sum(lengths[sentence] for sentence in row) for row in rows]
    assert sorted(s for row in rows for s in row) == [s for s, n in enumerate(lengths) if n]
    limit = max([width, *lengths])
    assert all(0 < size <= limit for size in held)
    assert all(first + second > limit for first, second in combinations(held, 2))


def test_the_longest_come_first() -> None:
    assert pack([3, 9, 4, 6, 7, 1], width=10) == [[1, 5], [4, 0], [3, 2]]
    assert pack([20] * 3, width=10) == [[0], [1], [2]]


def mask_of(lengths: list[int], padding: int = 0) -> Tensor:
    places = torch.arange(max(lengths, default=0) + padding)
    return places < torch.tensor(lengths).unsqueeze(1)


@given(LENGTHS, st.integers(0, 5))
def test_tokens_come_back_to_where_they_were(lengths: list[int], padding: int) -> None:
    mask = mask_of(lengths, padding)
    packing = Packing.of(mask)
    states = torch.randn(*mask.shape, 2)
    rows = packing.rows_of(states)
    assert rows.shape[:2] == packing.owners.shape
    torch.testing.assert_close(packing.batch_of(rows), states * mask.unsqueeze(-1))
    assert (rows[packing.owners < 0] == 0).all()
    for sentence, length in enumerate(lengths):
        torch.testing.assert_close(rows[packing.owners == sentence], states[sentence, :length])


@given(LENGTHS)
def test_a_place_attends_to_its_own_sentence_only(lengths: list[int]) -> None:
    packing = Packing.of(mask_of(lengths))
    mask, owners = packing.mask(), packing.owners
    assert mask.shape == (*owners.shape, owners.shape[1])
    for row, own in zip(mask, owners, strict=True):
        for place, sentence in enumerate(own.tolist()):
            assert own[row[place]].unique().tolist() == [sentence]
            assert sentence < 0 or int(row[place].sum()) == lengths[sentence]


def test_gradients_take_the_same_ways_back() -> None:
    mask = mask_of([2, 5, 1])
    states = torch.randn(3, 5, 2, dtype=torch.float64, requires_grad=True)
    packing = Packing.of(mask)
    weights = torch.randn(3, 5, 2, dtype=torch.float64)
    (packing.batch_of(packing.rows_of(states)) * weights).sum().backward()
    assert states.grad is not None
    torch.testing.assert_close(states.grad, weights * mask.unsqueeze(-1))


@pytest.mark.parametrize("lengths", [[0], [0, 0, 0]])
def test_a_batch_without_tokens_has_no_rows(lengths: list[int]) -> None:
    packing = Packing.of(mask_of(lengths, padding=2))
    assert packing.owners.shape == (0, 0)
    assert (
        packing.batch_of(torch.zeros(0, 0, 3)).tolist() == torch.zeros(len(lengths), 2, 3).tolist()
    )

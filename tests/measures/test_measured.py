"""Which vectors are measured, and what is said of those that are not."""

import math

import pytest
import torch

from xbench_plugins.measures.measured import Measured, number, ratio, usable, usable_pairs

GOOD = torch.arange(1.0, 13.0).reshape(4, 3).square()
DAMAGED = {
    "1 of 4 vectors of .* are not finite": GOOD.clone().index_fill_(0, torch.tensor([2]), math.nan),
    "are zero": torch.zeros(4, 3),
    "have the same direction": torch.arange(1.0, 5.0)[:, None] * torch.ones(4, 3),
    "1 vectors, and the measure needs 2": GOOD[:1],
    "0 vectors, and the measure needs 2": GOOD[:0],
    "the shape is": GOOD[0],
}


@pytest.mark.parametrize("problem", DAMAGED)
def test_vectors_that_nothing_can_be_measured_of_are_refused(problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        usable(DAMAGED[problem], "kaz")


@pytest.mark.parametrize("problem", [p for p in DAMAGED if p != "the shape is"])
@pytest.mark.parametrize("side", [0, 1])
def test_a_pair_is_refused_for_either_side(problem: str, side: int) -> None:
    bad = DAMAGED[problem]
    sides = [GOOD[: len(bad)], GOOD[: len(bad)]]
    sides[side] = bad
    with pytest.raises(ValueError, match=problem):
        usable_pairs(*sides, ("kaz", "eng"))


def test_pairs_must_pair_up() -> None:
    with pytest.raises(ValueError, match=r"kaz-eng: .* \[4, 3\] and \[3, 3\]"):
        usable_pairs(GOOD, GOOD[:3], ("kaz", "eng"))


def test_zero_vectors_are_left_out_with_their_partners_and_counted() -> None:
    first, second = GOOD.clone(), GOOD.clone()
    first[0], second[3] = 0, 0
    left, right, note = usable_pairs(first, second, ("kaz", "eng"))
    assert torch.equal(left, GOOD[1:3])
    assert torch.equal(right, GOOD[1:3])
    assert note == "2 of 4 left out: the vector is zero"
    assert usable(GOOD, "kaz")[1] == ""


def test_rounding_of_one_text_in_two_batches_makes_no_difference_between_vectors() -> None:
    nearly = torch.ones(4, 3) + 1e-6 * GOOD / GOOD.max()
    with pytest.raises(ValueError, match="same direction"):
        usable(nearly, "kaz")
    usable(torch.ones(4, 3) + 1e-3 * GOOD / GOOD.max(), "kaz")


def test_a_number_that_is_none_is_undefined_with_a_reason() -> None:
    assert number(math.inf).value is None
    assert number(math.nan, "no spread") == Measured(None, reason="no spread")
    assert ratio(1.0, 0.0, "nothing below").value is None
    assert ratio(1.0, -2.0, "nothing below").reason == "nothing below"
    assert ratio(1.0, 4.0, "").value == 0.25


def test_notes_add_up() -> None:
    assert Measured(1.0).flagged("") == Measured(1.0)
    assert Measured(1.0, reason="a").flagged("b").reason == "a; b"

"""Word vectors against a slow loop; padding, missing words, gradients."""

import pytest
import torch
from torch import Tensor

from xbench.nn.words import HOW, word_mask, word_vectors

OWNER = torch.tensor([[-1, 0, 0, 1, 3, -1, -1], [-1, 0, 1, 1, 1, 2, -1]])


def slowly(states: Tensor, owner: Tensor, how: str) -> Tensor:
    width = int(owner.max()) + 1
    result = torch.zeros(len(owner), width, states.shape[-1], dtype=states.dtype)
    for row in range(len(owner)):
        for word in range(width):
            own = [states[row, t] for t in range(owner.shape[1]) if owner[row, t] == word]
            if own:
                mean = torch.stack(own).mean(0)
                result[row, word] = {"mean": mean, "first": own[0], "last": own[-1]}[how]
    return result


@pytest.mark.parametrize("how", HOW)
def test_word_vectors_equal_a_loop(how: str) -> None:
    states = torch.randn(2, 7, 5, dtype=torch.float64)
    torch.testing.assert_close(word_vectors(states, OWNER, how), slowly(states, OWNER, how))


def test_a_word_without_subwords_is_masked_and_zero() -> None:
    assert word_mask(OWNER).tolist() == [[True, True, False, True], [True, True, True, False]]
    assert not word_vectors(torch.randn(2, 7, 5), OWNER)[0, 2].any()


def test_padding_changes_nothing() -> None:
    states = torch.randn(2, 7, 5, dtype=torch.float64)
    more = torch.cat([states, torch.full((2, 3, 5), 9.0, dtype=torch.float64)], dim=1)
    owner = torch.cat([OWNER, torch.full((2, 3), -1)], dim=1)
    for how in HOW:
        torch.testing.assert_close(word_vectors(more, owner, how), word_vectors(states, OWNER, how))


def test_no_words_at_all() -> None:
    owner = torch.full((2, 3), -1)
    assert word_mask(owner).shape == (2, 0)
    assert word_vectors(torch.randn(2, 3, 5), owner).shape == (2, 0, 5)


def test_gradients_reach_the_subwords() -> None:
    states = torch.randn(2, 7, 3, dtype=torch.float64, requires_grad=True)
    for how in HOW:
        torch.autograd.gradcheck(lambda s, how=how: word_vectors(s, OWNER, how), states)


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(ValueError, match="median"):
        word_vectors(torch.zeros(1, 1, 1), torch.zeros(1, 1, dtype=torch.long), "median")

"""Smoothed hard negatives against the vectors formed one by one."""

import pytest
import torch
from torch import Tensor

from xbench_plugins.losses.contrastive import comparable, similarities
from xbench_plugins.losses.hard_negatives import smoothed_similarities


def slow(z: Tensor, exponent: float, similarity: str) -> Tensor:
    vectors = comparable(z, similarity)
    count = len(vectors)
    result = torch.empty(count, count, dtype=z.dtype)
    for i, q in enumerate(vectors):
        near = (vectors[(i + count // 2) % count] - q).norm()
        for j, k in enumerate(vectors):
            far = (k - q).norm()
            if far > near:
                k = q + (near / far) ** exponent * (k - q)
            result[i, j] = similarities(q[None], k[None], similarity)
    return result


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("exponent", [0.0, 0.3, 0.9])
def test_is_the_similarity_with_the_moved_vectors(exponent: float, similarity: str) -> None:
    torch.manual_seed(0)
    z = torch.randn(8, 5, dtype=torch.float64)
    fast = smoothed_similarities(z, exponent, similarity)
    torch.testing.assert_close(fast, slow(z, exponent, similarity), rtol=1e-12, atol=1e-12)


def test_nothing_moves_before_training_succeeds() -> None:
    torch.manual_seed(0)
    z = torch.randn(8, 5, dtype=torch.float64)
    torch.testing.assert_close(smoothed_similarities(z, 0.0, "cosine"), similarities(z, z))


def test_negatives_only_come_nearer_and_the_partner_stays() -> None:
    torch.manual_seed(1)
    z = torch.randn(10, 5, dtype=torch.float64)
    plain, moved = similarities(z, z), smoothed_similarities(z, 0.9, "cosine")
    assert (moved >= plain - 1e-12).all()
    assert (moved > plain + 1e-3).any()
    partner = torch.arange(10).roll(5)
    rows = torch.arange(10)
    torch.testing.assert_close(moved[rows, partner], plain[rows, partner])


def test_identical_partners_give_finite_gradients() -> None:
    torch.manual_seed(2)
    u = torch.randn(4, 5, dtype=torch.float64)
    z = torch.cat([u, u]).requires_grad_()
    smoothed_similarities(z, 0.5, "cosine").sum().backward()
    assert torch.isfinite(z.grad).all()

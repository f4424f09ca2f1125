"""The contrastive kernels against closed forms, a slow double loop and an independent library."""

import math

import pytest
import torch
from pytorch_metric_learning.losses import NTXentLoss
from torch import Tensor

from xbench_plugins.losses.contrastive import info_nce, nt_xent, similarities

TEMPERATURES = [0.05, 0.1, 1.0]
SIMILARITIES = ["cosine", "dot"]


def vectors(pairs: int = 7, width: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    return (
        torch.randn(pairs, width, dtype=torch.float64),
        torch.randn(pairs, width, dtype=torch.float64),
    )


def slow_similarity(a: Tensor, b: Tensor, similarity: str) -> float:
    product = float((a * b).sum())
    return product if similarity == "dot" else product / float(a.norm() * b.norm())


def slow_nt_xent(u: Tensor, v: Tensor, temperature: float, similarity: str) -> float:
    z, n, total = [*u, *v], len(u), 0.0
    for i in range(2 * n):
        weights = {
            k: math.exp(slow_similarity(z[i], z[k], similarity) / temperature)
            for k in range(2 * n)
            if k != i
        }
        total -= math.log(weights[(i + n) % (2 * n)] / sum(weights.values()))
    return total


def slow_info_nce(u: Tensor, v: Tensor, temperature: float, similarity: str, own: bool) -> float:
    total = 0.0
    for i in range(len(u)):
        candidates = [*v] + ([u[j] for j in range(len(u)) if j != i] if own else [])
        weights = [math.exp(slow_similarity(u[i], c, similarity) / temperature) for c in candidates]
        total -= math.log(weights[i] / sum(weights))
    return total


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_nt_xent_is_the_double_loop(temperature: float, similarity: str) -> None:
    u, v = vectors()
    total, count = nt_xent(u, v, temperature, similarity)
    assert count == 14
    assert float(total) == pytest.approx(slow_nt_xent(u, v, temperature, similarity), rel=1e-12)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("own", [False, True])
def test_info_nce_is_the_double_loop(own: bool, similarity: str) -> None:
    u, v = vectors()
    forth = slow_info_nce(u, v, 0.2, similarity, own)
    back = slow_info_nce(v, u, 0.2, similarity, own)
    one_way = info_nce(u, v, 0.2, similarity, False, own)
    both_ways = info_nce(u, v, 0.2, similarity, True, own)
    assert (one_way[1], both_ways[1]) == (7, 14)
    assert float(one_way[0]) == pytest.approx(forth, rel=1e-12)
    assert float(both_ways[0]) == pytest.approx(forth + back, rel=1e-12)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_nt_xent_and_its_gradient_agree_with_pytorch_metric_learning(temperature: float) -> None:
    u, v = (x.requires_grad_() for x in vectors(9, 8))
    z = torch.cat([u, v])
    reference = NTXentLoss(temperature)(z, torch.arange(9).repeat(2))
    total, count = nt_xent(u, v, temperature)
    # the library adds a small number inside its logarithm
    torch.testing.assert_close(total / count, reference, rtol=1e-9, atol=1e-9)
    ours = torch.autograd.grad(total / count, [u, v])
    theirs = torch.autograd.grad(reference, [u, v])
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_both_directions_with_same_language_negatives_are_nt_xent(similarity: str) -> None:
    u, v = vectors()
    strong, count = info_nce(u, v, 0.1, similarity, True, True)
    expected, anchors = nt_xent(u, v, 0.1, similarity)
    assert count == anchors
    torch.testing.assert_close(strong, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_value_at_orthonormal_identical_views(n: int, temperature: float) -> None:
    u = torch.eye(n, dtype=torch.float64)
    total, count = nt_xent(u, u, temperature)
    far = math.exp(-1 / temperature)
    assert float(total) / count == pytest.approx(math.log(1 + (2 * n - 2) * far), rel=1e-9)
    total, count = info_nce(u, u, temperature)
    assert float(total) / count == pytest.approx(math.log(1 + (n - 1) * far), rel=1e-9)


def test_permuting_pairs_changes_nothing() -> None:
    u, v = vectors()
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    torch.testing.assert_close(nt_xent(u[order], v[order], 0.1), nt_xent(u, v, 0.1))
    shuffled, _ = nt_xent(u, v[order], 0.1)
    assert not torch.isclose(shuffled, nt_xent(u, v, 0.1)[0])


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_gradient(similarity: str) -> None:
    u, v = (x.requires_grad_() for x in vectors(3, 4))
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, 0.5, similarity)[0], (u, v))
    assert torch.autograd.gradcheck(
        lambda a, b: info_nce(a, b, 0.5, similarity, False, True)[0], (u, v)
    )


def test_a_single_pair_costs_nothing_and_has_no_gradient() -> None:
    u, v = (x.requires_grad_() for x in vectors(1))
    total, count = nt_xent(u, v, 0.1)
    assert (float(total.detach()), count) == (0.0, 2)
    for gradient in torch.autograd.grad(total, [u, v]):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-15)


def test_a_zero_vector_gives_finite_numbers() -> None:
    u, v = vectors(3)
    u[1] = 0
    u.requires_grad_()
    total, _ = nt_xent(u, v, 0.1)
    total.backward()
    assert torch.isfinite(total)
    assert torch.isfinite(u.grad).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_does_not_lower_the_precision_of_similarities(dtype: torch.dtype) -> None:
    u, v = (x.to(dtype) for x in vectors(6, 64))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = similarities(u, v)
        loss, _ = nt_xent(u, v, 0.05)
    assert inside.dtype == loss.dtype == torch.float32
    torch.testing.assert_close(inside, similarities(u.float(), v.float()), rtol=0, atol=0)
    torch.testing.assert_close(loss, nt_xent(u.float(), v.float(), 0.05)[0], rtol=0, atol=0)


def test_an_unknown_similarity_is_refused() -> None:
    with pytest.raises(ValueError, match=r"similarity must be one of .*cosine.*dot.*'euclid'"):
        nt_xent(*vectors(), 0.1, "euclid")  # type: ignore[arg-type]

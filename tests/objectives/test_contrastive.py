"""The contrastive kernel against closed forms, a slow loop and two independent libraries."""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from pytorch_metric_learning.losses import NTXentLoss
from torch import Tensor, nn

from xbench_plugins.losses.contrastive import (
    Contrast,
    Negatives,
    contrast,
    nt_xent,
    similarities,
)

from .slow_contrast import others, slow_loss

TEMPERATURES = [0.05, 0.1, 1.0]
SIMILARITIES = ["cosine", "dot"]
LINKS = torch.tensor([[0, 1], [2, 0], [6, 3], [6, 1]])  # of 7 and 4 vectors; two have two links


def vectors(first: int = 7, second: int = 7, width: int = 5, seed: int = 0) -> tuple[Tensor, ...]:
    torch.manual_seed(seed)
    return tuple(torch.randn(n, width, dtype=torch.float64) for n in (first, second))


def slow_contrast(u: Tensor, v: Tensor, how: Contrast, links: Tensor, queue: Tensor) -> float:
    """Queue entry i is not for the anchor of link i."""
    total = 0.0
    for own, other, columns in ((u, v, (0, 1)), (v, u, (1, 0)))[: 1 + how.bidirectional]:
        for number, (i, j) in enumerate(links[:, columns].tolist()):
            negatives = others(queue, number)
            if how.in_batch_negatives:
                negatives += others(other, j)
            if how.same_language_negatives:
                negatives += others(own, i)
            total += slow_loss(
                own[i], other[j], negatives, how.temperature, how.similarity, how.margin
            )
    return total


SWITCHES = ["bidirectional", "in_batch_negatives", "same_language_negatives"]


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("margin", [0.0, 0.3])
@pytest.mark.parametrize("on", list(product([False, True], repeat=3)))
def test_every_combination_is_the_slow_loop(
    on: tuple[bool, ...], margin: float, similarity: Any
) -> None:
    how = Contrast(0.2, similarity, margin=margin, **dict(zip(SWITCHES, on, strict=True)))
    u, v = vectors(7, 4)
    queue, _ = vectors(5, seed=3)
    excluded = torch.eye(4, 5, dtype=torch.bool)
    total, count = contrast(u, v, how, LINKS, Negatives(queue, excluded))
    assert count == 4 * (1 + how.bidirectional)
    assert float(total) == pytest.approx(slow_contrast(u, v, how, LINKS, queue), rel=1e-12)


def test_without_links_row_i_belongs_to_row_i() -> None:
    u, v = vectors()
    how = Contrast(0.1)
    diagonal = torch.arange(7)[:, None].expand(-1, 2)
    assert contrast(u, v, how) == contrast(u, v, how, diagonal)
    with pytest.raises(ValueError, match="7 and 4 vectors are no pairs"):
        contrast(*vectors(7, 4), how)


def test_negatives_that_nobody_excludes_are_everybodys() -> None:
    (u, v), (queue, _) = vectors(), vectors(5, seed=3)
    nobody = torch.zeros(7, 5, dtype=torch.bool)
    how = Contrast(0.1)
    everybodys = contrast(u, v, how, None, Negatives(queue))
    assert everybodys == contrast(u, v, how, None, Negatives(queue, nobody))
    assert everybodys[0] > contrast(u, v, how)[0]


# Libraries


def agree(ours: Tensor, theirs: Tensor, inputs: list[Tensor]) -> None:
    """Values and gradients."""
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(
        torch.autograd.grad(ours, inputs),
        torch.autograd.grad(theirs, inputs),
        rtol=1e-6,
        atol=1e-9,
    )


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_nt_xent_and_its_gradient_agree_with_pytorch_metric_learning(temperature: float) -> None:
    u, v = (x.requires_grad_() for x in vectors(9, 9, 8))
    # the library adds a small number inside its logarithm
    reference = NTXentLoss(temperature)(torch.cat([u, v]), torch.arange(9).repeat(2))
    total, count = nt_xent(u, v, temperature)
    agree(total / count, reference, [u, v])


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_one_direction_agrees_with_pytorch_metric_learning(temperature: float) -> None:
    u, v = (x.requires_grad_() for x in vectors(9, 9, 8))
    labels = torch.arange(9)
    reference = NTXentLoss(temperature)(u, labels, ref_emb=v, ref_labels=labels.clone())
    total, count = contrast(u, v, Contrast(temperature, bidirectional=False))
    agree(total / count, reference, [u, v])


FORTH, BACK, OWN = "query_to_doc", "doc_to_query", "query_to_query"
MNRL: list[Any] = [
    ((FORTH,), "joint", {"bidirectional": False}),
    ((FORTH, BACK), "per_direction", {}),
    ((FORTH, OWN), "joint", {"bidirectional": False, "same_language_negatives": True}),
]


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize(("directions", "partition", "switches"), MNRL)
def test_agreement_with_sentence_transformers(
    directions: Any, partition: str, switches: dict[str, Any], hard: bool
) -> None:
    """Further documents are negatives of the queries alone, so of one direction."""
    losses = pytest.importorskip("sentence_transformers.sentence_transformer.losses")
    if hard and switches.get("bidirectional", True):
        return
    u, v = (x.requires_grad_() for x in vectors(9, 9, 8))
    further = vectors(9, 9, 8, seed=4)[0]
    loss = losses.MultipleNegativesRankingLoss(
        nn.Identity(), scale=20.0, directions=directions, partition_mode=partition
    )
    documents = [v, further] if hard else [v]
    reference = loss.compute_loss_from_embeddings([u, *documents], None)
    queue = Negatives(further) if hard else None
    total, count = contrast(u, v, Contrast(0.05, **switches), None, queue)
    agree(total / count, reference, [u, v])


# What is known of the numbers


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_both_directions_with_same_language_negatives_are_nt_xent(similarity: str) -> None:
    u, v = vectors()
    strong, count = contrast(u, v, Contrast(0.1, similarity, same_language_negatives=True))
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
    total, count = contrast(u, u, Contrast(temperature))
    assert float(total) / count == pytest.approx(math.log(1 + (n - 1) * far), rel=1e-9)


def test_permuting_pairs_changes_nothing() -> None:
    u, v = vectors()
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])

    def weak(a: Tensor, b: Tensor) -> tuple[Tensor, int]:
        return contrast(a, b, Contrast(0.1, margin=0.2))

    losses: list[Callable[..., Any]] = [weak, lambda a, b: nt_xent(a, b, 0.1)]
    for loss in losses:
        torch.testing.assert_close(loss(u[order], v[order]), loss(u, v))
        assert not torch.isclose(loss(u, v[order])[0], loss(u, v)[0])


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_gradient(similarity: str) -> None:
    u, v = (x.requires_grad_() for x in vectors(7, 4))
    queue, _ = vectors(3, seed=5)
    strong = Contrast(0.5, similarity, same_language_negatives=True, margin=0.1)
    alone = Contrast(0.5, similarity, in_batch_negatives=False)
    for how in (strong, alone):
        assert torch.autograd.gradcheck(
            lambda a, b, how=how: contrast(a, b, how, LINKS, Negatives(queue))[0], (u, v)
        )
    pairs = tuple(x.requires_grad_() for x in vectors(3, 3))
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, 0.5, similarity)[0], pairs)


# Degenerate input


def test_a_single_pair_costs_nothing_and_has_no_gradient() -> None:
    u, v = (x.requires_grad_() for x in vectors(1, 1))
    strong = Contrast(0.1, same_language_negatives=True)
    for total, count in (nt_xent(u, v, 0.1), contrast(u, v, strong)):
        assert (float(total.detach()), count) == (0.0, 2)
        for gradient in torch.autograd.grad(total, [u, v]):
            torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-15)


@pytest.mark.parametrize("first", [0, 3])
@pytest.mark.parametrize("in_batch_negatives", [False, True])
def test_without_a_link_the_sum_is_zero(first: int, in_batch_negatives: bool) -> None:
    u, v = (x.requires_grad_() for x in vectors(first, 0))
    nothing = torch.zeros(0, 2, dtype=torch.int64)
    how = Contrast(0.1, in_batch_negatives=in_batch_negatives)
    total, count = contrast(u, v, how, nothing)
    total.backward()
    assert (float(total.detach()), count) == (0.0, 0)
    assert u.grad is not None
    assert not u.grad.any()


def test_a_zero_vector_gives_finite_numbers() -> None:
    u, v = vectors(3, 3)
    u[1] = 0
    u.requires_grad_()
    for total, _ in (nt_xent(u, v, 0.1), contrast(u, v, Contrast(0.1, margin=0.3))):
        total.backward()
        assert torch.isfinite(total)
    assert torch.isfinite(u.grad).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("in_batch_negatives", [False, True])
def test_autocast_does_not_lower_the_precision_of_similarities(
    dtype: torch.dtype, in_batch_negatives: bool
) -> None:
    u, v, queue = (x.to(dtype) for x in (*vectors(6, 6, 64), vectors(5, width=64, seed=2)[0]))
    how = Contrast(0.05, in_batch_negatives=in_batch_negatives)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = similarities(u, v)
        loss, _ = contrast(u, v, how, None, Negatives(queue))
        strong, _ = nt_xent(u, v, 0.05)
    assert inside.dtype == loss.dtype == strong.dtype == torch.float32
    u, v, queue = u.float(), v.float(), queue.float()
    expected, _ = contrast(u, v, how, None, Negatives(queue))
    torch.testing.assert_close(inside, similarities(u, v), rtol=0, atol=0)
    torch.testing.assert_close(loss, expected, rtol=0, atol=0)
    torch.testing.assert_close(strong, nt_xent(u, v, 0.05)[0], rtol=0, atol=0)


def test_an_unknown_similarity_is_refused() -> None:
    with pytest.raises(ValueError, match=r"similarity must be one of .*cosine.*dot.*'euclid'"):
        nt_xent(*vectors(), 0.1, "euclid")  # type: ignore[arg-type]

"""The loss over a large vocabulary in blocks is torch's own over all of it."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xbench.nn.encoders.vocabulary_loss import losses_of, tied_cross_entropy
from xbench.nn.optimise import autocast

M, V, D = 11, 23, 5
BLOCKS = [1, M, 5 * M + 1, M * V]  # one word piece at a time, a few, all at once


def inputs(dtype: torch.dtype = torch.float64) -> tuple[list[Tensor], Tensor, Tensor]:
    """States, words and bias; labels; a weight for each position."""
    torch.manual_seed(3)
    parts = [torch.randn(*shape, dtype=dtype) for shape in ((M, D), (1, V, D), (V,))]
    labels = torch.tensor([0, V - 1, 4, 4, *torch.randint(V, (M - 4,)).tolist()])
    return [part.requires_grad_() for part in parts], labels, torch.rand(M, dtype=dtype)


def whole(states: Tensor, words: Tensor, bias: Tensor, labels: Tensor) -> Tensor:
    return losses_of(F.linear(states, words.squeeze(0), bias), labels)


@pytest.mark.parametrize("block", BLOCKS)
def test_losses_and_gradients(block: int) -> None:
    parts, labels, weights = inputs()
    losses = tied_cross_entropy(*parts, labels, block)
    expected = whole(*parts, labels)
    torch.testing.assert_close(losses, expected, rtol=1e-12, atol=1e-12)
    found = torch.autograd.grad((losses * weights).sum(), parts)
    for ours, wanted in zip(
        found, torch.autograd.grad((expected * weights).sum(), parts), strict=True
    ):
        torch.testing.assert_close(ours, wanted, rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_differences() -> None:
    parts, labels, _ = inputs()
    assert torch.autograd.gradcheck(lambda *p: tied_cross_entropy(*p, labels, 4 * M), parts)


@pytest.mark.parametrize("frozen", range(3))
def test_what_needs_no_gradient_has_none(frozen: int) -> None:
    parts, labels, _ = inputs()
    parts[frozen].requires_grad_(False)
    tied_cross_entropy(*parts, labels, 4 * M).sum().backward()
    assert [part.grad is None for part in parts] == [n == frozen for n in range(3)]
    expected = torch.autograd.grad(
        whole(*parts, labels).sum(), [part for part in parts if part.requires_grad]
    )
    found = [part.grad for part in parts if part.grad is not None]
    torch.testing.assert_close(found, list(expected))


def test_large_scores_stay_finite() -> None:
    parts, labels, _ = inputs()
    with torch.no_grad():
        parts[0].mul_(1e4)
    losses = tied_cross_entropy(*parts, labels, 4 * M)
    torch.testing.assert_close(losses, whole(*parts, labels), rtol=1e-12, atol=1e-9)
    losses.sum().backward()
    assert all(part.grad is not None and part.grad.isfinite().all() for part in parts)


def test_no_position() -> None:
    parts, labels, _ = inputs()
    losses = tied_cross_entropy(parts[0][:0], *parts[1:], labels[:0], 1)
    losses.sum().backward()
    assert losses.shape == (0,)


def test_half_precision_multiplies_in_half_and_sums_in_float32() -> None:
    parts, labels, weights = inputs(torch.float32)
    with autocast("bf16", "cpu"):
        losses = tied_cross_entropy(*parts, labels, 4 * M)
        expected = whole(*parts, labels)
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, expected, rtol=1e-6, atol=1e-6)
    found = torch.autograd.grad((losses * weights).sum(), parts)
    wanted = torch.autograd.grad((expected * weights).sum(), parts)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=2e-2)  # bfloat16: 8 bits


def test_training_ends_at_the_same_weights() -> None:
    """Twenty steps of AdamW, float32: the blocks differ by rounding alone."""
    ends = []
    for block in (4 * M, M * V):
        parts, labels, _ = inputs(torch.float32)
        adam = torch.optim.AdamW([nn.Parameter(part.detach()) for part in parts], lr=0.01)
        (group,) = adam.param_groups
        for _ in range(20):
            adam.zero_grad()
            tied_cross_entropy(*group["params"], labels, block).mean().backward()
            adam.step()
        ends.append([part.detach() for part in group["params"]])
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)

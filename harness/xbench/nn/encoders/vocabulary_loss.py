"""Cross-entropy over a large vocabulary without all of its scores in memory.

With XLM-R's 250,002 word pieces the scores of 450 masked positions take 450 MB, their softmax and its
gradient as much again each. Here some word pieces are scored at a time, and once more on the way back.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from xbench.nn.encoders.table_gradient import gradient_for

BLOCK = 2**23
"""Scores that stand in memory at once: 32 MiB in float32."""


def tied_cross_entropy(
    states_MD: Tensor, words_1VD: Tensor, bias_V: Tensor, labels_M: Tensor, block: int = BLOCK
) -> Tensor:
    """``[M]``: ``-log softmax(states @ words.T + bias)`` at the labels, in float32 or better.

    Up to ``block`` scores it is torch's own function; above, blocks of the vocabulary that have no more.
    The products of matrices are in autocast's precision where there is one.
    """
    words = words_1VD.shape[1]
    blocks = math.ceil(len(states_MD) * words / block)
    if blocks <= 1:
        return losses_of(F.linear(states_MD, words_1VD.squeeze(0), bias_V), labels_M)
    parts = (states_MD, words_1VD, bias_V, labels_M)
    losses_M: Tensor = _InBlocks.apply(*parts, math.ceil(words / blocks))  # type: ignore[no-untyped-call]
    return losses_M


def losses_of(scores_MV: Tensor, labels_M: Tensor) -> Tensor:
    """``[M]``: the same from scores."""
    return F.cross_entropy(_exact(scores_MV), labels_M, reduction="none")


def _exact(scores: Tensor) -> Tensor:
    return scores.float() if scores.dtype.itemsize < 4 else scores


class _InBlocks(torch.autograd.Function):
    """The loss, ``size`` word pieces at a time; for the gradient their scores are computed again."""

    @staticmethod
    def forward(
        ctx: Any, states_MD: Tensor, words_1VD: Tensor, bias_V: Tensor, labels_M: Tensor, size: int
    ) -> Tensor:
        ctx.size, ctx.table = size, words_1VD
        ctx.dtype = _precision(words_1VD)
        right_M = torch.zeros(
            len(labels_M), dtype=_exact(words_1VD[0, 0]).dtype, device=labels_M.device
        )
        norm_M = torch.full_like(right_M, -torch.inf)
        for block, scores_Mb in _scores(states_MD, words_1VD, bias_V, ctx):
            norm_M = torch.logaddexp(norm_M, scores_Mb.logsumexp(1))
            within_M, place_M1 = _labels_within(labels_M, block)
            right_M = torch.where(within_M, scores_Mb.gather(1, place_M1).squeeze(1), right_M)
        ctx.save_for_backward(states_MD, bias_V, labels_M, norm_M)
        return norm_M - right_M

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, of_loss_M: Tensor) -> tuple[Tensor | None, ...]:
        states_MD, bias_V, labels_M, norm_M = ctx.saved_tensors
        for_states, for_words, for_bias, *_ = ctx.needs_input_grad
        of_states_MD = torch.zeros_like(states_MD) if for_states else None
        of_bias_V = torch.empty_like(bias_V) if for_bias else None
        words_1VD: Tensor = ctx.table
        of_words_1VD, returned = gradient_for(words_1VD) if for_words else (None, None)
        states = states_MD.to(ctx.dtype)
        for block, scores_Mb in _scores(states_MD, words_1VD, bias_V, ctx):
            of_scores_Mb = scores_Mb.sub_(norm_M[:, None]).exp_().mul_(of_loss_M[:, None])
            within_M, place_M1 = _labels_within(labels_M, block)
            of_right_M = torch.where(within_M, -of_loss_M, 0.0)
            of_scores_Mb.scatter_add_(1, place_M1, of_right_M[:, None].to(of_scores_Mb.dtype))
            if of_bias_V is not None:
                of_bias_V[block] = of_scores_Mb.sum(0)
            of_scores_Mb = of_scores_Mb.to(ctx.dtype)
            if of_states_MD is not None:
                of_states_MD += of_scores_Mb @ words_1VD[0, block].to(ctx.dtype)
            if of_words_1VD is not None:
                _add_product(of_words_1VD[0, block], of_scores_Mb.T, states)
        return of_states_MD, returned, of_bias_V, None, None


def _precision(words: Tensor) -> torch.dtype:
    device = words.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return words.dtype


def _scores(
    states_MD: Tensor, words_1VD: Tensor, bias_V: Tensor, ctx: Any
) -> Iterator[tuple[slice, Tensor]]:
    """Which word pieces, and all positions' scores of them, which may be overwritten."""
    states = states_MD.to(ctx.dtype)
    for start in range(0, len(bias_V), ctx.size):
        block = slice(start, start + ctx.size)
        words, bias = (part.to(ctx.dtype) for part in (words_1VD[0, block], bias_V[block]))
        yield block, _exact(F.linear(states, words, bias))


def _labels_within(labels_M: Tensor, block: slice) -> tuple[Tensor, Tensor]:
    """Which labels are in the block, and where there, ``[M, 1]``; of the others any place."""
    within_M = (labels_M >= block.start) & (labels_M < block.stop)
    return within_M, torch.where(within_M, labels_M - block.start, 0).unsqueeze(1)


def _add_product(whole: Tensor, left: Tensor, right: Tensor) -> None:
    """``whole += left @ right``, in one go where the types allow it."""
    if left.dtype == whole.dtype:
        whole.addmm_(left, right)
    else:
        whole += left @ right

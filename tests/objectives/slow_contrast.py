"""The slow and obvious contrastive loss, one anchor at a time, and what the tests of objectives share."""

import math
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import Tensor

from .fake_batch import FakeBatch, TinyEncoder, random_pairs
from .real_batch import chunked, gradients, real_batch, tiny_encoder

PAIRS = random_pairs(6)


def slow_similarity(a: Tensor, b: Tensor, similarity: str) -> float:
    product = float((a * b).sum().detach())
    return product if similarity == "dot" else product / float((a.norm() * b.norm()).detach())


def slow_loss(
    anchor: Tensor,
    partner: Tensor,
    negatives: Iterable[Tensor],
    temperature: float,
    similarity: str = "cosine",
    margin: float = 0.0,
) -> float:
    """``-log p(partner)`` among the partner and the negatives."""
    right = math.exp((slow_similarity(anchor, partner, similarity) - margin) / temperature)
    wrong = [math.exp(slow_similarity(anchor, n, similarity) / temperature) for n in negatives]
    return -math.log(right / (right + sum(wrong)))


def others(vectors: Iterable[Tensor], place: int) -> list[Tensor]:
    """All but the one at that place."""
    return [vector for i, vector in enumerate(vectors) if i != place]


def batch(pairs: list[Any] = PAIRS, **options: Any) -> FakeBatch:
    """The pairs over a tiny encoder that is always the same."""
    return FakeBatch(options.pop("encoder", None) or TinyEncoder(), pairs, **options)


def ready(objective: Any, encoder: TinyEncoder | None = None) -> Any:
    """The objective as it is when training begins; its first weights are always the same."""
    encoder = encoder or TinyEncoder()
    torch.manual_seed(5)
    objective.setup(encoder)
    return objective.train()


def close(found: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """The same values up to rounding, for a comparison of two computations."""
    return {name: (pytest.approx(total, rel=1e-9), count) for name, (total, count) in found.items()}


def values(objective: Any, batch: Any) -> dict[str, tuple[float, float]]:
    """(sum, count) of every term."""
    return {
        name: (float(term.sum.detach()), float(term.count))
        for name, term in objective.terms(batch).items()
    }


def gradients_after(objective: Any, batch: FakeBatch) -> list[Tensor]:
    """The gradients that the sum of all terms' means leaves in encoder and objective."""
    sum(term.mean for term in objective.terms(batch).values()).backward()
    parameters = [*batch.encoder.parameters(), *objective.parameters()]
    return [p.grad for p in parameters if p.grad is not None]


def check_gradient(objective: Any, pairs: list[Any] = PAIRS[:3], **options: Any) -> None:
    """gradcheck of the whole loss, with respect to some of the encoder's weights."""
    encoder = TinyEncoder()

    def loss(*weights: Tensor) -> Tensor:
        named = dict(zip(("own.0.weight", "context.1.bias"), weights, strict=True))
        with torch.nn.utils.stateless._reparametrize_module(encoder, named):
            terms = objective.terms(FakeBatch(encoder, pairs, **options))
        return torch.stack([term.mean for term in terms.values()]).sum()

    weights = (encoder.own[0].weight, encoder.context[1].bias)
    # Fixed padding: what a gradient is compared with must not draw anew.
    chosen = tuple(w.detach().clone().requires_grad_() for w in weights)
    assert torch.autograd.gradcheck(loss, chosen)


def nearest_share(encoder: TinyEncoder, pairs: list[Any], depth: float, how: str) -> float:
    """How many sources have their own target as the nearest by cosine."""
    b = FakeBatch(encoder, pairs)
    u, v = (torch.nn.functional.normalize(x.pooled(depth, how)) for x in (b.source, b.target))
    return float(((u @ v.T).argmax(1) == torch.arange(len(pairs))).double().mean())


def check_chunks(objective: Any, sizes: list[int]) -> None:
    """In chunks, values and gradients are those of the batch as a whole, negatives included.

    The objective was set up with ``tiny_encoder()`` and masks nothing: masks are drawn by chunk.
    """
    found = []
    for chunks in (None, sizes):
        encoder = tiny_encoder()
        objective.zero_grad()
        batch: Any = real_batch(encoder) if chunks is None else chunked(encoder, chunks)
        means = {name: term.mean for name, term in objective.terms(batch).items()}
        torch.stack(list(means.values())).sum().backward()
        if chunks is not None:
            batch.replay()
        left = {**gradients(encoder), **{f"own {n}": g for n, g in gradients(objective).items()}}
        found.append(({name: mean.detach() for name, mean in means.items()}, left))
    torch.testing.assert_close(found[1], found[0], rtol=1e-8, atol=1e-10)

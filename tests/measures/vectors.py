"""Random vectors, the same each time."""

import torch
from torch import Tensor


def vectors(count: int, seed: int, width: int = 6) -> Tensor:
    """[N, D] float64 standard normal."""
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=stream)


def pair(count: int = 31, width: int = 6, noise: float = 1.0) -> tuple[Tensor, Tensor]:
    """Noisy translations, both sides off the origin."""
    first = vectors(count, 1, width) + 0.8
    return first, first + noise * vectors(count, 2, width)

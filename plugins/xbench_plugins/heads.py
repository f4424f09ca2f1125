"""Layers that objectives put on the encoder in training."""

from typing import Any

import torch
from torch import nn


def width(encoder: nn.Module) -> int:
    """D, the size of the encoder's states."""
    config: Any = encoder.config
    size: int = config.hidden_size
    return size


def precision(encoder: nn.Module) -> torch.dtype:
    """The type of the encoder's weights."""
    return next(encoder.parameters()).dtype


def dense(encoder: nn.Module, size: int | None = None, bias: bool = True) -> nn.Linear:
    """A layer D -> ``size`` (D without it) in the encoder's own precision.

    Weights are drawn from N(0, 0.02), biases are zero, as BERT's heads begin (Devlin et al. 2019).
    """
    layer = nn.Linear(width(encoder), size or width(encoder), bias, dtype=precision(encoder))
    nn.init.normal_(layer.weight, std=0.02)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer

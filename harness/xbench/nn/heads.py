"""Heads that the harness puts on an encoder, by the task's level."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xbench.nn.random_streams import StreamPart, generator

INITIALIZER_RANGE = 0.02


class Head(nn.Module):
    """Dropout and one linear layer: features [N, D] -> logits [N, C].

    Weights are drawn from N(0, 0.02) as transformers does, from a stream of their own.
    """

    def __init__(self, hidden_size: int, classes: int, dropout: float, *stream: StreamPart) -> None:
        super().__init__()
        self.dropout = dropout
        draws = torch.randn(classes, hidden_size, generator=generator(*stream, "head"))
        self.weight = nn.Parameter(draws * INITIALIZER_RANGE)
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, features_ND: Tensor) -> Tensor:
        """[N, C] logits, in the precision of the weights whatever the encoder computes in."""
        kept = F.dropout(features_ND.to(self.weight.dtype), self.dropout, self.training)
        with torch.autocast(kept.device.type, enabled=False):
            return F.linear(kept, self.weight, self.bias)

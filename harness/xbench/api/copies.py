"""A copy of the encoder that an objective may own: a teacher, a momentum encoder, a start to return to."""

from copy import deepcopy
from typing import Self

import torch
from torch import nn


class FrozenCopy(nn.Module):
    """An encoder that receives no gradient and is always in evaluation mode.

    Make one in ``Objective.setup`` and read a batch with it: ``batch.through(self.teacher)``. It
    is part of the objective's state, so a resumed training has the same copy.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = deepcopy(encoder).requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> Self:
        """Stays in evaluation mode, whatever the objective does."""
        return super().train(False)

    @torch.no_grad()
    def follow(self, encoder: nn.Module, momentum: float) -> None:
        """Move towards ``encoder``: ``copy <- momentum * copy + (1 - momentum) * encoder``.

        Source: He et al. 2020 (MoCo, arXiv 1911.05722), equation 2.
        """
        for own, other in zip(self.encoder.parameters(), encoder.parameters(), strict=True):
            own.lerp_(other.detach().to(own.dtype), 1 - momentum)

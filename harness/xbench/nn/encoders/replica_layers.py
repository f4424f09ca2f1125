"""The layers of an encoder with a leading replica dimension R on every parameter.

One replica runs the plain torch function (the replica axis is squeezed, which costs nothing);
several run one batched call. Replicas never mix: R replicas compute what R layers would.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xbench.nn.encoders.table_gradient import look_up


class ReplicaLinear(nn.Module):
    """An affine map per replica: ``[R, N, I] -> [R, N, O]``. Parameters start uninitialised."""

    def __init__(self, replicas: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(replicas, outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(replicas, outputs))

    def forward(self, inputs_RNI: Tensor) -> Tensor:
        return affine(inputs_RNI, self.weight, self.bias)


class ReplicaLayerNorm(nn.Module):
    """Layer normalisation per replica over the last axis: ``[R, N, D] -> [R, N, D]``."""

    def __init__(self, replicas: int, size: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(replicas, size))
        self.bias = nn.Parameter(torch.zeros(replicas, size))

    def forward(self, inputs_RND: Tensor) -> Tensor:
        replicas, size = self.weight.shape
        if replicas == 1:
            weight, bias = self.weight.squeeze(0), self.bias.squeeze(0)
            return F.layer_norm(inputs_RND, (size,), weight, bias, self.eps)
        normed = F.layer_norm(inputs_RND, (size,), eps=self.eps)
        return torch.addcmul(self.bias.unsqueeze(1), normed, self.weight.unsqueeze(1))


class ReplicaEmbedding(nn.Module):
    """A table of rows per replica: ids ``[R, B, T] -> [R, B, T, D]``.

    ``padding_row`` is looked up as any other, and looking it up gives it no gradient.
    """

    def __init__(self, replicas: int, rows: int, size: int, padding_row: int | None = None) -> None:
        super().__init__()
        self.padding_row = padding_row
        self.weight = nn.Parameter(torch.empty(replicas, rows, size))

    def forward(self, ids_RBT: Tensor) -> Tensor:
        replicas, rows, _ = self.weight.shape
        if replicas == 1:
            return look_up(ids_RBT, self.weight, self.padding_row)
        first_row = torch.arange(replicas, device=ids_RBT.device).view(-1, 1, 1) * rows
        found = F.embedding(ids_RBT + first_row, self.weight.flatten(0, 1))
        if self.padding_row is None:
            return found
        is_padding = (ids_RBT == self.padding_row).unsqueeze(-1)
        return torch.where(is_padding, found.detach(), found)


def affine(inputs_RNI: Tensor, weight_ROI: Tensor, bias_RO: Tensor) -> Tensor:
    """``inputs @ weight.T + bias`` in every replica: ``[R, N, O]``."""
    if weight_ROI.shape[0] == 1:
        outputs = F.linear(inputs_RNI.squeeze(0), weight_ROI.squeeze(0), bias_RO.squeeze(0))
        return outputs.unsqueeze(0)
    return torch.baddbmm(bias_RO.unsqueeze(1), inputs_RNI, weight_ROI.transpose(1, 2))

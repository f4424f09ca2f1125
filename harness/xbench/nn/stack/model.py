"""R encoders with their heads: the losses of one step of each, and no wait for the device in between."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xbench.nn.encoders.encoder import MASKED, Encoder
from xbench.nn.heads import Head
from xbench.nn.stack.batch import NOWHERE, StackedBatch
from xbench.nn.stack.dropout import Dropout, Masks, dropped


class StackedModel(nn.Module):
    """R encoders of one shape and their heads. ``half`` computes matrix products in bfloat16.

    What autocast does with a single model is done here by hand, once for each state in place of
    once for each use: weights, sums, normalisation, the softmax's inside and the head in float32.
    """

    def __init__(self, encoder: Encoder, heads: Sequence[Head], half: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.weight = nn.Parameter(torch.stack([head.weight.detach() for head in heads]))
        self.bias = nn.Parameter(torch.stack([head.bias.detach() for head in heads]))
        self.dropout = Dropout(encoder.config, heads[0].dropout)
        self._dtype = torch.bfloat16 if half else torch.float32

    @property
    def head(self) -> list[nn.Parameter]:
        """The heads' weights [R, C, D] and biases [R, C]."""
        return [self.weight, self.bias]

    def losses(self, batch: StackedBatch, masks: Masks) -> Tensor:
        """[R] the mean cross-entropy of each replica's labelled places."""
        states_RSD = self._states(batch, masks)
        if batch.pooling is not None:
            features_RMD = torch.bmm(batch.pooling, states_RSD)
        else:
            at = batch.picked.unsqueeze(2).expand(-1, -1, states_RSD.shape[2])
            features_RMD = states_RSD.gather(1, at)
        kept = dropped(features_RMD, masks.head, self.dropout.head)
        logits = torch.baddbmm(self.bias.unsqueeze(1), kept, self.weight.transpose(1, 2))
        each = F.cross_entropy(
            logits.flatten(0, 1), batch.labels.flatten(), ignore_index=NOWHERE, reduction="none"
        )
        return each.view(batch.labels.shape).sum(1) / batch.counts

    def _states(self, batch: StackedBatch, masks: Masks) -> Tensor:
        """[R, S, D] the last layer's states, float32."""
        config = self.encoder.config
        hidden = [None] * (1 + 2 * config.num_layers) if masks.hidden is None else masks.hidden
        states = self.encoder.embeddings.looked_up(batch.ids, batch.types, batch.positions)
        states = dropped(states, hidden[0], config.hidden_dropout)
        bias = self._bias(batch)
        for index in range(config.num_layers):
            attention = None if masks.attention is None else masks.attention[index]
            keep = (attention, hidden[1 + 2 * index], hidden[2 + 2 * index])
            states = self._layer(index, states, bias, keep)
        return states

    def _bias(self, batch: StackedBatch) -> Tensor:
        """[R * K * H, W, W] what is added to attention scores: a text attends to itself alone."""
        owners = batch.owners.flatten(0, 1)
        apart = owners.unsqueeze(2) != owners.unsqueeze(1)
        bias = torch.zeros(apart.shape, dtype=self._dtype, device=apart.device)
        heads = self.encoder.config.num_heads
        bias = bias.masked_fill_(apart, MASKED).unsqueeze(1)
        return bias.expand(-1, heads, -1, -1).flatten(0, 1)

    def _layer(
        self, index: int, states: Tensor, bias: Tensor, keep: tuple[Tensor | None, ...]
    ) -> Tensor:
        """H^index -> H^(index+1), [R, S, D]."""
        layer: Any = self.encoder.layers[index]
        rate = self.encoder.config.hidden_dropout
        attended = self._affine(self._attend(layer, states, bias, keep[0]), layer.attention_output)
        states = layer.attention_norm(states + dropped(attended, keep[1], rate))
        inner = layer.activation(self._affine(states, layer.expand))
        outputs: Tensor = layer.output_norm(
            states + dropped(self._affine(inner, layer.contract), keep[2], rate)
        )
        return outputs

    def _attend(self, layer: Any, states: Tensor, bias: Tensor, keep: Tensor | None) -> Tensor:
        """[R, S, D] multi-head attention within rows, before its output projection."""
        config = self.encoder.config
        replicas, places, size = states.shape
        width, heads = bias.shape[1], config.num_heads
        by_head = (-1, width, heads, size // heads)
        states = states.to(self._dtype)
        query, key, value = (
            self._affine(states, part).view(by_head).transpose(1, 2).flatten(0, 1)
            for part in (layer.query, layer.key, layer.value)
        )
        scale = (size // heads) ** -0.5
        scores = torch.baddbmm(bias, query, key.transpose(1, 2), alpha=scale)
        mask = None if keep is None else keep.view(scores.shape)
        mixed = dropped(scores.softmax(-1), mask, config.attention_dropout) @ value
        by_place = mixed.view(-1, heads, width, size // heads).transpose(1, 2)
        return by_place.reshape(replicas, places, size)

    def _affine(self, inputs: Tensor, linear: Any) -> Tensor:
        if self._dtype is torch.float32:
            affine: Tensor = linear(inputs)
            return affine
        half = (inputs.to(self._dtype), linear.weight, linear.bias)
        products: Tensor = _HalfAffine.apply(*half)  # type: ignore[no-untyped-call]
        return products


class _HalfAffine(torch.autograd.Function):
    """``inputs @ weight.T + bias`` in half precision; the gradients of float32 weights are float32.

    A product in half precision sums in float32, so its result need not be rounded to half and back.
    """

    @staticmethod
    def forward(ctx: Any, inputs_RNI: Tensor, weight_ROI: Tensor, bias_RO: Tensor) -> Tensor:
        weight = weight_ROI.to(inputs_RNI.dtype)
        ctx.save_for_backward(inputs_RNI, weight)
        outputs = torch.bmm(inputs_RNI, weight.transpose(1, 2))
        return outputs.add_(bias_RO.to(outputs.dtype).unsqueeze(1))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (grad_RNO,) = grads
        inputs, weight = ctx.saved_tensors
        of_inputs = torch.bmm(grad_RNO, weight)
        of_weight = _float_product(grad_RNO.transpose(1, 2), inputs)
        return of_inputs, of_weight, grad_RNO.sum(1, dtype=torch.float32)


def _float_product(left: Tensor, right: Tensor) -> Tensor:
    """[R, O, I] float32 of half matrices; on a CPU there is no such product, and it is rounded."""
    if left.is_cuda:
        return torch.bmm(left, right, out_dtype=torch.float32)
    return torch.bmm(left, right).float()

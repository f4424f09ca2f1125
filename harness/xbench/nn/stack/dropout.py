"""Dropout of a stack: each replica's from a stream of its own, whoever its neighbours are."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xbench.nn.encoders.encoder_config import EncoderConfig
from xbench.nn.random_streams import StreamPart, stream_seed
from xbench.nn.stack.batch import Layout, StackedBatch, moved


@dataclass(frozen=True)
class Masks:
    """What dropout keeps in one step, bool; None where nothing is dropped.

    ``hidden`` [1 + 2 L, R, S, D]: after the embeddings and twice a layer. ``attention``
    [L, R, K, H, W, W]. ``head`` [R, M, D].
    """

    hidden: Tensor | None
    attention: Tensor | None
    head: Tensor | None


@dataclass(frozen=True)
class Dropout:
    """The rates of an encoder and of its head."""

    config: EncoderConfig
    head: float

    def empty(self, batch: StackedBatch) -> Masks:
        """Masks for batches of that shape, not filled: padding may hold anything."""
        replicas, rows, width, labelled = batch.shape
        config, device = self.config, batch.ids.device
        places, layers = rows * width, config.num_layers

        def room(rate: float, *shape: int) -> Tensor | None:
            return torch.zeros(shape, dtype=torch.bool, device=device) if rate else None

        size, heads = config.hidden_size, config.num_heads
        return Masks(
            room(config.hidden_dropout, 1 + 2 * layers, replicas, places, size),
            room(config.attention_dropout, layers, replicas, rows, heads, width, width),
            room(self.head, replicas, labelled, size),
        )

    def draw(
        self, masks: Masks, layouts: Sequence[Layout], streams: Sequence[tuple[StreamPart, ...]]
    ) -> None:
        """Fill the masks at all tokens. Replica r draws from the stream that is named for it."""
        given = (masks.hidden, masks.attention, masks.head)
        device = next((mask.device for mask in given if mask is not None), None)
        if device is None:
            return
        for replica, (layout, stream) in enumerate(zip(layouts, streams, strict=True)):
            generator = torch.Generator(device).manual_seed(stream_seed(*stream))
            self._draw(masks, replica, layout, generator)

    def _draw(self, masks: Masks, replica: int, layout: Layout, stream: torch.Generator) -> None:
        config = self.config
        if masks.hidden is not None:
            own = masks.hidden[:, replica]
            tokens = moved(layout.tokens, str(own.device))
            drawn = own.new_empty(own.shape[0], len(tokens), own.shape[2])
            own.index_copy_(
                1, tokens, drawn.bernoulli_(1 - config.hidden_dropout, generator=stream)
            )
        if masks.attention is not None:
            layers, _, _, heads, width, _ = masks.attention.shape
            own = masks.attention[:, replica].flatten(1)
            pairs = moved(layout.pairs, str(own.device))
            # (row, query, key) -> (row, head, query, key)
            square = width * width
            row, within = pairs // square, pairs % square
            each = torch.arange(heads, device=own.device).unsqueeze(1)
            at = ((row * heads + each) * square + within).flatten()
            drawn = own.new_empty(layers, len(at))
            own.index_copy_(1, at, drawn.bernoulli_(1 - config.attention_dropout, generator=stream))
        if masks.head is not None:
            own = masks.head[replica, : layout.labelled]
            own.copy_(own.new_empty(own.shape).bernoulli_(1 - self.head, generator=stream))


def dropped(states: Tensor, keep: Tensor | None, rate: float) -> Tensor:
    """``states`` where ``keep`` is true, scaled by 1 / (1 - rate); 0 elsewhere."""
    if keep is None:
        return states
    # one kernel, forwards and backwards: x * mask * scale
    kept: Tensor = torch.ops.aten.native_dropout_backward(states, keep, 1 / (1 - rate))
    return kept

"""Small batches over a small encoder in float64, for the tests of views and of their replay."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xbench.api.batch import Vocabulary
from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.encoder_config import EncoderConfig
from xbench.nn.pair_views import PairTexts, PairViews
from xbench.nn.text import Text, TextFormat, pad
from xbench.nn.text_view import TextView

BEGIN, PAD, END, UNKNOWN, MASK = 0, 1, 2, 3, 39
SPECIALS = (BEGIN, PAD, END, UNKNOWN, MASK)
FORMAT = TextFormat(Vocabulary(40, SPECIALS, PAD, MASK), (BEGIN, END))
STREAM = (7, "align", 3, 0)

Pair = tuple[list[int], list[int]]


def tiny_encoder(dropout: float = 0.0, model_type: str = "xlm-roberta") -> Encoder:
    """Three layers of width 12 in float64, in training mode; every parameter is random."""
    config = EncoderConfig(
        model_type=model_type,
        vocab_size=40,
        hidden_size=12,
        num_layers=3,
        num_heads=2,
        intermediate_size=16,
        max_positions=64,
        type_vocab_size=2,
        layer_norm_eps=1e-5,
        hidden_dropout=dropout,
        attention_dropout=dropout,
        activation="gelu",
        pad_id=PAD,
    )
    encoder = Encoder.random(config, seed=0).double().train()
    stream = torch.Generator().manual_seed(1)
    for parameter in encoder.parameters():
        noise = torch.randn(parameter.shape, generator=stream, dtype=torch.float64)
        parameter.data += 0.2 * noise
    return encoder


def random_text(length: int, seed: int) -> list[int]:
    """Ordinary ids without framing."""
    stream = torch.Generator().manual_seed(seed)
    return torch.randint(UNKNOWN + 1, MASK, (length,), generator=stream).tolist()


def random_pairs(*lengths: tuple[int, int]) -> list[Pair]:
    """Pairs of texts of the given lengths."""
    return [
        (random_text(first, 2 * i), random_text(second, 2 * i + 1))
        for i, (first, second) in enumerate(lengths)
    ]


def text(rows: Sequence[Sequence[int]], padding: int = 0) -> Text:
    """Framed rows as one input with ``padding`` superfluous columns."""
    ids = pad([[BEGIN, *row, END] for row in rows], PAD)
    return Text(torch.nn.functional.pad(ids, (0, padding), value=PAD))


def view(
    encoder: Encoder,
    rows: Sequence[Sequence[int]],
    padding: int = 0,
    format: TextFormat = FORMAT,
    stream: tuple[str | int, ...] = STREAM,
) -> TextView:
    return TextView(encoder, text(rows, padding), format, stream)


def pair_views(
    encoder: Encoder, pairs: Sequence[Pair], stream: tuple[str | int, ...] = STREAM
) -> PairViews:
    sides = [text([pair[side] for pair in pairs]) for side in (0, 1)]
    joint = text([[*source, END, END, *target] for source, target in pairs])
    return PairViews(encoder, PairTexts(*sides, joint), FORMAT, stream)


def count_calls(encoder: Encoder) -> Counter[Any]:
    """From now on, how often each layer (and ``embed``) has run."""
    seen: Counter[Any] = Counter()
    layer, embed = encoder.layer, encoder.embed

    def counted_layer(index: int, states: Tensor, bias: Tensor) -> Tensor:
        seen[index] += 1
        return layer(index, states, bias)

    def counted_embed(ids: Tensor, types: Tensor | None = None) -> Tensor:
        seen["embed"] += 1
        return embed(ids, types)

    encoder.layer = counted_layer  # type: ignore[method-assign]
    encoder.embed = counted_embed  # type: ignore[method-assign]
    return seen

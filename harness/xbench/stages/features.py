"""What a head sees of an encoded batch: one vector per labelled place."""

import torch
from torch import Tensor

from xbench.nn.loading import AnyEncoder
from xbench.nn.optimise import autocast
from xbench.nn.views import Text, TextFormat, TextView
from xbench.stages.examples import Batch, Examples


def features(
    encoder: AnyEncoder,
    batch: Batch,
    format: TextFormat,
    level: str,
    pooling: str,
    *stream: str | int,
) -> Tensor:
    """[N, D]: the last layer at first subwords (token level), or the pooled text (sentence level)."""
    view = TextView(encoder, Text(batch.ids), format, stream)
    if level == "token":
        return view.states(1.0)[batch.owner, batch.places]
    return view.pooled(1.0, pooling)


@torch.no_grad()
def all_features(
    encoder: AnyEncoder,
    examples: Examples,
    format: TextFormat,
    pooling: str,
    precision: str,
    batch_size: int,
) -> list[Tensor]:
    """For each row of the examples its features [places, D], float32, in evaluation mode.

    Rows are encoded in order of length, so that little of a batch is padding.
    """
    encoder.eval()
    device = encoder.word_embeddings.device
    order = examples.table.lengths("ids").argsort(kind="stable")
    found: list[Tensor] = [torch.empty(0)] * len(examples)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size].tolist()
        batch = examples.batch(rows, format.vocabulary.pad_id, str(device))
        with autocast(precision, device.type):
            vectors = features(encoder, batch, format, examples.level, pooling).float()
        sizes = [len(examples.labels(row)) for row in rows]
        for row, part in zip(rows, torch.split(vectors, sizes), strict=True):
            found[row] = part
    return found

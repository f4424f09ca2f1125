"""What a head sees of an encoded batch: one vector per labelled place."""

import torch
from torch import Tensor

from xbench.api.batch import View
from xbench.api.transform import Transform
from xbench.nn.encoders.loading import AnyEncoder
from xbench.nn.finite import NotFinite, check_vectors
from xbench.nn.optimise import autocast
from xbench.nn.text import TextFormat
from xbench.nn.text_view import TextView
from xbench.stages.inputs.examples import WORD_LEVELS, Batch, Examples


def features(
    encoder: AnyEncoder,
    batch: Batch,
    format: TextFormat,
    level: str,
    pooling: str,
    *stream: str | int,
) -> Tensor:
    """[N, D]: the last layer at first subwords, or the pooled text where a whole text is labelled."""
    view = TextView(encoder, batch.text, format, stream)
    return features_of(view, batch, level, pooling)


def features_of(view: View, batch: Batch, level: str, pooling: str) -> Tensor:
    """[N, D]: as :func:`features`, from a view on the batch's text, altered or not."""
    if level in WORD_LEVELS:
        return view.states(1.0)[batch.owner, batch.places]
    return view.pooled(1.0, pooling)


def transformed(vectors: list[Tensor], transform: Transform | None, language: str) -> list[Tensor]:
    """Each row's features [places, D] through a fitted transform.

    Raises :class:`NotFinite` where that makes one that is not finite.
    """
    if transform is None:
        return vectors
    moved = transform.forward(torch.cat(vectors), language)
    if not bool(torch.isfinite(moved).all()):
        raise NotFinite(
            f"{type(transform).__name__} gives vectors of {language} that are not finite"
        )
    return list(torch.split(moved, [len(vector) for vector in vectors]))


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

    Rows are encoded in order of length, so that little of a batch is padding. Raises
    :class:`NotFinite` where a feature is not finite: the largest of numbers that are none is the
    first, and a head that sees them would predict class 0 without a word.
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
    check_vectors(found, examples.of, encoder, precision)
    return found

"""Retrieval: each sentence looks for its translation among all others. Nothing is trained.

Writes predictions as any evaluation does: for item i the gold ``[i, i]``, and what was found from
the source language's side and from the other.
"""

import torch
from torch import Tensor

from xbench.api.search import Search, nearest
from xbench.api.transform import Transform
from xbench.nn.encoders.loading import AnyEncoder
from xbench.plan.kinds.task import EvaluateStage
from xbench.stages.inputs.encoding import encoded
from xbench.stages.inputs.examples import sample
from xbench.stages.predictions import write_predictions
from xbench.stages.resources import Resources
from xbench.stages.training.features import transformed
from xbench.store import Entry


def run(stage: EvaluateStage, resources: Resources, entry: Entry) -> None:
    """Search in both directions with the encoder as it is."""
    settings = stage.spec.settings
    assert stage.spec.source is not None
    codes = (stage.spec.source, stage.spec.language)
    languages = [resources.catalogue.languages.get(code) for code in codes]
    split, limit = settings.split, settings.max_items
    task = resources.task(stage)
    pairs = sample(task.pairs(resources.source(stage), languages, split), limit)
    if not pairs:
        raise ValueError(f"the {split} data of {stage.label} is empty")
    folder = resources.encoder_folder(stage)
    encoder = resources.keep(("encoder", folder), lambda: resources.encoder(stage).eval())
    transform = resources.transform(stage)
    sides = [[pair.source for pair in pairs], [pair.target for pair in pairs]]
    vectors = [
        _encode(texts, code, stage, resources, encoder, transform)
        for texts, code in zip(sides, codes, strict=True)
    ]
    search = Search(settings.retrieval_similarity)
    (_, forward), (_, backward) = (
        nearest(queries, candidates, 1, search) for queries, candidates in (vectors, vectors[::-1])
    )
    numbers = range(len(pairs))
    write_predictions(
        entry,
        [pair.id or str(n) for n, pair in enumerate(pairs)],
        [[n, n] for n in numbers],
        [[int(forward[n]), int(backward[n])] for n in numbers],
    )
    entry.result = {"items": len(pairs), "labels": 2 * len(pairs)}


def _encode(
    texts: list[str],
    code: str,
    stage: EvaluateStage,
    resources: Resources,
    encoder: AnyEncoder,
    transform: Transform | None,
) -> Tensor:
    """[N, D] float32 pooled sentences, in the texts' order."""
    settings = stage.spec.settings
    depth, pooling = settings.retrieval_depth, settings.retrieval_pooling
    found = encoded(
        texts, code, stage, resources, encoder, lambda view: view.pooled(depth, pooling)
    )
    return torch.cat(transformed([torch.stack(found)], transform, code))

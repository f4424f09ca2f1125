"""Retrieval: each sentence looks for its translation among all others. Nothing is trained.

Writes predictions as any evaluation does: for item i the gold ``[i, i]``, and what was found from
the source language's side and from the other.
"""

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from xbench.api.search import Search, nearest
from xbench.api.transform import Transform
from xbench.data.tokenise import tokenise_texts
from xbench.nn.loading import AnyEncoder
from xbench.nn.optimise import autocast
from xbench.nn.views import Text, TextView, pad
from xbench.plan import Stage
from xbench.stages.bench import Bench, text_format
from xbench.stages.evaluate import SCHEMA
from xbench.stages.files import PREDICTIONS
from xbench.store import Entry


def run(stage: Stage, bench: Bench, entry: Entry) -> None:
    """Search in both directions with the encoder as it is."""
    spec, settings = stage.spec, stage.spec["settings"]
    codes = (spec["source"], spec["language"])
    languages = [bench.context.languages.get(code) for code in codes]
    split, limit = settings["split"], settings["max_items"]
    task = bench.task(stage)
    pairs = list(task.pairs(bench.source(stage), languages, split))[:limit]
    if not pairs:
        raise ValueError(f"the {split} data of {stage.recipe['label']} is empty")
    folder = bench.encoder_folder(stage)
    encoder = bench.keep(("encoder", folder), lambda: bench.encoder(stage).eval())
    transform = bench.transform(stage)
    sides = [[pair.source for pair in pairs], [pair.target for pair in pairs]]
    vectors = [
        _encode(texts, code, stage, bench, encoder, transform)
        for texts, code in zip(sides, codes, strict=True)
    ]
    search = Search(settings["retrieval_similarity"])
    (_, forward), (_, backward) = (
        nearest(queries, candidates, 1, search) for queries, candidates in (vectors, vectors[::-1])
    )
    numbers = range(len(pairs))
    columns = {
        "id": [pair.id or str(n) for n, pair in enumerate(pairs)],
        "gold": [[n, n] for n in numbers],
        "predicted": [[int(forward[n]), int(backward[n])] for n in numbers],
    }
    table = pa.table(columns, schema=SCHEMA)
    pq.write_table(table, entry.folder / PREDICTIONS, compression="zstd")
    entry.result = {"items": len(pairs), "labels": 2 * len(pairs)}


@torch.inference_mode()
def _encode(
    texts: list[str],
    code: str,
    stage: Stage,
    bench: Bench,
    encoder: AnyEncoder,
    transform: Transform | None,
) -> Tensor:
    """[N, D] float32 pooled sentences, in the texts' order."""
    settings, tokenizer = stage.spec["settings"], bench.tokenizer(stage)
    max_length = bench.max_length(stage, settings["max_length"])
    rows = list(tokenise_texts(tokenizer, texts, max_length))
    order = sorted(range(len(rows)), key=lambda n: len(rows[n]))
    device, format = stage.recipe["device"], text_format(tokenizer)
    found: list[Tensor] = [torch.empty(0)] * len(rows)
    for start in range(0, len(order), settings["batch_size"]):
        numbers = order[start : start + settings["batch_size"]]
        ids = pad([rows[n] for n in numbers], format.vocabulary.pad_id).to(device)
        with autocast(settings["precision"], torch.device(device).type):
            view = TextView(encoder, Text(ids), format, ("retrieve",))
            pooled_BD = view.pooled(settings["retrieval_depth"], settings["retrieval_pooling"])
        for number, vector in zip(numbers, pooled_BD.float(), strict=True):
            found[number] = vector
    vectors_ND = torch.stack(found)
    return vectors_ND if transform is None else transform.forward(vectors_ND, code)

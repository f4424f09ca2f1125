"""Texts through an encoder that is not trained: each once, with little padding, in their order."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from xbench.data.tokenise import tokenise_texts
from xbench.nn.finite import check_vectors
from xbench.nn.loading import AnyEncoder
from xbench.nn.optimise import autocast
from xbench.nn.views import Text, TextView, pad
from xbench.plan import Stage
from xbench.stages.bench import Bench, text_format

BATCH = 64
Vectors = Callable[[TextView], Iterable[Tensor]]


def encoded(
    texts: Sequence[str],
    language: str,
    stage: Stage,
    bench: Bench,
    encoder: AnyEncoder,
    vectors: Vectors,
) -> list[Tensor]:
    """For each text what ``vectors`` gives for its row of a view, float32.

    The stage's settings have ``max_length`` and ``precision``, and may have ``batch_size``. The
    tensors are ordinary ones: what is done with them later may change them in place, or take
    gradients. Raises :class:`~xbench.nn.finite.NotFinite` where a number of them is none.
    """
    settings, tokenizer = stage.spec["settings"], bench.tokenizer(stage)
    max_length = bench.max_length(stage, settings["max_length"])
    rows = list(tokenise_texts(tokenizer, texts, max_length))
    order = sorted(range(len(rows)), key=lambda n: len(rows[n]))
    device, format = stage.recipe["device"], text_format(tokenizer)
    batch_size = settings.get("batch_size", BATCH)
    found: list[Tensor] = [torch.empty(0)] * len(rows)
    for start in range(0, len(order), batch_size):
        numbers = order[start : start + batch_size]
        ids = pad([rows[n] for n in numbers], format.vocabulary.pad_id).to(device)
        with torch.no_grad(), autocast(settings["precision"], torch.device(device).type):
            parts = vectors(TextView(encoder, Text(ids), format, (stage.kind,)))
            for number, part in zip(numbers, parts, strict=True):
                found[number] = part.float()
    of = f"{stage.recipe['label']}, the text in {language}"
    check_vectors(found, of, encoder, settings["precision"])
    return found

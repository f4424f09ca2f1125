"""Phase III: predict in a language that the task was not learnt in. Every word gets a prediction.

Writes ``predictions.parquet``: one row per item with its id, gold and predicted class numbers.
``overlap`` in its result counts the items whose text the model was fine-tuned on.
"""

from collections.abc import Sequence

import numpy as np
import torch

from xbench.nn.finite import check_logits
from xbench.plan.kinds.task import EvaluateStage
from xbench.stages import retrieve
from xbench.stages.inputs.contamination import learnt_from, overlap
from xbench.stages.inputs.examples import Examples, load_examples
from xbench.stages.predictions import write_predictions
from xbench.stages.resources import Resources, text_format
from xbench.stages.training.features import all_features, transformed
from xbench.stages.training.tuning import Tuned
from xbench.store import Entry


def run(stage: EvaluateStage, resources: Resources, entry: Entry) -> None:
    """Predict the stage's language with a fine-tuned model; of retrieval, with the encoder as it is."""
    if stage.spec.finetune is None:
        retrieve.run(stage, resources, entry)
        return
    tuned = resources.model(stage.spec.finetune)
    parent = tuned.stage
    settings, wanted = parent.spec.settings, stage.spec.settings
    limits = {"max_length": settings.max_length, "max_items": wanted.max_items}
    tokenizer = resources.tokenizer(stage)
    examples = load_examples(stage, resources, tokenizer, wanted.split, limits)
    format = text_format(tokenizer)

    transform = resources.transform(stage)

    def encode() -> list[torch.Tensor]:
        vectors = all_features(
            tuned.encoder,
            examples,
            format,
            settings.sentence_pooling,
            settings.precision,
            wanted.batch_size,
        )
        return transformed(vectors, transform, stage.spec.language)

    if parent.spec.mode == "linear":  # seeds share the frozen encoder, and so its features
        fitted = stage.spec.transform
        name = (
            resources.encoder_folder(parent),
            stage.places.task,
            stage.spec.language,
            fitted,
        )
        how = (wanted, settings.max_length, settings.sentence_pooling, settings.precision)
        vectors = resources.keep(("test features", *name, *how), encode)
    else:
        vectors = encode()
    predicted = predict(tuned, vectors, examples.of)
    ids = examples.names()
    gold, answers = by_item(examples, predicted, len(ids))
    write_predictions(entry, ids, gold, answers)
    entry.result = {
        "items": len(ids),
        "labels": int(sum(map(len, gold))),
        "overlap": overlap(examples, learnt_from(parent, resources)),
    }


@torch.inference_mode()
def predict(tuned: Tuned, vectors: Sequence[torch.Tensor], of: str) -> list[np.ndarray]:
    """For each row the class numbers [places] of its labelled places; ``of`` says what these are.

    Raises :class:`~xbench.nn.finite.NotFinite` where a class has a score that is no number.
    """
    sizes = [len(vector) for vector in vectors]
    logits = tuned.head.eval()(torch.cat(list(vectors)))
    check_logits(logits, of)
    return [part.numpy() for part in logits.argmax(-1).cpu().split(sizes)]


def by_item(
    examples: Examples, predicted: Sequence[np.ndarray], count: int
) -> tuple[list[list[int]], list[list[int]]]:
    """Rows put together to items: an item that was split has its words in order again."""
    gold: list[list[int]] = [[] for _ in range(count)]
    answers: list[list[int]] = [[] for _ in range(count)]
    for row, classes in enumerate(predicted):
        item = int(examples.table.row("item", row)[0])
        assert len(answers[item]) == int(examples.table.row("first_word", row)[0])
        gold[item] += examples.labels(row).tolist()
        answers[item] += classes.tolist()
    return gold, answers

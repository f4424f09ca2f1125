"""Sentence-level alignment as one writes it over sentence-transformers: a script for ``peers.py``.

Reads two gzipped files of parallel lines, trains with in-batch negatives in both directions, and prints
the seconds that a step took, those of the start left out.
"""

import argparse
import gzip
import json
import time
from pathlib import Path

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
from sentence_transformers.losses import MultipleNegativesSymmetricRankingLoss
from sentence_transformers.models import Pooling, Transformer
from sentence_transformers.training_args import SentenceTransformerTrainingArguments
from transformers import TrainerCallback

WARM_UP = 5


class Clock(TrainerCallback):  # type: ignore[misc]
    """When each step ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_step_end(self, *_: object, **__: object) -> None:
        """Note it."""
        self.times.append(time.process_time())


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--best", action="store_true", help="bfloat16.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    transformer = Transformer(
        options.model, max_seq_length=128, model_args={"dtype": torch.float32}
    )
    model = SentenceTransformer(
        modules=[transformer, Pooling(transformer.get_word_embedding_dimension())], device="cpu"
    )
    lines = []
    for path in (options.source, options.target):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            lines.append(file.read().splitlines()[: 32 * options.steps])
    data = Dataset.from_dict({"anchor": lines[0], "positive": lines[1]})
    arguments = SentenceTransformerTrainingArguments(
        output_dir="trainer",
        max_steps=options.steps,
        per_device_train_batch_size=32,
        learning_rate=2e-5,
        use_cpu=True,
        bf16=options.best,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
    )
    clock = Clock()
    loss = MultipleNegativesSymmetricRankingLoss(model)
    SentenceTransformerTrainer(model, arguments, data, loss=loss, callbacks=[clock]).train()
    taken = (clock.times[-1] - clock.times[WARM_UP - 1]) / (len(clock.times) - WARM_UP)
    print(json.dumps({"seconds": taken}))


if __name__ == "__main__":
    main()

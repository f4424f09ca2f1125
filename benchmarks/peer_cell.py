"""One cell of a matrix as one writes it over transformers' Trainer: a task, a mode, a seed, all languages.

A script for ``matrix.py``. Reads JSON lines (``{"words": [...], "labels": [...]}`` or ``{"text": ...,
"label": ...}``), learns from ``train.jsonl``, predicts every ``test-*.jsonl``, prints accuracies as JSON.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from peer_trainer import on_a_cpu
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    Trainer,
    set_seed,
)

Row = dict[str, Any]


def read(path: Path) -> list[Row]:
    """The records of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def encoded(records: list[Row], labels: list[str], tokenizer: Any) -> list[Row]:
    """Inputs: of texts with a label, of words with labels at the first piece of each."""
    rows = []
    for record in records:
        if "text" in record:
            given = tokenizer(record["text"], truncation=True, max_length=64)
            rows.append({"input_ids": given["input_ids"], "labels": labels.index(record["label"])})
            continue
        given = tokenizer(record["words"], is_split_into_words=True, truncation=True, max_length=64)
        owners = given.word_ids()
        first = [own is not None and own != owners[n - 1] for n, own in enumerate(owners)]
        marked = [
            labels.index(record["labels"][own]) if is_first else -100
            for own, is_first in zip(owners, first, strict=True)
        ]
        rows.append({"input_ids": given["input_ids"], "labels": marked})
    return rows


def main() -> None:
    """Train, predict, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--frozen", action="store_true", help="Train the head alone.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    set_seed(options.seed)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    train = read(options.data / "train.jsonl")
    of_words = "words" in train[0]
    every = (label for one in train for label in (one["labels"] if of_words else [one["label"]]))
    labels = sorted(set(every))
    kind = AutoModelForTokenClassification if of_words else AutoModelForSequenceClassification
    model = kind.from_pretrained(options.model, num_labels=len(labels), dtype=torch.float32)
    if options.frozen:
        model.base_model.requires_grad_(False)
    collator = DataCollatorForTokenClassification if of_words else DataCollatorWithPadding
    arguments = on_a_cpu(
        max_steps=options.steps,
        learning_rate=1e-2 if options.frozen else 1e-3,
        seed=options.seed,
    )
    rows = encoded(train, labels, tokenizer)
    trainer = Trainer(model, arguments, train_dataset=rows, data_collator=collator(tokenizer))
    trainer.train()
    found = {}
    for path in sorted(options.data.glob("test-*.jsonl")):
        answer = trainer.predict(encoded(read(path), labels, tokenizer))
        labelled = answer.label_ids != -100
        right = (answer.predictions.argmax(-1) == answer.label_ids)[labelled]
        found[path.stem] = float(right.mean())
    print(json.dumps(found))


if __name__ == "__main__":
    main()

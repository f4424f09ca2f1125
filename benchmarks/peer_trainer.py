"""Part-of-speech tagging as one writes it over transformers' Trainer: one model, one seed, one process.

A script for ``peers.py``. Reads CoNLL-U, learns in one language, predicts in others, and prints the
accuracy of each as JSON.
"""

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    Trainer,
    TrainingArguments,
    set_seed,
)

TAGS = (
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
    *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
)
Row = dict[str, Any]


def read(path: Path, count: int) -> list[tuple[list[str], list[str]]]:
    """A random sample of a treebank's sentences: words and tags."""
    found: list[tuple[list[str], list[str]]] = []
    words: list[str] = []
    tags: list[str] = []
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        text = file.read()
    for line in text.splitlines():
        if not line and words:
            found.append((words, tags))
            words, tags = [], []
        fields = line.split("\t")
        if line and not line.startswith("#") and fields[0].isdigit() and fields[3] in TAGS:
            words.append(fields[1])
            tags.append(fields[3])
    chosen = np.random.default_rng(0).permutation(len(found))[:count]
    return [found[number] for number in chosen]


def encoded(path: Path, count: int, tokenizer: Any) -> list[Row]:
    """Inputs with a label at the first piece of each word."""
    rows = []
    for words, tags in read(path, count):
        given = tokenizer(words, is_split_into_words=True, truncation=True, max_length=256)
        owners = given.word_ids()
        first = [own is not None and own != owners[n - 1] for n, own in enumerate(owners)]
        labels = [
            TAGS.index(tags[own]) if is_first else -100
            for own, is_first in zip(owners, first, strict=True)
        ]
        rows.append({"input_ids": given["input_ids"], "labels": labels})
    return rows


def on_a_cpu(**settings: Any) -> TrainingArguments:
    """Trainer's arguments that all peers on a CPU share."""
    return TrainingArguments(
        output_dir="trainer",
        per_device_train_batch_size=16,
        per_device_eval_batch_size=64,
        weight_decay=0.01,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        **settings,
    )


def main() -> None:
    """Train, predict, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--test", type=Path, nargs="+", required=True)
    parser.add_argument("--train-items", type=int, default=1000)
    parser.add_argument("--test-items", type=int, default=100)
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--frozen", action="store_true", help="Train the head alone.")
    parser.add_argument("--best", action="store_true", help="Group by length, bfloat16.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    set_seed(options.seed)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForTokenClassification.from_pretrained(
        options.model, num_labels=len(TAGS), dtype=torch.float32
    )
    if options.frozen:
        model.base_model.requires_grad_(False)
    arguments = on_a_cpu(
        num_train_epochs=options.epochs,
        learning_rate=1e-3 if options.frozen else 2e-5,
        seed=options.seed,
        bf16=options.best,
        train_sampling_strategy="group_by_length" if options.best else "random",
    )
    trainer = Trainer(
        model,
        arguments,
        train_dataset=encoded(options.train, options.train_items, tokenizer),  # type: ignore[arg-type]
        data_collator=DataCollatorForTokenClassification(tokenizer),
    )
    trainer.train()
    found = {}
    for path in options.test:
        rows = encoded(path, options.test_items, tokenizer)
        if options.best:  # little padding
            rows.sort(key=lambda row: len(row["input_ids"]))
        answer = trainer.predict(rows)  # type: ignore[arg-type]
        labelled = answer.label_ids != -100
        found[path.stem] = float(
            (answer.predictions.argmax(-1) == answer.label_ids)[labelled].mean()
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()

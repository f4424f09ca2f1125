"""One step of token classification: xbench beside a plain loop over transformers.

Both take the same random batches of a clone treebank, the same weights and the same AdamW. Steps
alternate, so that a machine whose speed drifts is fair to both. Prints milliseconds and their ratio.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import AutoModelForTokenClassification
from transformers.utils import logging

from xbench.catalogue.models import find_model
from xbench.catalogue.registry import load_registry
from xbench.data.tokenise import tokenise_sentences
from xbench.data.tokenizer import Tokenizer
from xbench.nn.encoders.encoder import Encoder
from xbench.nn.heads import Head
from xbench.nn.optimise import Optimiser, ParameterGroup, Schedule
from xbench.nn.text import Text, pad
from xbench.nn.text_view import TextView
from xbench.stages.resources import text_format
from xbench_plugins.clones.corpus import treebank
from xbench_plugins.clones.languages import QAA
from xbench_tasks.pos import PartOfSpeech

RATE = 1e-4
CLIP = 1.0


def batches(tokenizer: Tokenizer, count: int, size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(ids [B, T], labels [B, T] with -100 where there is none) of ``count`` random batches."""
    numbers = {label: number for number, label in enumerate(PartOfSpeech.labels)}
    sentences = list(treebank(QAA, "train", count * size))
    rows, labels = [], []
    for sentence, piece in zip(
        sentences, tokenise_sentences(tokenizer, sentences, 128), strict=True
    ):
        row = [-100] * len(piece.ids)
        for place, tag in zip(piece.first_subwords, sentence.tags, strict=True):
            row[place] = numbers[tag]
        rows.append(piece.ids)
        labels.append(row)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0)).tolist()
    pad_id = tokenizer.vocabulary.pad_id
    chunks = [order[i * size : (i + 1) * size] for i in range(count)]
    return [
        (pad([rows[i] for i in chunk], pad_id), pad([labels[i] for i in chunk], -100))
        for chunk in chunks
    ]


def ours(folder: Path, tokenizer: Tokenizer) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """xbench's step."""
    encoder = Encoder.from_folder(folder).train()
    head = Head(encoder.config.hidden_size, len(PartOfSpeech.labels), 0.1, 0, "benchmark").train()
    groups = [
        ParameterGroup(tuple(encoder.parameters()), RATE, matrix_dims=3),
        ParameterGroup(tuple(head.parameters()), RATE, matrix_dims=2),
    ]
    optimiser = Optimiser(groups, Schedule(10**6), 0.01, CLIP)
    format = text_format(tokenizer)

    def step(ids: torch.Tensor, labels: torch.Tensor) -> None:
        states = TextView(encoder, Text(ids), format, ("benchmark",)).states(1.0)
        chosen = labels != -100
        optimiser.backward(F.cross_entropy(head(states[chosen]), labels[chosen]))
        optimiser.step(0)

    return step


def plain(folder: Path, tokenizer: Tokenizer) -> Callable[[torch.Tensor, torch.Tensor], None]:
    """What one would write over transformers."""
    model = AutoModelForTokenClassification.from_pretrained(
        folder, num_labels=len(PartOfSpeech.labels), local_files_only=True
    ).train()
    adam = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01, fused=True)
    pad_id = tokenizer.vocabulary.pad_id

    def step(ids: torch.Tensor, labels: torch.Tensor) -> None:
        model(input_ids=ids, attention_mask=ids != pad_id, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        adam.step()
        adam.zero_grad()

    return step


def main() -> None:
    """Time both and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini-encoder")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=16)
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    folder = find_model(options.model, load_registry()).folder
    tokenizer = Tokenizer.from_folder(folder)
    steps = {"xbench": ours(folder, tokenizer), "transformers": plain(folder, tokenizer)}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    warm_up = 5
    for number, batch in enumerate(batches(tokenizer, options.steps, options.batch_size)):
        for name, step in steps.items():
            began = time.perf_counter()
            step(*batch)
            if number >= warm_up:
                seconds[name].append(time.perf_counter() - began)
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for name, values in seconds.items():
        print(
            f"{name:<14}{1000 * statistics.median(values):8.1f} ms a step (median of {len(values)})"
        )
    ratios = [b / a for a, b in zip(seconds["xbench"], seconds["transformers"], strict=True)]
    print(f"transformers / xbench: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()

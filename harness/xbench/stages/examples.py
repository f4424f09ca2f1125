"""Labelled examples as rows of token ids, tokenised once and memory-mapped."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xbench.api.task import Task
from xbench.data.ragged import RaggedTable, cached
from xbench.data.tokenise import WordPieces, tokenise_sentences, tokenise_texts
from xbench.data.tokenizer import Tokenizer
from xbench.identity import component
from xbench.nn.streams import permutation
from xbench.nn.views import pad
from xbench.plan import Stage
from xbench.stages.bench import Bench, data_identity


@dataclass(frozen=True)
class Examples:
    """A tokenised corpus. Rows are model inputs: an item may fill several, none is cut short.

    Columns: ``ids``, ``places`` (positions in ``ids`` that carry a label: first subwords, or the
    first token where the whole text has one), ``labels``, ``item`` and ``first_word`` (one value
    each), ``name`` (the item's id as UTF-8 bytes).
    """

    table: RaggedTable
    level: str

    def __len__(self) -> int:
        return len(self.table)

    def labels(self, row: int) -> np.ndarray:
        """[places] class numbers of a row."""
        return self.table.row("labels", row)

    def names(self) -> list[str]:
        """The ids of all items, in order."""
        names: dict[int, str] = {}
        for row in range(len(self)):
            item = int(self.table.row("item", row)[0])
            names[item] = bytes(self.table.row("name", row).astype(np.uint8)).decode("utf-8")
        return [names[item] for item in sorted(names)]

    def batch(self, rows: Iterable[int], pad_id: int, device: str) -> "Batch":
        """The rows as one padded batch."""
        rows = list(rows)
        ids = [self.table.row("ids", row) for row in rows]
        places = [self.table.row("places", row) for row in rows]
        owner = np.repeat(np.arange(len(rows)), [len(p) for p in places])
        labels = np.concatenate([self.labels(row) for row in rows])
        return Batch(
            pad(ids, pad_id).to(device),
            torch.from_numpy(owner).to(device),
            torch.from_numpy(np.concatenate(places).astype(np.int64)).to(device),
            torch.from_numpy(labels.astype(np.int64)).to(device),
        )


@dataclass(frozen=True)
class Batch:
    """ids [B, T]; for each of N labelled places its row and position [N]; labels [N]."""

    ids: Tensor
    owner: Tensor
    places: Tensor
    labels: Tensor


def load_examples(
    stage: Stage,
    bench: Bench,
    tokenizer: Tokenizer,
    split: str,
    limits: Mapping[str, Any],
    data: Mapping[str, Any] | None = None,
) -> Examples:
    """The stage's examples of a split. ``limits`` has ``max_length``, ``max_items``, ``sample``.

    ``data`` identifies them where they are not the stage's main data (a dev split, say).

    With ``sample`` a limit on the items takes a fixed random sample, else the first ones.
    Raises ``ValueError`` naming an item that has not one label per word (token level) or text.
    """
    task = bench.task(stage)
    if task.level not in ("token", "sentence"):
        raise ValueError(
            f"{type(task).__name__} is of the level {task.level!r}; only tasks of the levels "
            f"'token' and 'sentence' can be trained"
        )
    limits = {**limits, "max_length": bench.max_length(stage, limits["max_length"])}
    plugin = bench.context.discovery.table.get("tasks", stage.recipe["task"])
    identity = data_identity(stage, tokenizer, data, task=component(plugin), **limits)
    table = cached(
        bench.cache_folder(), identity, lambda: _rows(stage, bench, tokenizer, split, limits)
    )
    if len(table) == 0:
        raise ValueError(f"the {split} data of {stage.recipe['label']} is empty")
    return Examples(table, task.level)


def _items(stage: Stage, bench: Bench, split: str, limits: Mapping[str, Any]) -> list[Any]:
    language = bench.context.languages.get(stage.recipe["languages"][0])
    records = list(bench.task(stage).examples(bench.source(stage), language, split))
    wanted = limits["max_items"]
    if wanted is None or wanted >= len(records):
        return records
    if not limits["sample"]:
        return records[:wanted]
    chosen = permutation(len(records), "sample")[:wanted].sort().values
    return [records[i] for i in chosen.tolist()]


def _rows(
    stage: Stage, bench: Bench, tokenizer: Tokenizer, split: str, limits: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    task = bench.task(stage)
    records = _items(stage, bench, split, limits)
    labels = [_labels(task, record) for record in records]
    for piece in _pieces(task, tokenizer, records, limits["max_length"]):
        end = piece.first_word + len(piece.first_subwords)
        yield {
            "ids": piece.ids,
            "places": piece.first_subwords,
            "labels": labels[piece.item][piece.first_word : end],
            "item": [piece.item],
            "first_word": [piece.first_word],
            "name": list(records[piece.item].id.encode("utf-8")),
        }


def _pieces(
    task: Task, tokenizer: Tokenizer, records: list[Any], max_length: int
) -> Iterator[WordPieces]:
    if task.level == "token":
        yield from tokenise_sentences(tokenizer, records, max_length)
        return
    texts = (record.text for record in records)
    for item, ids in enumerate(tokenise_texts(tokenizer, texts, max_length)):
        yield WordPieces(tuple(ids), (0,), item, 0)


def _labels(task: Task, record: Any) -> list[int]:
    """The class numbers of a record: one for each word, or one."""
    gold = task.gold(record)
    wanted = len(record.words) if task.level == "token" else 1
    if len(gold) != wanted or not wanted:
        raise ValueError(f"item {record.id!r} has {len(gold)} labels for {wanted} words or texts")
    for label in gold:
        if label not in task.labels:
            raise ValueError(
                f"item {record.id!r} has the label {label!r}, which {type(task).__name__} does "
                f"not know"
            )
    return [task.labels.index(label) for label in gold]

"""Labelled examples as rows of token ids, tokenised once and memory-mapped."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xbench.api.examples import is_empty
from xbench.api.task import Task
from xbench.catalogue.identity import component
from xbench.data.overlap import DIGEST, digests, texts_of
from xbench.data.ragged import RaggedTable, cached
from xbench.data.tokenise import (
    WordPieces,
    tokenise_sentences,
    tokenise_text_pairs,
    tokenise_texts,
)
from xbench.data.tokenizer import Tokenizer
from xbench.nn.random_streams import permutation
from xbench.nn.text import Text, pad
from xbench.plan import Stage
from xbench.plan.records import DataId, DataPlace
from xbench.stages.resources import Resources, data_identity

# Levels at which every word is labelled, and those at which a whole input is.
WORD_LEVELS = ("token", "span")
TEXT_LEVELS = ("sentence", "pair")
# What a record of each level must have, and what such records are called.
_READS = {
    "token": ("words", "TaggedSentence"),
    "span": ("words", "TaggedSentence"),
    "sentence": ("text", "LabelledText"),
    "pair": ("second", "LabelledPair"),
}
COLUMNS = 4  # raised when the columns change: tables that were kept before are made anew


@dataclass(frozen=True)
class Examples:
    """A tokenised corpus. Rows are model inputs: an item may fill several, none is cut short.

    Columns: ``ids``, ``places`` (positions in ``ids`` that carry a label: first subwords, or the
    first token where the whole text has one), ``labels``, ``item`` and ``first_word`` (one value
    each), ``name`` (the item's id as UTF-8 bytes), in an item's first row ``digests`` (of its texts:
    :mod:`xbench.data.overlap`; none of one that is too short) and, for pairs of texts, ``types``,
    the encoder's token types.
    """

    table: RaggedTable
    level: str
    of: str = "examples"  # for a person: the task, the language and the split

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

    def digests(self) -> Iterator[set[bytes]]:
        """What tells the texts of each item apart from others', item by item."""
        for row in range(len(self)):
            if int(self.table.row("first_word", row)[0]) == 0:
                content = self.table.row("digests", row).astype(np.int32).tobytes()
                yield {content[at : at + DIGEST] for at in range(0, len(content), DIGEST)}

    def batch(self, rows: Iterable[int], pad_id: int, device: str) -> "Batch":
        """The rows as one padded batch."""
        rows = list(rows)
        ids = [self.table.row("ids", row) for row in rows]
        places = [self.table.row("places", row) for row in rows]
        owner = np.repeat(np.arange(len(rows)), [len(p) for p in places])
        labels = np.concatenate([self.labels(row) for row in rows])
        types = None
        if "types" in self.table.columns:
            types = pad([self.table.row("types", row) for row in rows], 0)
        return Batch(
            Text(pad(ids, pad_id), types if types is not None and types.any() else None).to(device),
            torch.from_numpy(owner).to(device),
            torch.from_numpy(np.concatenate(places).astype(np.int64)).to(device),
            torch.from_numpy(labels.astype(np.int64)).to(device),
        )


@dataclass(frozen=True)
class Batch:
    """Inputs [B, T]; for each of N labelled places its row and position [N]; labels [N]."""

    text: Text
    owner: Tensor
    places: Tensor
    labels: Tensor

    @property
    def ids(self) -> Tensor:
        """[B, T] token ids."""
        return self.text.ids


def load_examples(
    stage: Stage,
    resources: Resources,
    tokenizer: Tokenizer,
    split: str,
    limits: Mapping[str, Any],
    data: DataId | None = None,
    place: DataPlace | None = None,
) -> Examples:
    """The stage's examples of a split. ``limits`` has ``max_length`` and ``max_items``.

    ``data`` identifies them where they are not the stage's main data (a dev split, say), and
    ``place`` says where they lie if that is elsewhere (another language's, say).

    A limit on the items takes a fixed random sample: files may be sorted by label.
    Raises ``ValueError`` naming an item that has not one label per word (token level) or text.
    """
    task = resources.task(stage)
    if task.level not in (*WORD_LEVELS, *TEXT_LEVELS):
        raise ValueError(
            f"{type(task).__name__} is of the level {task.level!r}, which has no labels to learn"
        )
    limits = {**limits, "max_length": resources.max_length(stage, limits["max_length"])}
    plugin = resources.catalogue.discovery.table.get("tasks", stage.places.task)
    made = {"task": component(plugin), "columns": COLUMNS}
    identity = data_identity(data or stage.spec.data, tokenizer, **made, **limits)
    at = place or stage.places.data

    def rows() -> Iterator[dict[str, Any]]:
        language = resources.catalogue.languages.get(at.languages[0])
        found = task.examples(resources.source_at(at), language, split)
        if split == "train":
            found = (record for record in found if not is_empty(record))
        records = sample(found, limits["max_items"])
        _check_kind(task, records)
        return _rows(task, tokenizer, records, limits["max_length"])

    table = cached(resources.cache_folder(), identity, rows)
    if len(table) == 0:
        raise ValueError(f"the {split} data of {stage.label} is empty")
    return Examples(table, task.level, f"{stage.places.task} in {at.languages[0]}, {split}")


def load_translations(stage: Stage, resources: Resources, max_length: int) -> Examples:
    """The task's training data in the other language, of a fine-tuning with an objective beside it."""
    data, place = stage.spec.joint.translated, stage.places.joint.translated
    limits = {"max_length": max_length, "max_items": None}
    return load_examples(
        stage, resources, resources.tokenizer(stage), data.split, limits, data, place
    )


def sample(found: Iterable[Any], wanted: int | None) -> list[Any]:
    """At most so many items, in their order: which ones depends on how many there are, and only that.

    Parallel data sets of several languages so give the same items of each.
    """
    records = list(found)
    if wanted is None or wanted >= len(records):
        return records
    chosen = permutation(len(records), "sample")[:wanted].sort().values
    return [records[i] for i in chosen.tolist()]


def _rows(
    task: Task, tokenizer: Tokenizer, records: list[Any], max_length: int
) -> Iterator[dict[str, Any]]:
    labels = [_labels(task, record) for record in records]
    for piece in _pieces(task, tokenizer, records, max_length):
        end = piece.first_word + len(piece.first_subwords)
        types = {"types": piece.types} if task.level == "pair" else {}
        yield {
            **types,
            "ids": piece.ids,
            "places": piece.first_subwords,
            "labels": labels[piece.item][piece.first_word : end],
            "item": [piece.item],
            "first_word": [piece.first_word],
            "name": list(records[piece.item].id.encode("utf-8")),
            "digests": [] if piece.first_word else _digests(records[piece.item]),
        }


def _check_kind(task: Task, records: list[Any]) -> None:
    """Raises ``ValueError`` where the data is not of the kind that the task's level reads."""
    field, kind = _READS[task.level]
    for record in records:
        if not hasattr(record, field):
            raise ValueError(
                f"{type(task).__name__} is of the level {task.level!r} and reads {kind} records; "
                f"its data has {type(record).__name__}: bind it to another source"
            )


def _digests(record: Any) -> list[int]:
    content = b"".join(sorted(digests(texts_of(record))))
    return [int(part) for part in np.frombuffer(content, dtype=np.int32)]


def _pieces(
    task: Task, tokenizer: Tokenizer, records: list[Any], max_length: int
) -> Iterator[WordPieces]:
    if task.level in WORD_LEVELS:
        yield from tokenise_sentences(tokenizer, records, max_length)
        return
    if task.level == "pair":
        texts_of_pairs = ((record.text, record.second) for record in records)
        inputs = tokenise_text_pairs(tokenizer, texts_of_pairs, max_length)
        for item, (ids, types) in enumerate(inputs):
            yield WordPieces(tuple(ids), (0,), item, 0, tuple(types))
        return
    texts = (record.text for record in records)
    for item, ids in enumerate(tokenise_texts(tokenizer, texts, max_length)):
        yield WordPieces(tuple(ids), (0,), item, 0)


def _labels(task: Task, record: Any) -> list[int]:
    """The class numbers of a record: one for each word, or one."""
    gold = task.gold(record)
    wanted = len(record.words) if task.level in WORD_LEVELS else 1
    if len(gold) != wanted or not wanted:
        raise ValueError(f"item {record.id!r} has {len(gold)} labels for {wanted} words or texts")
    for label in gold:
        if label not in task.labels:
            raise ValueError(
                f"item {record.id!r} has the label {label!r}, which {type(task).__name__} does "
                f"not know"
            )
    return [task.labels.index(label) for label in gold]

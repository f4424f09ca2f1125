"""Pairs of texts with a label: premise and hypothesis, two sentences that may be paraphrases."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from xbench.api.examples import LabelledPair
from xbench.data.files import DataError, read_lines
from xbench.data.parquet import read_rows

_COLUMNS = 3

Labels = Mapping[str, str]
"""How a file writes each label, and what the label is called here."""


def read_pairs(path: Path, labels: Labels) -> Iterator[LabelledPair]:
    """The rows ``text, second text, label`` of a table without header; ``id`` is the row, from 1.

    Nothing is unquoted. Raises :class:`DataError` with file and line for a row of another width, an
    empty text, and a label that is not among ``labels``.
    """
    for number, line in enumerate(read_lines(path), start=1):
        row = line.split("\t")
        if len(row) != _COLUMNS:
            raise DataError.at(path, number, f"{len(row)} columns instead of {_COLUMNS}")
        text, second, label = row
        if not text.strip() or not second.strip():
            raise DataError.at(path, number, "one of the two texts is empty")
        if label not in labels:
            raise DataError.at(path, number, f"unknown label {label!r}; known are {_shown(labels)}")
        yield LabelledPair(text, second, labels[label], str(number))


def pair_rows(
    files: Sequence[Path], columns: tuple[str, str, str], labels: Labels
) -> Iterator[LabelledPair]:
    """The same from parquet tables; ``columns`` names text, second text and label.

    Raises :class:`DataError` naming the row for a label that is not among ``labels``.
    """
    text, second, label = columns
    for number, row in enumerate(read_rows(files, columns), start=1):
        value = str(row[label])
        if value not in labels:
            raise DataError(
                f"{files[0].parent}: row {number} has the unknown label {value!r}; known are "
                f"{_shown(labels)}"
            )
        yield LabelledPair(row[text], row[second], labels[value], str(number))


def _shown(labels: Labels) -> str:
    return ", ".join(labels)

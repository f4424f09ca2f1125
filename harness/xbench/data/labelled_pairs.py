"""Pairs of texts with a label: premise and hypothesis, two sentences that may be paraphrases."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from xbench.api.examples import LabelledPair
from xbench.data.files import HEADER, BadLines, DataError, read_lines
from xbench.data.parquet import read_rows

_COLUMNS = 3

Labels = Mapping[str, str]
"""How a file writes each label, and what the label is called here."""


def read_pairs(path: Path, labels: Labels) -> Iterator[LabelledPair]:
    """The rows ``text, second text, label`` of a table without header; ``id`` is the row, from 1.

    Nothing is unquoted, and a text may be empty. Raises :class:`DataError` with all rows of another
    width, and those whose label is not among ``labels``.
    """
    bad = BadLines(path)
    for number, line in enumerate(read_lines(path), start=1):
        row = line.split("\t")
        header = HEADER if number == 1 else ""
        if len(row) != _COLUMNS:
            bad.add(number, f"{len(row)} columns instead of {_COLUMNS}{header}")
        elif row[2] not in labels:
            bad.add(number, f"unknown label {row[2]!r}; known are {_shown(labels)}{header}")
        else:
            at = f"{path}:{number}"
            yield LabelledPair(row[0], row[1], labels[row[2]], str(number), at)
    bad.check()


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
        at = f"{files[0].parent}, row {number}"
        yield LabelledPair(row[text] or "", row[second] or "", labels[value], str(number), at)


def _shown(labels: Labels) -> str:
    return ", ".join(labels)

"""Tables of text parted by tabs: plain ones, and SIB-200's, which are quoted like CSV."""

import csv
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from xbench.api.examples import LabelledText
from xbench.data.files import BadLines, DataError, read_lines

SIB200_LABELS = (
    *("science/technology", "travel", "politics", "sports"),
    *("health", "entertainment", "geography"),
)

_SIB200_HEADER = ["index_id", "category", "text"]


def read_tsv(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The named columns of every row, in the order asked for; the first line names the columns.

    Nothing is unquoted: a double quote is a character like any other.
    Raises :class:`DataError` for a missing column, and with all rows of another width than the
    header.
    """
    lines = enumerate(read_lines(path), start=1)
    header = next(lines, (1, ""))[1].split("\t")
    if absent := [column for column in columns if header.count(column) != 1]:
        raise DataError.at(
            path, 1, f"the header {header} does not name {', '.join(absent)} exactly once"
        )
    places = [header.index(column) for column in columns]
    bad = BadLines(path)
    for number, line in lines:
        row = line.split("\t")
        if len(row) == len(header):
            yield tuple(row[place] for place in places)
        else:
            bad.add(number, f"{len(row)} columns where the header has {len(header)}")
    bad.check()


def read_sib200(path: Path, labels: Collection[str] = SIB200_LABELS) -> Iterator[LabelledText]:
    """The texts of one SIB-200 file with their topics; ``id`` is the ``index_id``.

    A record is one line: a quoted field that is not closed on its line is an error, and not a text
    of many lines. Raises :class:`DataError` for another header, and with all malformed rows: those
    without three columns, with broken quoting, or with a category that is not among ``labels``.
    """
    lines = enumerate(read_lines(path), start=1)
    header = next(lines, (1, ""))[1].split("\t")
    if header != _SIB200_HEADER:
        raise DataError.at(path, 1, f"the header is {header} instead of {_SIB200_HEADER}")
    bad = BadLines(path)
    for number, line in lines:
        try:
            index, category, text = _fields(line)
            if category not in labels:
                raise ValueError(f"unknown category {category!r}; known are {', '.join(labels)}")
        except ValueError as error:
            bad.add(number, str(error))
        else:
            yield LabelledText(text=text, label=category, id=index, at=f"{path}:{number}")
    bad.check()


def _fields(line: str) -> list[str]:
    """The columns of a row that is quoted like CSV. Raises ``ValueError`` saying what is wrong."""
    try:
        row = next(csv.reader([line], delimiter="\t", quotechar='"', strict=True), [])
    except csv.Error as error:
        opened = "a quote opens a column and is not closed on this line"
        problem = opened if "end of data" in str(error) else f"broken quoting ({error})"
        raise ValueError(f'{problem}; write "" for a quote inside a quoted text') from None
    if len(row) != len(_SIB200_HEADER):
        raise ValueError(f"{len(row)} columns instead of {len(_SIB200_HEADER)}")
    return row

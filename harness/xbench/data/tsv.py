"""Tables of text parted by tabs: plain ones, and SIB-200's, which are quoted like CSV."""

import csv
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from xbench.api.examples import LabelledText
from xbench.data.files import DataError, read_lines

SIB200_LABELS = (
    *("science/technology", "travel", "politics", "sports"),
    *("health", "entertainment", "geography"),
)

_SIB200_HEADER = ["index_id", "category", "text"]


def read_tsv(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The named columns of every row, in the order asked for; the first line names the columns.

    Nothing is unquoted: a double quote is a character like any other.
    Raises :class:`DataError` for a missing column and for a row of another width than the header.
    """
    lines = enumerate(read_lines(path), start=1)
    header = next(lines, (1, ""))[1].split("\t")
    if absent := [column for column in columns if header.count(column) != 1]:
        raise DataError.at(
            path, 1, f"the header {header} does not name {', '.join(absent)} exactly once"
        )
    places = [header.index(column) for column in columns]
    for number, line in lines:
        row = line.split("\t")
        if len(row) != len(header):
            raise DataError.at(
                path, number, f"{len(row)} columns where the header has {len(header)}"
            )
        yield tuple(row[place] for place in places)


def read_sib200(path: Path, labels: Collection[str] = SIB200_LABELS) -> Iterator[LabelledText]:
    """The texts of one SIB-200 file with their topics; ``id`` is the ``index_id``.

    Raises :class:`DataError` for another header, a row without three columns, broken quoting, and
    a category that is not among ``labels``.
    """
    rows = csv.reader(
        (line + "\n" for line in read_lines(path)), delimiter="\t", quotechar='"', strict=True
    )
    try:
        header = next(rows, [])
        if header != _SIB200_HEADER:
            raise DataError.at(path, 1, f"the header is {header} instead of {_SIB200_HEADER}")
        for row in rows:
            yield _labelled_text(path, rows.line_num, row, labels)
    except csv.Error as error:
        raise DataError.at(path, rows.line_num, f"not readable as quoted TSV: {error}") from None


def _labelled_text(
    path: Path, number: int, row: list[str], labels: Collection[str]
) -> LabelledText:
    if len(row) != len(_SIB200_HEADER):
        raise DataError.at(path, number, f"{len(row)} columns instead of {len(_SIB200_HEADER)}")
    index, category, text = row
    if category not in labels:
        raise DataError.at(path, number, f"unknown category {category!r}")
    return LabelledText(text=text, label=category, id=index)

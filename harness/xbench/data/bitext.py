"""Parallel text: two line-aligned files, or two columns of a table."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from xbench.api.examples import ParallelText
from xbench.data.files import DataError, count_lines, read_lines
from xbench.data.tsv import read_tsv


class Pairs(Iterator[ParallelText]):
    """Sentence pairs in the order of the corpus, read as they are asked for.

    Both sides are stripped of white space at the ends. A pair with an empty side is left out and
    counted in ``skipped``; ``id`` is the line in the file, counted from 1.
    """

    def __init__(self, numbered: Iterable[tuple[int, str, str]]) -> None:
        self.skipped = 0
        self._numbered = iter(numbered)

    def __next__(self) -> ParallelText:
        for number, source, target in self._numbered:
            pair = ParallelText(source.strip(), target.strip(), id=str(number))
            if pair.source and pair.target:
                return pair
            self.skipped += 1
        raise StopIteration


def read_line_aligned(source: Path, target: Path) -> Pairs:
    """Pairs line n of ``source`` with line n of ``target``.

    Raises :class:`DataError`, before anything is read, where the files differ in length.
    """
    counts = count_lines(source), count_lines(target)
    if counts[0] != counts[1]:
        raise DataError(
            f"{source} has {counts[0]} lines and {target} has {counts[1]}: "
            "the files are not aligned line by line"
        )
    both = zip(read_lines(source), read_lines(target), strict=True)
    return Pairs((number, *pair) for number, pair in enumerate(both, start=1))


def read_columns(
    path: Path, source: str, target: str, minimum: Mapping[str, int] | None = None
) -> Pairs:
    """Pairs two named columns of a table.

    ``minimum`` keeps the rows whose number in a column is at least the one given
    (``{"en_words": 4}``). Raises :class:`DataError` where a row or such a number is malformed.
    """
    return Pairs(_column_rows(path, source, target, dict(minimum or {})))


def _column_rows(
    path: Path, source: str, target: str, minimum: Mapping[str, int]
) -> Iterator[tuple[int, str, str]]:
    columns = (source, target, *minimum)
    for number, row in enumerate(read_tsv(path, columns), start=2):
        values = zip(row[2:], minimum.items(), strict=True)
        if all(_integer(path, number, column, text) >= least for text, (column, least) in values):
            yield number, row[0], row[1]


def _integer(path: Path, number: int, column: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise DataError.at(path, number, f"{column} is {text!r}, not a whole number") from None

"""Parallel text: two line-aligned files, or two columns of a table."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from xbench.api.examples import ParallelText
from xbench.data.files import BadLines, DataError, count_lines, read_lines
from xbench.data.tsv import read_tsv


class Pairs(Iterator[ParallelText]):
    """Sentence pairs in the order of the corpus, read as they are asked for.

    Both sides are stripped of white space at the ends. A pair with an empty side is left out and
    counted in ``skipped``; ``id`` is the line in the file, counted from 1, or what stands for it.
    """

    def __init__(self, numbered: Iterable[tuple[int | str, str, str]]) -> None:
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
    """Pairs line n of ``source`` with line n of ``target``, as :func:`aligned_lines`."""
    return Pairs(aligned_lines(source, target))


def aligned_lines(source: Path, target: Path) -> Iterator[tuple[int, str, str]]:
    """(number of the line, from 1; the line in ``source``; the line in ``target``).

    Raises :class:`DataError`, before anything is read, where the files differ in length.
    """
    counts = count_lines(source), count_lines(target)
    if counts[0] != counts[1]:
        raise DataError(
            f"{source} has {counts[0]} lines and {target} has {counts[1]}: "
            "the files are not aligned line by line"
        )
    both = zip(read_lines(source), read_lines(target), strict=True)
    return ((number, *pair) for number, pair in enumerate(both, start=1))


def read_test_pairs(source: Path, target: Path) -> Iterator[ParallelText]:
    """The same of a test set, of which nothing may be left out.

    Raises :class:`DataError` with all lines that are blank on either side.
    """
    bad = {path: BadLines(path) for path in (source, target)}
    for number, first, second in aligned_lines(source, target):
        for path, text in ((source, first), (target, second)):
            if not text.strip():
                bad[path].add(number, "no text; a test set is used whole")
        yield ParallelText(first.strip(), second.strip(), str(number))
    for each in bad.values():
        each.check()


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
    bad = BadLines(path)
    for number, row in enumerate(read_tsv(path, (source, target, *minimum)), start=2):
        found = list(zip(row[2:], minimum.items(), strict=True))
        wrong = [f"{name} is {text!r}" for text, (name, _) in found if not _is_integer(text)]
        if wrong:
            bad.add(number, f"{', '.join(wrong)}, not a whole number")
        elif all(int(text) >= least for text, (_, least) in found):
            yield number, row[0], row[1]
    bad.check()


def _is_integer(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True

"""Named entities as IOB2 tags: ``B-PER`` begins a person's name, ``I-PER`` goes on with it, else ``O``."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from xbench.api.examples import TaggedSentence
from xbench.data.files import DataError, read_lines
from xbench.data.parquet import class_names, read_rows

OUTSIDE = "O"
_TAG = re.compile(r"O|[BI]-(.+)")

Types = Mapping[str, str]
"""A corpus' own types of entities, and what each is called here."""


def read_iob2(
    path: Path, separator: str = "\t", types: Types | None = None
) -> Iterator[TaggedSentence]:
    """Sentences of a file with a word and its tag on each line, and an empty line after a sentence.

    ``id`` is the number of the sentence, from 1. With ``types``, types are renamed and those that
    are not among them become ``O``. A span that begins with ``I-`` stays as it is.
    Raises :class:`DataError` with file and line for a line of another form.
    """
    words: list[str] = []
    tags: list[str] = []
    sentences = 0
    for number, line in enumerate(read_lines(path), start=1):
        if line:
            word, _, tag = line.rpartition(separator)
            found = _TAG.fullmatch(tag)
            if not word or not found or (separator == "\t" and separator in word):
                raise DataError.at(path, number, f"{line!r} is not a word and an IOB2 tag")
            words.append(word)
            tags.append(_renamed(tag, found.group(1), types))
        elif words:
            sentences += 1
            yield TaggedSentence(tuple(words), tuple(tags), str(sentences))
            words, tags = [], []
    if words:
        yield TaggedSentence(tuple(words), tuple(tags), str(sentences + 1))


def tagged_rows(files: Sequence[Path], words: str, tags: str) -> Iterator[TaggedSentence]:
    """The sentences of parquet tables with a column of words and one of tags or class numbers.

    Rows without words are left out. Raises :class:`DataError` where class numbers have no names.
    """
    names = class_names(files[0], tags) if files else None
    for number, row in enumerate(read_rows(files, [words, tags]), start=1):
        try:
            shown = [tag if isinstance(tag, str) else (names or ())[tag] for tag in row[tags]]
        except IndexError:
            raise DataError(
                f"{files[0]}: row {number} has the tags {row[tags]}, and the file names "
                f"{', '.join(names or ()) or 'no classes'}; fetch it again"
            ) from None
        if shown:
            yield TaggedSentence(tuple(row[words]), tuple(shown), str(number))


def _renamed(tag: str, kind: str | None, types: Types | None) -> str:
    if types is None or kind is None:
        return tag
    return tag[:2] + types[kind] if kind in types else OUTSIDE

"""Named entities as IOB2 tags: ``B-PER`` begins a person's name, ``I-PER`` goes on with it, else ``O``."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from xbench.api.examples import TaggedSentence
from xbench.data.files import HEADER, BadLines, DataError, read_lines
from xbench.data.parquet import class_names, read_rows

OUTSIDE = "O"
_TAG = re.compile(r"O|[BI]-(.+)")
_PREFIX = re.compile(
    r"[a-z][a-z-]{1,11}:(?=.)"
)  # of Wikipedia's language codes: de, simple, zh-min-nan
_DOCUMENT = "-DOCSTART-"

Types = Mapping[str, str]
"""A corpus' own types of entities, and what each is called here."""


def read_iob2(
    path: Path, separator: str = "\t", types: Types | None = None
) -> Iterator[TaggedSentence]:
    """Sentences of a file with a word and its tag on each line, and an empty line after a sentence.

    ``id`` is the number of the sentence, from 1; the ``-DOCSTART-`` lines of CoNLL-2003 are none.
    With ``types``, types are renamed and those that are not among them become ``O``. A span that
    begins with ``I-`` stays as it is. The words of WikiANN's own files are written ``de:Anton``:
    where all of a file are, the language is taken off. Raises :class:`DataError` with all lines of
    another form.
    """
    prefix = language_prefix(path, separator)
    words: list[str] = []
    tags: list[str] = []
    sentences = first = 0
    bad = BadLines(path)
    for number, line in enumerate(chain(read_lines(path), [""]), start=1):
        if line and not line.startswith(_DOCUMENT):
            try:
                word, tag, kind = _parted(line, separator)
            except ValueError as error:
                bad.add(number, str(error) + (HEADER if number == 1 else ""))
                continue
            first = first or number
            words.append(word.removeprefix(prefix))
            tags.append(_renamed(tag, kind, types))
        elif words:
            sentences += 1
            at = f"{path}:{first}"
            yield TaggedSentence(tuple(words), tuple(tags), str(sentences), at)
            words, tags, first = [], [], 0
    bad.check()


def _parted(line: str, separator: str) -> tuple[str, str, str | None]:
    """The word, its tag and the tag's type. Raises ``ValueError`` for another form."""
    word, _, tag = line.rpartition(separator)
    found = _TAG.fullmatch(tag)
    if not word or not found or (separator == "\t" and separator in word):
        raise ValueError(f"{line!r} is not a word and an IOB2 tag")
    return word, tag, found.group(1)


def language_prefix(path: Path, separator: str = "\t") -> str:
    """What :func:`read_iob2` takes off every word of a file: ``de:``, where all begin with it.

    Usually nothing, which the first word shows.
    """
    shared: str | None = None
    for line in read_lines(path):
        word = line.rpartition(separator)[0]
        if not line or line.startswith(_DOCUMENT):
            continue
        found = _PREFIX.match(word)
        if found is None or shared not in (None, found.group()):
            return ""
        shared = found.group()
    return shared or ""


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

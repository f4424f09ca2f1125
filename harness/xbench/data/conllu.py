"""Treebanks in CoNLL-U, the format of Universal Dependencies (universaldependencies.org/format)."""

import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from xbench.api.examples import TaggedSentence
from xbench.data.files import BadLines, read_lines

UPOS = (
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
    *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
)

_COLUMNS = 10
_SENTENCE_ID = re.compile(r"#\s*sent_id\s*=\s*(.*?)\s*$")
_TEXT = re.compile(r"#\s*text\s*=\s*(.*?)\s*$")
_NOT_A_WORD = re.compile(r"[0-9]+[-.][0-9]+")


def read_conllu(path: Path) -> Iterator[TaggedSentence]:
    """The sentences of a treebank as syntactic words with their universal part-of-speech tags.

    Words are the rows with an integer id; multiword tokens (``3-4``) and empty nodes (``5.1``) are
    left out. Forms are kept as they are, spaces included. ``id`` is the ``sent_id``, if any.
    Raises :class:`~xbench.data.files.DataError` with file and line of all malformed rows.
    """
    sentence_id, surface, first = "", "", 0
    words: list[str] = []
    tags: list[str] = []
    bad = BadLines(path)
    rows: int | None = 0  # words so far; None after a malformed one, which makes numbers useless
    for number, line in enumerate(chain(read_lines(path), [""]), start=1):
        if line.startswith("#"):
            if found := _SENTENCE_ID.match(line):
                sentence_id = found.group(1)
            elif found := _TEXT.match(line):
                surface = found.group(1)
        elif line:
            try:
                word = _word(line.split("\t"), position=None if rows is None else rows + 1)
            except ValueError as error:
                bad.add(number, str(error))
                rows = None
                continue
            if word is not None:
                first = first or number
                rows = None if rows is None else rows + 1
                words.append(word[0])
                tags.append(word[1])
        else:
            if words:
                at = f"{path}:{first}"
                yield TaggedSentence(tuple(words), tuple(tags), sentence_id, at, surface)
            sentence_id, surface, first, rows, words, tags = "", "", 0, 0, [], []
    bad.check()


def _word(row: list[str], position: int | None) -> tuple[str, str] | None:
    """Form and tag of a row, or ``None`` where the row is no syntactic word."""
    if len(row) != _COLUMNS:
        raise ValueError(f"{len(row)} columns instead of {_COLUMNS} (parted by tabs)")
    row_id, form, tag = row[0], row[1], row[3]
    if _NOT_A_WORD.fullmatch(row_id):
        return None
    if position is not None and row_id != str(position):
        raise ValueError(f"word id {row_id!r} where {position} comes next")
    if not form:
        raise ValueError(f"word {row_id} has no form")
    if tag not in UPOS:
        raise ValueError(f"{tag!r} (word {row_id}, {form!r}) is not a universal part of speech")
    return form, tag

"""Treebanks in CoNLL-U, the format of Universal Dependencies (universaldependencies.org/format)."""

import re
from collections.abc import Iterator
from pathlib import Path

from xbench.api.examples import TaggedSentence
from xbench.data.files import DataError, read_lines

UPOS = (
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
    *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
)

_COLUMNS = 10
_SENTENCE_ID = re.compile(r"#\s*sent_id\s*=\s*(.*?)\s*$")
_NOT_A_WORD = re.compile(r"[0-9]+[-.][0-9]+")


def read_conllu(path: Path) -> Iterator[TaggedSentence]:
    """The sentences of a treebank as syntactic words with their universal part-of-speech tags.

    Words are the rows with an integer id; multiword tokens (``3-4``) and empty nodes (``5.1``) are
    left out. Forms are kept as they are, spaces included. ``id`` is the ``sent_id``, if any.
    Raises :class:`DataError` with file and line for a malformed row.
    """
    sentence_id = ""
    words: list[str] = []
    tags: list[str] = []
    for number, line in enumerate(read_lines(path), start=1):
        if line.startswith("#"):
            if found := _SENTENCE_ID.match(line):
                sentence_id = found.group(1)
        elif line:
            try:
                word = _word(line.split("\t"), position=len(words) + 1)
            except ValueError as error:
                raise DataError.at(path, number, str(error)) from None
            if word is not None:
                words.append(word[0])
                tags.append(word[1])
        else:
            if words:
                yield TaggedSentence(tuple(words), tuple(tags), sentence_id)
            sentence_id, words, tags = "", [], []
    if words:
        yield TaggedSentence(tuple(words), tuple(tags), sentence_id)


def _word(row: list[str], position: int) -> tuple[str, str] | None:
    """Form and tag of a row, or ``None`` where the row is no syntactic word."""
    if len(row) != _COLUMNS:
        raise ValueError(f"{len(row)} columns instead of {_COLUMNS} (parted by tabs)")
    row_id, form, tag = row[0], row[1], row[3]
    if _NOT_A_WORD.fullmatch(row_id):
        return None
    if row_id != str(position):
        raise ValueError(f"word id {row_id!r} where {position} comes next")
    if not form:
        raise ValueError(f"word {position} has no form")
    if tag not in UPOS:
        raise ValueError(f"{tag!r} (word {position}, {form!r}) is not a universal part of speech")
    return form, tag

"""Where the words of a text are, and which word each subword belongs to.

Words are parted by white space; a character of a script that is written without spaces between
words (Chinese, Japanese, Thai, Lao, Khmer, Burmese, Tibetan) is a word of its own. Korean is written
with spaces.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from typing import Any

from xbench.api.examples import ParallelText
from xbench.data.tokenizer import Tokenizer

_SPACELESS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana, phonetic extensions
    (0x3400, 0x4DBF),  # Chinese characters, extension A
    (0x4E00, 0x9FFF),  # Chinese characters
    (0xF900, 0xFAFF),  # Chinese characters, compatibility
    (0x20000, 0x3FFFF),  # Chinese characters, further extensions
)
_TEXTS_AT_ONCE = 1024

Span = tuple[int, int]


def word_spans(text: str) -> list[Span]:
    """(start, end) of every word, in characters, from left to right."""
    spans: list[Span] = []
    start: int | None = None
    for place, character in enumerate(text):
        alone = _is_spaceless(character)
        if start is not None and (alone or character.isspace()):
            spans.append((start, place))
            start = None
        if alone:
            spans.append((place, place + 1))
        elif start is None and not character.isspace():
            start = place
    if start is not None:
        spans.append((start, len(text)))
    return spans


def words_of(text: str) -> tuple[str, ...]:
    """The words themselves."""
    return tuple(text[start:end] for start, end in word_spans(text))


def owners(offsets: Sequence[Span], spans: Sequence[Span]) -> list[int]:
    """For each subword, given by its place in the text, the word that it belongs to.

    A subword belongs to the word that its last character is in; one that holds white space only
    belongs to the word that follows, or to the last one.
    """
    ends = [end for _, end in spans]
    last = len(spans) - 1
    return [min(bisect_right(ends, max(end - 1, start)), last) for start, end in offsets]


def numbered_rows_with_words(
    tokenizer: Tokenizer, pairs: Iterable[ParallelText], max_length: int
) -> Iterator[dict[str, Any]]:
    """As :func:`~xbench.data.tokenise.tokenise_numbered_pairs`, with the word of every subword.

    Yields ``number`` (the place among all ``pairs``, from 0), ``source`` and ``target`` (content
    ids), ``source_owner`` and ``target_owner`` (a word for each id). A pair with a side that yields
    no tokens is left out.
    """
    room = max_length - tokenizer.special_tokens_single
    iterator = iter(pairs)
    numbers = count()
    while chunk := list(islice(iterator, _TEXTS_AT_ONCE)):
        sources = _encode(tokenizer, [pair.source for pair in chunk])
        targets = _encode(tokenizer, [pair.target for pair in chunk])
        for source, target in zip(sources, targets, strict=True):
            number = next(numbers)
            if source[0] and target[0]:
                yield {
                    "number": [number],
                    "source": source[0][:room],
                    "source_owner": source[1][:room],
                    "target": target[0][:room],
                    "target_owner": target[1][:room],
                }


def _encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[tuple[list[int], list[int]]]:
    encoded = tokenizer.encode_with_offsets(texts)
    return [
        (ids, owners(offsets, word_spans(text)))
        for text, (ids, offsets) in zip(texts, encoded, strict=True)
    ]


def _is_spaceless(character: str) -> bool:
    code = ord(character)
    return code >= 0x0E00 and any(first <= code <= last for first, last in _SPACELESS)

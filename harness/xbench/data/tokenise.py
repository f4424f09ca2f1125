"""From records to rows of token ids; nothing is lost on the way but what ``max_length`` cuts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import TypeVar

from xbench.api.examples import ParallelText, TaggedSentence
from xbench.data.tokenizer import Tokenizer

_Item = TypeVar("_Item")
_TEXTS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class WordPieces:
    """One input that holds the words of a sentence, or a run of them.

    ``ids`` include the special tokens. ``first_subwords`` are the positions in ``ids`` where the
    words begin; the first of them is word ``first_word`` of sentence ``item``. ``types`` are the
    token types of a pair of texts.
    """

    ids: tuple[int, ...]
    first_subwords: tuple[int, ...]
    item: int
    first_word: int
    types: tuple[int, ...] = ()


def tokenise_texts(
    tokenizer: Tokenizer, texts: Iterable[str], max_length: int
) -> Iterator[list[int]]:
    """One input per text, special tokens included, cut to ``max_length`` ids."""
    room = _room(tokenizer, max_length)
    for chunk in _chunks(texts):
        for ids in tokenizer.encode_texts(chunk):
            yield tokenizer.build_single(ids[:room])


def tokenise_text_pairs(
    tokenizer: Tokenizer, pairs: Iterable[tuple[str, str]], max_length: int
) -> Iterator[tuple[list[int], list[int]]]:
    """One input per two texts, and its token types; the longer text loses its end where needed.

    As ``truncation="longest_first"`` of transformers' fast tokenizers. Where both are cut and the
    room is odd, the longer one keeps one id more; of equally long ones the second does.
    """
    room = max_length - tokenizer.special_tokens_pair
    if room < 2:
        raise ValueError(f"max_length {max_length} leaves no room for two texts")
    for chunk in _chunks(pairs):
        firsts = tokenizer.encode_texts([first for first, _ in chunk])
        seconds = tokenizer.encode_texts([second for _, second in chunk])
        for first, second in zip(firsts, seconds, strict=True):
            keep_first, keep_second = _shares(len(first), len(second), room)
            yield tokenizer.build_pair(first[:keep_first], second[:keep_second])


def _shares(first: int, second: int, room: int) -> tuple[int, int]:
    """How much of each text is kept, so that both fit: the longer one is cut to the shorter, then both."""
    if first + second <= room:
        return first, second
    shorter = min(first, second, room // 2)  # it stays whole, or has half of the room
    return (shorter, room - shorter) if first <= second else (room - shorter, shorter)


def tokenise_sentences(
    tokenizer: Tokenizer, sentences: Iterable[TaggedSentence], max_length: int
) -> Iterator[WordPieces]:
    """One input per sentence, or several where it is longer than ``max_length`` ids.

    A long sentence is cut between words, so that every word is in exactly one input with its first
    subword (as XTREME does; truncation would drop words from the test set). Only a single word that
    is itself too long loses its end.
    """
    room = _room(tokenizer, max_length)
    for item, sentence in enumerate(sentences):
        first_word = 0
        for words in _runs(tokenizer.encode_words(sentence.words), room):
            yield _word_pieces(tokenizer, words, item, first_word)
            first_word += len(words)


def tokenise_pairs(
    tokenizer: Tokenizer, pairs: Iterable[ParallelText], max_length: int
) -> Iterator[tuple[list[int], list[int]]]:
    """Both sides of each pair, each cut so that it fits ``max_length`` with special tokens added.

    The special tokens themselves are left out, and so is a pair with a side that yields no tokens.
    """
    for _, source, target in tokenise_numbered_pairs(tokenizer, pairs, max_length):
        yield source, target


def tokenise_numbered_pairs(
    tokenizer: Tokenizer, pairs: Iterable[ParallelText], max_length: int
) -> Iterator[tuple[int, list[int], list[int]]]:
    """As :func:`tokenise_pairs`, each with its place among all ``pairs``, from 0."""
    room = _room(tokenizer, max_length)
    numbers = count()
    for chunk in _chunks(pairs):
        sources = tokenizer.encode_texts([pair.source for pair in chunk])
        targets = tokenizer.encode_texts([pair.target for pair in chunk])
        for source, target in zip(sources, targets, strict=True):
            number = next(numbers)
            if source and target:
                yield number, source[:room], target[:room]


def _room(tokenizer: Tokenizer, max_length: int) -> int:
    room = max_length - tokenizer.special_tokens_single
    if room < 1:
        raise ValueError(
            f"max_length {max_length} leaves no room beside the "
            f"{tokenizer.special_tokens_single} special tokens of an input"
        )
    return room


def _runs(words: Iterable[list[int]], room: int) -> Iterator[list[list[int]]]:
    """Runs of whole words of at most ``room`` ids each."""
    run: list[list[int]] = []
    used = 0
    for word in words:
        word = word[:room]
        if used + len(word) > room:
            yield run
            run, used = [], 0
        run.append(word)
        used += len(word)
    if run:
        yield run


def _word_pieces(
    tokenizer: Tokenizer, words: Sequence[list[int]], item: int, first_word: int
) -> WordPieces:
    content: list[int] = []
    starts = []
    for word in words:
        starts.append(len(content))
        content.extend(word)
    ids, shift = tokenizer.build_single(content), tokenizer.content_start
    return WordPieces(tuple(ids), tuple(start + shift for start in starts), item, first_word)


def _chunks(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, _TEXTS_AT_ONCE)):
        yield chunk

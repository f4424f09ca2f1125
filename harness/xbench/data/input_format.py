"""Where special tokens go: XLM-R has ``<s> A </s></s> B </s>``, BERT ``[CLS] A [SEP] B [SEP]``."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import tokenizers


@dataclass(frozen=True)
class InputFormat:
    """The special tokens before the first text and after each text, with all token types."""

    special_ids: tuple[tuple[int, ...], ...]
    special_types: tuple[tuple[int, ...], ...]
    text_types: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many special tokens there are."""
        return sum(map(len, self.special_ids))

    def ids(self, *texts: Sequence[int]) -> list[int]:
        """The texts' ids with the special tokens around them."""
        before, *after = self.special_ids
        return [*before, *chain.from_iterable(map(chain, texts, after))]

    def types(self, *texts: Sequence[int]) -> list[int]:
        """The token type of every id of :meth:`ids`."""
        before, *after = self.special_types
        per_text = zip(self.text_types, texts, after, strict=True)
        return [*before, *chain(*([kind] * len(text) + [*end] for kind, text, end in per_text))]


def read_format(tokenizer: tokenizers.Tokenizer, texts: int) -> InputFormat:
    """Reads the format of one or two texts off an encoded sample, whatever post-processor makes it.

    Raises ``ValueError`` where special tokens stand within a text.
    """
    sample = _sample(tokenizer)
    size = len(tokenizer.encode(sample, add_special_tokens=False).ids)
    encoding = tokenizer.encode(sample) if texts == 1 else tokenizer.encode(sample, pair=sample)
    places = [i for i, special in enumerate(encoding.special_tokens_mask) if not special]
    starts = places[::size]
    if places != [start + i for start in starts for i in range(size)] or len(starts) != texts:
        raise ValueError("its post-processor puts special tokens into the text itself")
    ends = [0, *(start + size for start in starts)]
    gaps = [slice(*gap) for gap in zip(ends, [*starts, len(encoding.ids)], strict=True)]
    return InputFormat(
        special_ids=tuple(tuple(encoding.ids[gap]) for gap in gaps),
        special_types=tuple(tuple(encoding.type_ids[gap]) for gap in gaps),
        text_types=tuple(encoding.type_ids[start] for start in starts),
    )


def _sample(tokenizer: tokenizers.Tokenizer) -> str:
    usual = ["a"]  # the vocabulary is large: it is listed only where this yields nothing
    for candidates in (lambda: usual, tokenizer.get_vocab):
        for text in candidates():
            if tokenizer.encode(text, add_special_tokens=False).ids:
                return text
    raise ValueError("its vocabulary encodes no text at all")

"""A subword tokenizer in the Hugging Face format, without the cost of importing transformers."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import tokenizers

from xbench.data.input_format import InputFormat, read_format
from xbench.data.tokenizer_files import (
    TokenizerFiles,
    TokenizerFolderError,
    read_tokenizer_files,
    special_ids_by_role,
)
from xbench.files import TOKENIZER as DEFINITION_FILE

if TYPE_CHECKING:
    from xbench.api.batch import Vocabulary

__all__ = ["Tokenizer", "TokenizerFolderError"]

# The library's threads warn after a fork and fight over few cores; it reads this when it encodes.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


class Tokenizer:
    """Turns text into token ids and puts ids into the model's input format.

    Text never yields a control token: a literal ``</s>`` in a corpus becomes ``<unk>``.
    """

    def __init__(self, files: TokenizerFiles) -> None:
        roles, self._special_ids = special_ids_by_role(files)
        self.unk_id, self._pad_id, self._mask_id = roles["unk"], roles["pad"], roles.get("mask")
        # A saved state may cut or pad every text: that is left to the caller.
        definition = files.definition | {"truncation": None, "padding": None}
        self._texts = _load(definition, files.folder)
        spaced = _with_space_before_words(definition)
        self._words = self._texts if spaced == definition else _load(spaced, files.folder)
        self._control_ids = frozenset(self._special_ids) - {self.unk_id}
        self._single, self._pair = _formats(self._texts, files.folder)
        self.digest = _sha256({"definition": definition, "roles": roles})

    @classmethod
    def from_folder(cls, folder: Path, cache: Path | None = None) -> "Tokenizer":
        """Loads the tokenizer of a model folder; nothing is fetched and no code of it is run.

        Where files of the folder say different things, transformers' AutoTokenizer decides; what it
        made of them is remembered in the folder ``cache``. Raises :class:`TokenizerFolderError`
        where there is none or where it names no padding or unknown token.
        """
        return cls(read_tokenizer_files(Path(folder), cache))

    @property
    def vocabulary(self) -> "Vocabulary":
        """Size and special ids, as objectives see them. ``<unk>`` counts as special."""
        from xbench.api.batch import Vocabulary

        size = max(self._texts.get_vocab_size(), max(self._special_ids) + 1)
        return Vocabulary(size, self._special_ids, self._pad_id, self._mask_id)

    @property
    def last(self) -> tuple[str, int]:
        """The token with the largest id, and that id; added tokens count."""
        vocabulary = self._texts.get_vocab(with_added_tokens=True)
        return max(vocabulary.items(), key=lambda item: item[1])

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """What ids stand for, as the vocabulary spells it."""
        return [self._texts.id_to_token(number) or f"id {number}" for number in ids]

    @property
    def special_tokens_single(self) -> int:
        """How many special tokens :meth:`build_single` adds."""
        return self._single.size

    @property
    def special_tokens_pair(self) -> int:
        """How many special tokens :meth:`build_pair` adds."""
        return self._pair.size

    @property
    def content_start(self) -> int:
        """The position of the first content token in :meth:`build_single`."""
        return len(self._single.special_ids[0])

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, without the special tokens of the input format."""
        encoded = self._texts.encode_batch(list(texts), add_special_tokens=False)
        return [self._as_content(encoding.ids) for encoding in encoded]

    def encode_with_offsets(
        self, texts: Sequence[str]
    ) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """As :meth:`encode_texts`, with the (start, end) of every id in its text, in characters."""
        encoded = self._texts.encode_batch(list(texts), add_special_tokens=False)
        return [(self._as_content(encoding.ids), list(encoding.offsets)) for encoding in encoded]

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """Ids of each word, every word taken as if a space stood before it.

        As ``is_split_into_words=True`` in transformers, but a word that yields nothing (a lone
        zero-width character, say) becomes ``<unk>`` so that its label has a place.
        """
        encoding = self._words.encode(list(words), is_pretokenized=True, add_special_tokens=False)
        pieces: list[list[int]] = [[] for _ in words]
        for piece, word in zip(self._as_content(encoding.ids), encoding.word_ids, strict=True):
            pieces[cast(int, word)].append(piece)
        return [ids or [self.unk_id] for ids in pieces]

    def build_single(self, ids: Sequence[int]) -> list[int]:
        """One text as the model's input: ``<s> ids </s>`` for XLM-R."""
        return self._single.ids(ids)

    def build_pair(
        self, first: Sequence[int], second: Sequence[int]
    ) -> tuple[list[int], list[int]]:
        """Two texts as one input, and its token types: ``<s> first </s></s> second </s>``, say."""
        return self._pair.ids(first, second), self._pair.types(first, second)

    def _as_content(self, ids: list[int]) -> list[int]:
        if self._control_ids.isdisjoint(ids):
            return ids
        return [self.unk_id if token in self._control_ids else token for token in ids]


def _load(definition: dict[str, Any], folder: Path) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_str(json.dumps(definition, ensure_ascii=False))
    except Exception as error:  # the library raises nothing narrower
        raise TokenizerFolderError(
            f"{folder / DEFINITION_FILE} cannot be loaded ({error}); "
            "save it again or update the tokenizers library"
        ) from None


def _formats(tokenizer: tokenizers.Tokenizer, folder: Path) -> tuple[InputFormat, InputFormat]:
    try:
        return read_format(tokenizer, texts=1), read_format(tokenizer, texts=2)
    except ValueError as error:
        raise TokenizerFolderError(f"the tokenizer in {folder} cannot be used: {error}") from None


def _with_space_before_words(definition: Any) -> Any:
    """The definition with ``add_prefix_space`` wherever a byte-level pre-tokenizer is at work.

    Without it, RoBERTa would read every word of a list as the continuation of the one before.
    """
    if isinstance(definition, list):
        return [_with_space_before_words(part) for part in definition]
    if not isinstance(definition, dict):
        return definition
    if "pre_tokenizer" in definition:
        part = _with_space_before_words(definition["pre_tokenizer"])
        return definition | {"pre_tokenizer": part}
    if "pretokenizers" in definition:
        return definition | {"pretokenizers": _with_space_before_words(definition["pretokenizers"])}
    is_byte_level = definition.get("type") == "ByteLevel"
    return definition | {"add_prefix_space": True} if is_byte_level else definition


def _sha256(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()

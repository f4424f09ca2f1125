"""Sentences that are in two data sets at once, told by their text without case and punctuation.

A test sentence in the training text makes a result look better than it is. Texts are compared by
digest, so a test set of any size takes a few bytes a sentence.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Set
from typing import Any

from xbench.data.words import words_of

FEWEST_WORDS = 5  # "Thank you very much." is in every corpus, and means nothing
DIGEST = 16  # bytes


def normalised(text: str) -> str:
    """NFKC, case folded, without punctuation and symbols, single spaces between words.

    Combining marks stay: in many scripts they are vowels.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    kept = ["" if unicodedata.category(c)[0] in "PSC" and not c.isspace() else c for c in folded]
    return " ".join("".join(kept).split())


def digest(text: str) -> bytes | None:
    """16 bytes that stand for the normalised text; None for one too short to tell anything by.

    Too short are fewer than five words, or characters in a script without spaces.
    """
    plain = normalised(text)
    if len(words_of(plain)) < FEWEST_WORDS:
        return None
    # Spaces are left out: the same sentence may be cut into words in two ways.
    return hashlib.blake2b(plain.replace(" ", "").encode("utf-8"), digest_size=DIGEST).digest()


def digests(texts: Iterable[str]) -> set[bytes]:
    """The digests of all texts that are long enough."""
    return {found for text in texts if (found := digest(text)) is not None}


def is_known(text: str, known: Set[bytes]) -> bool:
    """Whether the text is among those that the digests stand for."""
    found = digest(text)
    return found is not None and found in known


def texts_of(record: Any) -> Iterator[str]:
    """The texts of a record of :mod:`xbench.api.examples`, whatever its kind."""
    if hasattr(record, "words"):
        yield getattr(record, "surface", "") or " ".join(record.words)
    for name in ("text", "second", "source", "target"):
        value = getattr(record, name, None)
        if isinstance(value, str):
            yield value

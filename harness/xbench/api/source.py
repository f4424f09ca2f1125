"""Where data comes from: a corpus, a treebank, a generator."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from xbench.api.language import Language


class MissingData(Exception):
    """The source has nothing for this language, pair or split; the message says what and where."""


class Source:
    """A reader bound to a place; the suite binds sources to tasks and to the alignment corpus.

    ``place`` is the root of a data folder (``--data``); generators ignore it.
    A source yields records of :mod:`xbench.api.examples`.
    ``fingerprint`` identifies the content that ``read`` would give, without reading more than it
    must: it becomes part of every key that depends on the data.
    """

    version: ClassVar[int] = 1
    needs_place: ClassVar[bool] = True

    def __init__(self, place: Path | None = None, **options: Any) -> None:
        self.place = place
        self.options = options

    def fingerprint(self, languages: Sequence[Language], split: str) -> Mapping[str, Any]:
        """JSON-able identity of the content (digests of files, or a generator's settings).

        ``languages`` holds one language, or the two of a pair.
        Raises :class:`MissingData` where there is nothing to read.
        """
        raise NotImplementedError

    def read(self, languages: Sequence[Language], split: str) -> Iterator[Any]:
        """The records, in the corpus' order. Raises ``ValueError`` naming file and line if damaged."""
        raise NotImplementedError

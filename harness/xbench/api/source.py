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
    ``languages_per_read`` is 2 for parallel text. A source that ``reads_hub`` also reads what the
    registry's data set of its name has on the hub: ``place`` is then the fetched folder, and
    ``hub_files`` the template of its file names, where ``hub_splits`` translates names of splits.
    A source yields records of :mod:`xbench.api.examples`.
    ``parallel`` says that an id means the same item in every language: intervals then draw it in all
    languages at once, and elsewhere each language's items are its own.
    ``fingerprint`` identifies the content that ``read`` would give, without reading more than it
    must: it becomes part of every key that depends on the data.
    """

    version: ClassVar[int] = 1
    needs_place: ClassVar[bool] = True
    languages_per_read: ClassVar[int] = 1
    parallel: ClassVar[bool] = False
    reads_hub: ClassVar[bool] = False
    hub_splits: ClassVar[Mapping[str, str]] = {}
    hub_files: str | None = None

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

    def notes(self, languages: Sequence[Language], split: str) -> Sequence[str]:
        """What a person should know of how the files are read: what is left out or taken off."""
        return ()

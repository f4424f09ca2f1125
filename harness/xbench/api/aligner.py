"""A word aligner: it finds which words of a sentence pair translate each other."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor


@dataclass(frozen=True)
class WordSide:
    """One sentence of a pair: its words and, for an aligner that needs ``states``, its subwords.

    ``states`` [n, D] are the subwords' float32 states at the aligner's ``depth``; ``owner`` [n]
    int64 is the word that each belongs to.
    """

    words: tuple[str, ...]
    states: Tensor
    owner: Tensor


@dataclass(frozen=True)
class WordPair:
    """What an aligner sees of a sentence pair.

    ``dictionary`` maps a lower-cased source word to its translations, for an aligner that needs
    it; ``given`` are links that the corpus itself states.
    """

    source: WordSide
    target: WordSide
    dictionary: Mapping[str, Collection[str]]
    given: tuple[tuple[int, int], ...] = ()


class Aligner:
    """Word links for a sentence pair. Links are found once for a corpus and kept as a stage.

    ``needs`` is what it looks at: ``states``, ``dictionary``, or nothing but ``given``. The states
    are those of the untouched encoder at ``config.depth`` (without such a field, its last layer).
    """

    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"states"})
    sources: ClassVar[Mapping[str, str]] = {}

    @dataclass(frozen=True)
    class Config:
        """No settings."""

    def __init__(self, config: Any = None) -> None:
        self.config: Any = config if config is not None else self.Config()

    def align(self, pair: WordPair) -> Sequence[tuple[int, int]]:
        """(word of the source, word of the target), ascending, each once; empty where none is found."""
        raise NotImplementedError

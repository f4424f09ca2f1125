"""The links that the corpus itself states."""

from collections.abc import Sequence

from xbench.api.aligner import Aligner, WordPair


class Given(Aligner):
    """The corpus' own links, as generated text or a hand-aligned corpus has them.

    A corpus that states none yields none. A link is (word of the source, word of the target), both
    counted from 0 in ``WordSide.words``.
    """

    needs = frozenset[str]()

    def align(self, pair: WordPair) -> Sequence[tuple[int, int]]:
        """The stated links, in order. Raises ``ValueError`` at a link to a word that is not there."""
        sizes = (len(pair.source.words), len(pair.target.words))
        for link in pair.given:
            for word, size, side in zip(link, sizes, ("source", "target"), strict=True):
                if not 0 <= word < size:
                    raise ValueError(
                        f"the corpus links {link[0]}-{link[1]}, but the {side} has {size} words: its "
                        f"links do not count words from 0, or count other words than white space parts"
                    )
        return sorted(set(pair.given))

"""Bilingual dictionaries: MUSE, and Apertium's for English and Kazakh."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from xbench.api import Language, MissingData, ParallelText
from xbench.data.bitext import Pairs
from xbench.data.files import find, read_lines
from xbench_plugins.sources.folder import FolderSource

SPLITS = {"train": "0-5000", "test": "5000-6500"}


class Muse(FolderSource):
    """MUSE (Lample et al. 2018), ``<place>/muse/de-en.0-5000.txt``: the training part is train.

    A record is a word and one of its translations, as printed in the file.
    """

    name = "muse"
    languages_per_read = 2

    def files(self, root: Path, languages: Sequence[Language], split: str) -> list[Path]:
        if split not in SPLITS:
            raise MissingData(f"muse has no {split} split; it has {', '.join(SPLITS)}")
        first, second = (self.resource(one) for one in languages)
        name = f"{first}-{second}.{SPLITS[split]}.txt"
        found = find(root / "muse", name)
        if found is None:
            raise MissingData(f"muse has no {name} (plain or .gz) in {root / 'muse'}")
        return [found]

    def records(
        self, files: Sequence[Path], languages: Sequence[Language]
    ) -> Iterator[ParallelText]:
        return word_pairs(files[0])


class Apertium(FolderSource):
    """Apertium's English-Kazakh dictionary, ``<place>/lexicon/en-kk.txt``, in either direction.

    Single words, one translation a line, not in the order of frequency.
    """

    name = "apertium"
    languages_per_read = 2

    def files(self, root: Path, languages: Sequence[Language], split: str) -> list[Path]:
        if split != "train":
            raise MissingData(f"apertium has no {split} split; it has train")
        first, second = (self.resource(one) for one in languages)
        for name in (f"{first}-{second}.txt", f"{second}-{first}.txt"):
            found = find(root / "lexicon", name)
            if found is not None:
                return [found]
        raise MissingData(
            f"apertium has no dictionary of {first} and {second} in {root / 'lexicon'}"
        )

    def records(
        self, files: Sequence[Path], languages: Sequence[Language]
    ) -> Iterator[ParallelText]:
        turned = not files[0].name.startswith(f"{self.resource(languages[0])}-")
        return word_pairs(files[0], turned)


def word_pairs(path: Path, turned: bool = False) -> Pairs:
    """A word and its translation from each line, parted by a tab where there is one, else by a space.

    Other white space is part of a word: a no-break space, say. Blank lines, and entries of which a
    side is several words, are left out and counted (``skipped``). ``turned``: the second word first.
    """

    def entries() -> Iterator[tuple[int, str, str]]:
        for number, line in enumerate(read_lines(path), 1):
            first, second = _entry(line)
            yield (number, second, first) if turned else (number, first, second)

    return Pairs(entries())


def _entry(line: str) -> tuple[str, str]:
    """The two words of a line; empty ones where it is no entry of single words."""
    parts = line.strip(" ").split("\t" if "\t" in line else " ")
    words = [part.strip(" ") for part in parts if part.strip(" ")]
    if len(words) != 2 or any(" " in word for word in words):
        return "", ""
    return words[0], words[1]

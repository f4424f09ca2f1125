"""Bilingual dictionaries: MUSE, and Apertium's for English and Kazakh."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from xbench.api import Language, MissingData, ParallelText
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
        for record in word_pairs(files[0]):
            yield record if not turned else ParallelText(record.target, record.source, record.id)


def word_pairs(path: Path) -> Iterator[ParallelText]:
    """A word and its translation from each line. Raises ``ValueError`` naming file and line."""
    for number, line in enumerate(read_lines(path), 1):
        words = line.split()
        if len(words) != 2:
            raise ValueError(f"{path}, line {number}: not two words: {line.strip()!r}")
        yield ParallelText(words[0], words[1], id=str(number))

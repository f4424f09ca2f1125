"""MUSE bilingual dictionaries."""

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
        for number, line in enumerate(read_lines(files[0]), 1):
            words = line.split()
            if len(words) != 2:
                raise ValueError(f"{files[0]}, line {number}: not two words: {line.strip()!r}")
            yield ParallelText(words[0], words[1], id=str(number))

"""Test sets of parallel sentences: FLORES-200, NTREX-128, Tatoeba. Never trained on."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from xbench.api import Language, MissingData, ParallelText
from xbench.data.bitext import read_test_pairs
from xbench.data.files import find
from xbench_plugins.sources.folder import FolderSource


class ParallelSentences(FolderSource):
    """One file for each language, line by line the same sentences; read two languages at a time."""

    languages_per_read = 2
    splits: ClassVar[tuple[str, ...]] = ("test",)

    def records(
        self, files: Sequence[Path], languages: Sequence[Language]
    ) -> Iterator[ParallelText]:
        return read_test_pairs(files[0], files[1])

    def one(self, folder: Path, *patterns: str) -> Path:
        """The one file of these names; raises :class:`MissingData`."""
        found = find(folder, *patterns)
        if found is None:
            raise MissingData(
                f"{self.name} is not complete here: no {' or '.join(patterns)} (plain or .gz) in "
                f"{folder}; put the data set's file there"
            )
        return found

    def check_split(self, split: str) -> None:
        """Raises :class:`MissingData` for a split that the data set has not."""
        if split not in self.splits:
            raise MissingData(f"{self.name} has no {split} split; it has {', '.join(self.splits)}")


class Flores200(ParallelSentences):
    """FLORES-200 (NLLB Team 2022), ``<place>/flores200/devtest/deu_Latn.devtest``; test is devtest."""

    name = "flores200"
    splits = ("dev", "test")

    def files(self, root: Path, languages: Sequence[Language], split: str) -> list[Path]:
        self.check_split(split)
        part = "devtest" if split == "test" else split
        folder = root / "flores200" / part
        return [self.one(folder, f"{self.resource(one)}.{part}") for one in languages]


class Ntrex128(ParallelSentences):
    """NTREX-128 (Federmann et al. 2022), ``<place>/ntrex128/newstest2019-ref.deu.txt``.

    The English side is the source text, ``newstest2019-src.eng.txt``.
    """

    name = "ntrex128"

    def files(self, root: Path, languages: Sequence[Language], split: str) -> list[Path]:
        self.check_split(split)
        names = [self.resource(one) for one in languages]
        return [
            self.one(root / "ntrex128", f"newstest2019-ref.{n}.txt", f"newstest2019-src.{n}.txt")
            for n in names
        ]


class Tatoeba(ParallelSentences):
    """The Tatoeba test sets of LASER (Artetxe & Schwenk 2019), each language with English.

    ``<place>/tatoeba/v1/tatoeba.deu-eng.deu``: the English side differs from pair to pair.
    """

    name = "tatoeba"

    def files(self, root: Path, languages: Sequence[Language], split: str) -> list[Path]:
        self.check_split(split)
        names = [self.resource(one) for one in languages]
        others = [name for name in names if name != "eng"]
        if len(others) != 1:
            raise MissingData(
                f"tatoeba pairs languages with English only, not {' and '.join(names)}"
            )
        pair = f"tatoeba.{others[0]}-eng"
        return [self.one(root / "tatoeba" / "v1", f"{pair}.{name}") for name in names]

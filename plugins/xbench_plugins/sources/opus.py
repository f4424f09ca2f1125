"""OPUS corpora as Moses files, as the collection's own downloads unpack to."""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from xbench.api import Language, MissingData, ParallelText
from xbench.data.bitext import Pairs, aligned_lines
from xbench.data.files import find_all, name_without_gzip
from xbench_plugins.sources.folder import FolderSource


class Opus(FolderSource):
    """All corpora of a pair in a folder: ``GNOME.de-en.de`` and ``GNOME.de-en.en``, plain or .gz.

    They are read one after the other, in the order of their names (or of the option ``corpora``,
    which chooses some). A record's id begins with the corpus' name. Option ``folder``: below the
    place. Source: Tiedemann 2012, https://opus.nlpl.eu.
    """

    name = "opus"
    languages_per_read = 2
    defaults = {"folder": "parallel/opus", "corpora": None}

    def files(self, root: Path, languages: Sequence[Language], split: str) -> list[Path]:
        folder = root / self.options["folder"]
        if split != "train":
            raise MissingData(f"the OPUS corpora in {folder} are for training only, not {split}")
        there = {name_without_gzip(path): path for path in find_all(folder, "*")}
        found: dict[str, list[Path]] = {}
        for first, second in product(*map(_names, languages)):
            for pair in (f"{first}-{second}", f"{second}-{first}"):
                for name in there:
                    corpus, dot, _ = name.partition(f".{pair}.")
                    sides = [there.get(f"{corpus}.{pair}.{side}") for side in (first, second)]
                    if dot and sides[0] and sides[1]:
                        found[corpus] = [sides[0], sides[1]]
        wanted = self.options["corpora"] or sorted(found)
        lacking = [corpus for corpus in wanted if corpus not in found]
        if lacking or not found:
            pair = "-".join(one.iso639_1 or one.code for one in languages)
            what = ", ".join(lacking) or "no corpus"
            raise MissingData(
                f"OPUS: {what} for {pair} in {folder} (files as CORPUS.{pair}.XX); get the Moses "
                f"files from https://opus.nlpl.eu and unpack them there"
            )
        return [path for corpus in wanted for path in found[corpus]]

    def records(
        self, files: Sequence[Path], languages: Sequence[Language]
    ) -> Iterator[ParallelText]:
        return Pairs(
            (f"{name_without_gzip(first).split('.')[0]}:{number}", source, target)
            for first, second in zip(files[::2], files[1::2], strict=True)
            for number, source, target in aligned_lines(first, second)
        )


def _names(language: Language) -> list[str]:
    names = (language.iso639_1, language.code, language.code.split("_")[0])
    return [name for name in dict.fromkeys(names) if name]

"""Universal Dependencies treebanks in their own folders, ``<place>/ud/UD_German-GSD``."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from xbench.api import Language, MissingData, TaggedSentence
from xbench.data.conllu import read_conllu
from xbench.data.files import DataError, find_all, name_without_gzip
from xbench_plugins.sources.folder import FolderSource


class UniversalDependencies(FolderSource):
    """Sentences as syntactic words with universal part-of-speech tags.

    A language's id is the treebank's folder. The files of a split are those that Universal
    Dependencies names ``*-ud-SPLIT.conllu``, plain or gzip; a large treebank has several
    (``de_hdt-ud-train-a-1.conllu``), which are read in the order of their names.
    """

    name = "universal-dependencies"

    def files(self, root: Path, languages: Sequence[Language], split: str) -> list[Path]:
        treebank = self.resource(languages[0])
        folder = root / "ud" / treebank
        found = find_all(folder, f"*-ud-{split}.conllu", f"*-ud-{split}-*.conllu")
        if not found:
            there = map(name_without_gzip, find_all(folder, "*-ud-*.conllu"))
            raise MissingData(
                f"{treebank} ({languages[0].name}) has no {split} split here: no "
                f"*-ud-{split}.conllu or .conllu.gz in {folder} "
                f"(there: {', '.join(there) or 'nothing'}); "
                "put the treebank's file into that folder"
            )
        whole = [path for path in found if f"-ud-{split}.conllu" in path.name]
        if len(whole) > 1 or (whole and len(found) > 1):
            raise DataError(
                f"{folder} holds the {split} split more than once: "
                f"{', '.join(map(name_without_gzip, found))}; leave one treebank there"
            )
        return found

    def records(
        self, files: Sequence[Path], languages: Sequence[Language]
    ) -> Iterator[TaggedSentence]:
        return chain.from_iterable(map(read_conllu, files))

"""Universal Dependencies treebanks in their own folders, ``<place>/ud/UD_German-GSD``."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from xbench.api import Language, MissingData, TaggedSentence
from xbench.data.conllu import read_conllu
from xbench.data.files import find, name_without_gzip
from xbench_plugins.sources.folder import FolderSource


class UniversalDependencies(FolderSource):
    """Sentences as syntactic words with universal part-of-speech tags.

    A language's id is the treebank's folder. The file of a split is the one that Universal
    Dependencies names ``*-ud-SPLIT.conllu``, plain or gzip.
    """

    name = "universal-dependencies"

    def files(self, root: Path, languages: Sequence[Language], split: str) -> list[Path]:
        treebank = self.resource(languages[0])
        folder = root / "ud" / treebank
        found = find(folder, f"*-ud-{split}.conllu")
        if found is None:
            there = sorted(name_without_gzip(path) for path in folder.glob("*-ud-*.conllu*"))
            raise MissingData(
                f"{treebank} ({languages[0].name}) has no {split} split here: no "
                f"*-ud-{split}.conllu or .conllu.gz in {folder} "
                f"(there: {', '.join(there) or 'nothing'}); "
                "put the treebank's file into that folder"
            )
        return [found]

    def records(
        self, files: Sequence[Path], languages: Sequence[Language]
    ) -> Iterator[TaggedSentence]:
        return read_conllu(files[0])

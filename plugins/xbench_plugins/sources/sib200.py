"""SIB-200 topic classification, ``<place>/sib200/deu_Latn/test.tsv`` (Adelani et al., 2024)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from xbench.api import LabelledText, Language, MissingData
from xbench.data.files import find
from xbench.data.parquet import labelled_rows
from xbench.data.tsv import SIB200_LABELS, read_sib200
from xbench_plugins.sources.folder import FolderSource
from xbench_plugins.sources.labels import LABELS


class Sib200(FolderSource):
    """Sentences with one of seven topics. A language's id is its FLORES-200 code.

    Option ``labels`` maps topics of the files to the task's.
    """

    name = "sib200"
    reads_hub = True
    parallel = True
    hub_splits = {"dev": "validation"}
    defaults = {"labels": LABELS}

    def files(self, root: Path, languages: Sequence[Language], split: str) -> list[Path]:
        folder = root / "sib200" / self.resource(languages[0])
        found = find(folder, f"{split}.tsv")
        if found is None:
            raise MissingData(
                f"SIB-200 has no {split} split for {languages[0].name} here: no {split}.tsv or "
                f"{split}.tsv.gz in {folder}; put the data set's file into that folder"
            )
        return [found]

    def records(
        self, files: Sequence[Path], languages: Sequence[Language]
    ) -> Iterator[LabelledText]:
        if self.hub_files:
            return labelled_rows(files, text="text", label="category", name="index_id")
        return read_sib200(files[0], (*SIB200_LABELS, *self.options["labels"]))

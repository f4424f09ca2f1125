"""What the sources with one file for each split and language have in common."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from xbench.api import Language, MissingData
from xbench.data.files import find, find_all, name_without_gzip
from xbench_plugins.sources.cut import Cut
from xbench_plugins.sources.folder import FolderSource
from xbench_plugins.sources.labels import LABELS


class SplitFiles(FolderSource):
    """Reads ``<place>/FOLDER/NAME``, where a name has ``{split}`` and ``{id}``.

    Option ``cut`` makes splits of a file that is there when others are not, say for a trial::

        suites: {paper: {tasks: {xnli: {source: xnli, options:
          {cut: {dev: {train: 0.6, dev: 0.1, test: 0.3}}}}}}}

    Results on such splits are not comparable with anybody's. They are part of every key, and the
    number of an item is its row in the file that was cut.

    Option ``labels`` maps labels of the files to the task's, ``{labels: {MISC: O}}``.
    """

    defaults: ClassVar[Mapping[str, Any]] = {"cut": {}, "labels": LABELS}
    folder: ClassVar[str]
    names: ClassVar[tuple[str, ...]] = ("{split}-{id}.tsv",)
    file_splits: ClassVar[Mapping[str, str]] = {}
    rows_together: ClassVar[int] = 1
    """How many rows in a row belong together, and are not cut apart."""

    def __init__(self, place: Path | None = None, **options: Any) -> None:
        super().__init__(place, **options)
        self._cut = Cut(self.options["cut"])

    def files(self, root: Path, languages: Sequence[Language], split: str) -> list[Path]:
        folder = root / self.folder
        split_name = self.file_splits.get(split, split)
        names = [
            name.replace("{split}", split_name).replace("{id}", self.resource(languages[0]))
            for name in self.names
        ]
        found = find(folder, *names)
        if found is None:
            there = sorted(name_without_gzip(path) for path in find_all(folder, "*"))
            raise MissingData(
                f"{self.name} has no {split} split for {languages[0].name} here: no "
                f"{' or '.join(names)} (plain or .gz) in {folder} (there: "
                f"{', '.join(there) or 'nothing'}); {self._way_out()}"
            )
        return [found]

    def fetched(self, root: Path, languages: Sequence[Language], split: str) -> list[Path]:
        if self.options["cut"]:
            raise ValueError(
                f"{self.name}: the option cut is for files in a data folder (--data DIR); the hub "
                "has all splits, so leave it out"
            )
        return super().fetched(root, languages, split)

    def fingerprint(self, languages: Sequence[Language], split: str) -> Mapping[str, Any]:
        file = self._cut.file_of(split)
        content = dict(super().fingerprint(languages, file))
        return {**content, "part": split} if file in self._cut.shares else content

    def read(self, languages: Sequence[Language], split: str) -> Iterator[Any]:
        file = self._cut.file_of(split)
        records = super().read(languages, file)
        if file not in self._cut.shares:
            return records
        return (
            record
            for row, record in enumerate(records)
            if self._cut.part(file, row // self.rows_together) == split
        )

    def _way_out(self) -> str:
        local = "put the file there, or cut one that is there with the option cut"
        if not self.reads_hub:
            return local
        return f"{local}; without --data (or XBENCH_DATA) the hub's copy is fetched, which has it"

"""What the sources that read files in a data folder have in common."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from xbench.api import Language, MissingData, Source
from xbench.data.files import digest, is_hidden, name_without_gzip
from xbench_plugins.sources.labels import relabelled


class FolderSource(Source):
    """Reads files below ``place``; subclasses say which (``files``) and how (``records``).

    The fingerprint holds the files' names relative to the place, without ``.gz``, and the digests
    of their uncompressed content: moving, packing or unpacking the data changes nothing.
    """

    name: ClassVar[str]
    defaults: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, place: Path | None = None, **options: Any) -> None:
        if unknown := sorted(set(options) - set(self.defaults)):
            raise ValueError(
                f"source {self.name!r} has no option {', '.join(unknown)}; "
                f"it knows {', '.join(self.defaults) or 'none'}"
            )
        super().__init__(Path(place) if place else None, **(dict(self.defaults) | options))

    def files(self, root: Path, languages: Sequence[Language], split: str) -> list[Path]:
        """The files to read, in a fixed order; raises :class:`MissingData`."""
        raise NotImplementedError

    def records(self, files: Sequence[Path], languages: Sequence[Language]) -> Iterator[Any]:
        """The records that are in ``files``."""
        raise NotImplementedError

    def fingerprint(self, languages: Sequence[Language], split: str) -> Mapping[str, Any]:
        root = self._root()
        files = self._checked_files(root, languages, split)
        options = {name: value for name, value in self.options.items() if name != "labels" or value}
        named = [path.with_name(name_without_gzip(path)).relative_to(root) for path in files]
        return {
            "source": self.name,
            "languages": [language.code for language in languages],
            "options": options,
            "files": [
                {"name": name.as_posix(), "sha256": digest(path)}
                for name, path in zip(named, files, strict=True)
            ],
        }

    def read(self, languages: Sequence[Language], split: str) -> Iterator[Any]:
        records = self.records(self._checked_files(self._root(), languages, split), languages)
        labels = self.options.get("labels")
        return (relabelled(record, labels) for record in records) if labels else records

    def resource(self, language: Language) -> str:
        """The language's id in this source; raises :class:`MissingData` where it has none."""
        if self.name not in language.resources:
            instead = language.stand_in.get(self.name)
            raise MissingData(
                f"{self.name} has no data for {language.name}: the registry "
                "gives the language no id there; "
                + (f"in its place stands {instead}; " if instead else "")
                + f"if you have such data, add {self.name}: ID to the language's resources"
            )
        return language.resources[self.name]

    def _root(self) -> Path:
        if self.place is None:
            raise MissingData(
                f"{self.name} reads local files and was given no data folder; "
                "pass --data DIR or set XBENCH_DATA"
            )
        return self.place

    def _checked_files(self, root: Path, languages: Sequence[Language], split: str) -> list[Path]:
        if len(languages) != self.languages_per_read:
            raise ValueError(
                f"source {self.name!r} reads {self.languages_per_read} language(s) at a time, "
                f"not {len(languages)}"
            )
        if self.hub_files:
            return self.fetched(root, languages, split)
        return self.files(root, languages, split)

    def fetched(self, root: Path, languages: Sequence[Language], split: str) -> list[Path]:
        """The files of a folder that was fetched from the hub, by its own names."""
        assert self.hub_files is not None
        wanted = self.hub_splits.get(split, split)
        named = self.hub_files.replace("{split}", wanted)
        found = []
        for language in languages:
            pattern = named.replace("{id}", self.resource(language))
            matches = sorted(path for path in root.glob(pattern) if not is_hidden(path))
            if not matches:
                raise MissingData(
                    f"{self.name} has no {split} split for {language.name} among the files fetched "
                    f"from the hub: no {pattern} in {root}"
                )
            found += matches
        return found

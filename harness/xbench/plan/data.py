"""Which data a stage reads: opened, identified by content, and noted where it is not here."""

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from xbench.api.language import Language
from xbench.api.source import MissingData, Source
from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.discovery import PluginError
from xbench.catalogue.hub import NotHere, Wanted, commit_of, fetch, patterns_of
from xbench.catalogue.identity import component
from xbench.catalogue.registry import Binding
from xbench.errors import XbenchError
from xbench.files import documentation
from xbench.keys import canonical
from xbench.plan.graph import Plan
from xbench.plan.records import DataId, DataPlace


class Data:
    """The data of a plan. With ``tentative`` a name stands for what is not on this machine."""

    def __init__(self, plan: Plan, catalogue: Catalogue, offline: bool, tentative: bool) -> None:
        self._plan = plan
        self._catalogue = catalogue
        self._offline = offline
        self._tentative = tentative
        self._fetched: dict[str, tuple[str, str]] = {}
        folder = plan.spec.data or os.environ.get("XBENCH_DATA")
        self._place = Path(folder).expanduser().resolve() if folder else None
        if self._place is not None and not self._place.is_dir():
            raise XbenchError(f"The data folder {folder} does not exist.")
        # The same few files stand behind thousands of stages.
        self._known = lru_cache(maxsize=None)(self._identify)

    def identity(self, binding: Binding, codes: Sequence[str], split: str) -> DataId:
        """What the source gives for a language, or the two of a pair; raises :class:`MissingData`."""
        return self._known(written(binding), tuple(codes), split)

    def dictionary(
        self, bindings: Sequence[Binding], codes: Sequence[str]
    ) -> tuple[DataId, DataPlace] | None:
        """(identity, where it lies) of the first dictionary of a pair that there is; else None."""
        for binding in bindings:
            with suppress(MissingData, NotHere):
                return self.identity(binding, codes, "train"), self.where(binding, codes)
        return None

    def guard(self, binding: Binding, codes: Sequence[str]) -> DataId:
        """Test data that alignment text is cleared of; as :meth:`identity`, and :class:`NotHere`."""
        return self.identity(binding, codes, "test")

    def where(self, binding: Binding, codes: Sequence[str], task: str | None = None) -> DataPlace:
        """What a worker needs to open the same source again; no part of a key."""
        fetched = self._fetched.get(written(binding))
        place = fetched[0] if fetched else str(self._place) if self._place else None
        files = fetched[1] if fetched else None
        return DataPlace(binding.source, binding.options, place, files, tuple(codes), task)

    def _identify(self, written: str, codes: tuple[str, ...], split: str) -> DataId:
        binding = Binding.model_validate_json(written)
        languages = [self._catalogue.languages.get(code) for code in codes]
        try:
            source = self._open(binding, languages, split)
        except NotHere as error:
            if not self._tentative:
                raise
            return self._unresolved(binding, languages, split, error)
        try:
            content = dict(source.fingerprint(languages, split))
            canonical(content)
        except ValueError as error:  # a damaged file: the message says which
            raise XbenchError(str(error)) from error
        except TypeError as error:
            raise PluginError(
                f"The fingerprint of source {binding.source!r} cannot be part of a key: {error}"
            ) from error
        plugin = self._catalogue.discovery.table.get("sources", binding.source)
        return DataId(
            split=split, source=component(plugin), options=binding.options, content=content
        )

    def _open(self, binding: Binding, languages: list[Language], split: str) -> Source:
        """The bound source: on the data folder, or on what was fetched from the hub."""
        found = hub_files(binding, languages, (split,), self._catalogue)
        if self._place is not None or found is None:
            return open_source(binding, self._place, self._catalogue)
        folder = fetch(found[0], self._offline)
        commit = commit_of(folder)
        if commit:
            self._plan.resolved[found[0].repository] = commit
        self._fetched[written(binding)] = (str(folder), found[1])
        return open_source(binding, folder, self._catalogue, found[1])

    def _unresolved(
        self, binding: Binding, languages: list[Language], split: str, error: NotHere
    ) -> DataId:
        """Stands for data that is not here; what the registry knows to be missing is missing."""
        what = f"the data of source {binding.source}:"
        if not any(known.startswith(what) for known in self._plan.unresolved):
            self._plan.unresolved.append(f"{what} {error}")
        self.require_known(binding, languages)
        codes = tuple(one.code for one in languages)
        return DataId(split=split, unresolved=binding.source, languages=codes)

    def require_known(self, binding: Binding, languages: Sequence[Language]) -> None:
        """Raises :class:`MissingData` where the registry has the data set, and not the languages."""
        known = binding.source in self._catalogue.registry.datasets
        lacking = [one.code for one in languages if binding.source not in one.resources]
        if known and lacking:
            raise MissingData(f"{binding.source} has no data for {', '.join(lacking)}")


def written(binding: Binding) -> str:
    """A name for a binding: source and options; what else a suite says of it (a split) is elsewhere."""
    return canonical({"source": binding.source, "options": binding.options})


def open_source(
    binding: Binding, place: Path | None, catalogue: Catalogue, hub_files: str | None = None
) -> Source:
    """The source that a suite binds, at the data folder; raises where it needs one and has none.

    ``hub_files`` says how files are named where the folder was fetched from the hub.
    """
    source_class = catalogue.load("sources", binding.source)
    if source_class.needs_place and place is None:
        entry = catalogue.registry.datasets.get(binding.source)
        where = f" The data set's home: {entry.homepage}." if entry and entry.homepage else ""
        raise NotHere(
            f"The data of source {binding.source!r} is not here. Pass a folder that holds it: "
            f"--data DIR (or XBENCH_DATA); {documentation('data.md')} says how it lies there.{where}"
        )
    try:
        source: Source = source_class(place, **binding.options)
    except (TypeError, ValueError) as error:
        raise XbenchError(f"The options of source {binding.source!r}: {error}") from error
    source.hub_files = hub_files
    return source


def open_at(place: DataPlace, catalogue: Catalogue) -> Source:
    """The source that :meth:`Data.where` described."""
    folder = Path(place.folder) if place.folder else None
    binding = Binding(source=place.source, options=dict(place.options))
    return open_source(binding, folder, catalogue, place.hub_files)


def hub_files(
    binding: Binding, languages: Sequence[Language], splits: Sequence[str], catalogue: Catalogue
) -> tuple[Wanted, str] | None:
    """(what to fetch for these languages, the template of file names); None where the hub has none.

    A source reads from the hub what the registry's data set of its name says is there.
    """
    entry = catalogue.registry.datasets.get(binding.source)
    source_class = catalogue.load("sources", binding.source)
    if entry is None or entry.hub_id is None or not entry.files or not source_class.reads_hub:
        return None
    ids = [one.resources[binding.source] for one in languages if binding.source in one.resources]
    names = [source_class.hub_splits.get(split, split) for split in splits]
    patterns = patterns_of(entry.files, ids, names)
    return Wanted(entry.hub_id, "dataset", patterns, entry.revision, entry.branch), entry.files

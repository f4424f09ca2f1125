"""registry.yaml -> a typed catalogue of models, data sets, languages, suites and published values.

A file of the user's own extends it: ``xbench-registry.yaml`` in the working directory, or the one
that ``XBENCH_REGISTRY`` names.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from xbench.catalogue.registry.entries import (
    Binding,
    Composition,
    CompositionPart,
    DatasetEntry,
    LanguageEntry,
    ModelEntry,
    PublishedTable,
    Registry,
    RetrievalGroup,
    SuiteEntry,
)
from xbench.catalogue.registry.reading import read_registry
from xbench.catalogue.registry_files import overlay_paths, registry_files, registry_path

__all__ = [
    "Binding",
    "Composition",
    "CompositionPart",
    "DatasetEntry",
    "LanguageEntry",
    "ModelEntry",
    "PublishedTable",
    "Registry",
    "RetrievalGroup",
    "SuiteEntry",
    "load_registry",
    "overlay_paths",
    "plain",
    "registry_path",
    "sources",
]


def load_registry(path: Path | None = None) -> Registry:
    """Read and check the catalogue with its overlays (with ``path``: that file alone).

    Raises :class:`XbenchError` naming file, line and field.
    """
    files = (path,) if path is not None else registry_files()
    return _read(*((file, file.stat().st_mtime_ns) for file in files))


@lru_cache(maxsize=4)
def _read(*files: tuple[Path, int]) -> Registry:
    base, *overlays = (path for path, _ in files)
    return read_registry(base, overlays)


def plain(values: Any) -> Any:
    """Settings without their sources: ``{value, source}`` becomes the value, at any depth."""
    if isinstance(values, Mapping):
        if set(values) == {"value", "source"}:
            return values["value"]
        return {name: plain(value) for name, value in values.items()}
    return values


def sources(values: Any, prefix: str = "") -> dict[str, str]:
    """Dotted setting name -> who stated its value, where the registry says so."""
    found: dict[str, str] = {}
    if isinstance(values, Mapping):
        if set(values) == {"value", "source"}:
            return {prefix: str(values["source"])}
        for name, value in values.items():
            found |= sources(value, f"{prefix}.{name}" if prefix else str(name))
    return found

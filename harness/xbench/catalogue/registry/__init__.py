"""registry.yaml -> a typed catalogue of models, data sets, languages, suites and published values.

A file of the user's own extends it: ``xbench-registry.yaml`` in the working directory, or the one
that ``XBENCH_REGISTRY`` names.
"""

import importlib.util
import os
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
from xbench.errors import XbenchError

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

OVERLAY = "xbench-registry.yaml"


def registry_path() -> Path:
    """Where the catalogue lies: in the installed package, or at the top of a source checkout."""
    spec = importlib.util.find_spec("xbench")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    for path in (package / "registry.yaml", package.parent.parent / "registry.yaml"):
        if path.is_file():
            return path
    raise XbenchError(f"registry.yaml is missing beside {package}: reinstall xbench")


def overlay_paths() -> tuple[Path, ...]:
    """The user's own files. Raises where ``XBENCH_REGISTRY`` names one that is not there."""
    named = os.environ.get("XBENCH_REGISTRY")
    if named:
        path = Path(named).expanduser().resolve()
        if not path.is_file():
            raise XbenchError(f"XBENCH_REGISTRY names {path}, which is not there.")
        return (path,)
    local = Path(OVERLAY).resolve()
    return (local,) if local.is_file() else ()


def load_registry(path: Path | None = None) -> Registry:
    """Read and check the catalogue with its overlays (with ``path``: that file alone).

    Raises :class:`XbenchError` naming file, line and field.
    """
    files = (path,) if path is not None else (registry_path(), *overlay_paths())
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

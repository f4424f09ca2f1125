"""The files of the registry as they are written: where they lie, and their content merged, unchecked.

Light enough for a list of names in a quarter of a second; :mod:`xbench.catalogue.registry` checks
the content, which takes a library that is slow to import.
"""

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xbench.catalogue.yamlfile import Document, read_document
from xbench.errors import XbenchError

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


def registry_files() -> tuple[Path, ...]:
    """The catalogue's own file, then the user's, each changing what stands in those before it."""
    return (registry_path(), *overlay_paths())


def read_documents(files: Sequence[Path]) -> tuple[list[Document], dict[str, Any]]:
    """Each file, and their content merged in that order. Raises where one is no YAML mapping."""
    documents = [read_document(path, "registry") for path in files]
    content: dict[str, Any] = {}
    for document in documents:
        content = merge(content, document.content)
    return documents, content


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are merged by name at every depth; anything else is replaced.

    A setting with its source, ``{value, source}``, is replaced as a whole.
    """
    merged = dict(below)
    for name, value in above.items():
        old = merged.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        settings = any(isinstance(v, Mapping) and "value" in v for v in (old, value))
        merged[name] = merge(old, value) if both and not settings else value  # type: ignore[arg-type]
    return merged

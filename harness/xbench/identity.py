"""What identifies a component in a key: name, version, distribution, and code where it is editable."""

import ast
import hashlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from xbench.discovery import Plugin


def component(plugin: Plugin) -> dict[str, Any]:
    """The JSON-able identity of a plugin.

    The code of an editable plugin is part of it, with everything of its own top-level package that
    it imports: editing a loss re-runs its cells, and only those.
    """
    loaded = plugin.load()
    identity: dict[str, Any] = {
        "name": plugin.name,
        "version": getattr(loaded, "version", 1),
        "distribution": plugin.distribution,
    }
    if plugin.editable:
        identity["code"] = code_digest(plugin.target.split(":")[0])
    return identity


@cache
def code_digest(module: str) -> str:
    """sha256 over the source of a module and of what it imports from its own top-level package."""
    seen: dict[str, str] = {}
    _collect(module, module.split(".")[0], seen)
    digest = hashlib.sha256()
    for name in sorted(seen):
        digest.update(f"{name}\0{seen[name]}\0".encode())
    return digest.hexdigest()


def _collect(module: str, package: str, seen: dict[str, str]) -> None:
    if module in seen or module.split(".")[0] != package:
        return
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return
    source = Path(spec.origin).read_text(encoding="utf-8")
    seen[module] = source
    for name in _imports(source, module):
        _collect(name, package, seen)


def _imports(source: str, module: str) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = module.split(".")[: -node.level]
                base = ".".join([*parent, base] if base else parent)
            names.append(base)
            names += [f"{base}.{alias.name}" for alias in node.names]
    return [name for name in names if _is_module(name)]


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, AttributeError, ValueError):
        return False

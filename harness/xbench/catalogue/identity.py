"""What identifies a component in a key: name, version, distribution, and code where it is editable."""

import ast
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from xbench.catalogue.discovery import Plugin, PluginError
from xbench.keys import absent


@dataclass(frozen=True, kw_only=True)
class Component:
    """What identifies a plugin in a key, with its configuration, if it has one.

    ``code`` is the digest of an editable plugin's source. Of a composition, ``parts`` are the plugins
    that it is made of, each with its ``weight``, and there is no version.
    """

    name: str
    version: int | str | None = absent()
    distribution: str | None = absent()
    code: str | None = absent()
    config: Mapping[str, Any] | None = absent()
    weight: float | None = absent()
    parts: "Mapping[str, Component] | None" = absent()


def component(plugin: Plugin, config: Mapping[str, Any] | None = None) -> Component:
    """The identity of a plugin.

    The code of an editable plugin is part of it, with everything of its own top-level package that
    it imports: editing a loss re-runs its cells, and only those.
    """
    version = getattr(plugin.load(), "version", 1)
    if not isinstance(version, (int, str)):
        raise PluginError(f"{plugin}: its version is {version!r}; give a number, as in version = 1")
    code = code_digest(plugin.target.split(":")[0]) if plugin.editable else None
    return Component(
        name=plugin.name,
        version=version,
        distribution=plugin.distribution,
        code=code,
        config=config,
    )


@cache
def code_digest(module: str) -> str:
    """sha256 over the source of a module and of what it imports from its own top-level package.

    Imports are read from the source, wherever they stand in it, and followed without running
    anything; a package's ``__init__.py`` counts where something is imported from the package itself.
    """
    sources: dict[str, bytes] = {}
    _collect(module, sources)
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(f"{name}\0{len(sources[name])}\0".encode() + sources[name])
    return digest.hexdigest()


def _collect(module: str, sources: dict[str, bytes]) -> None:
    path = None if module in sources else _source_file(module)
    if path is None:
        return
    sources[module] = path.read_bytes()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    top = module.split(".")[0]
    for name in _imports(sources[module], package):
        if name.split(".")[0] == top:
            _collect(name, sources)


def _source_file(module: str) -> Path | None:
    """Where a module's source lies; None for what is no module, or has no source."""
    top, *below = module.split(".")
    package = import_module(top)  # it is loaded already: the plugin is
    if not below:
        return Path(package.__file__) if package.__file__ else None
    for root in getattr(package, "__path__", ()):
        path = Path(root, *below)
        for candidate in (path / "__init__.py", path.with_name(path.name + ".py")):
            if candidate.is_file():
                return candidate
    return None


def _imports(source: bytes, package: str) -> Iterator[str]:
    """Every dotted name that the source imports, and that may be a module; ``package`` is its own."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # imported by nobody yet, or the plugin would not have loaded
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [base])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)

"""Entry points -> a lazy table of plugins, each attributable to a distribution and version.

Names come from metadata: listing never imports a plugin. Only :meth:`Plugin.load` does, and an
import that fails names the distribution, its version and the cause.
"""

import inspect
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

from xbench.errors import UnknownName, XbenchError

KINDS = ("objectives", "tasks", "languages", "metrics", "probes", "sources")
GROUP = "xbench."


class PluginError(XbenchError):
    """A plugin that cannot be used: it fails to import, or its name is claimed twice."""


@dataclass(frozen=True)
class Plugin:
    """One entry point: what it is called, where it comes from, what it points to."""

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    editable: bool = False

    def load(self) -> Any:
        """Import the plugin. Raises :class:`PluginError` naming distribution, version and cause."""
        try:
            return EntryPoint(self.name, self.target, GROUP + self.kind).load()
        except Exception as cause:
            raise PluginError(
                f"{self.kind[:-1].capitalize()} {self.name!r} ({self.target}) of {self.distribution} "
                f"{self.version} cannot be imported: {type(cause).__name__}: {cause}"
            ) from cause

    def summary(self) -> str:
        """The first line of the plugin's documentation."""
        return (inspect.getdoc(self.load()) or "").strip().split("\n")[0]


class PluginTable:
    """Every plugin of every kind that the installed distributions declare."""

    def __init__(self, plugins: Iterable[Plugin], disabled: Iterable[str] = ()) -> None:
        self._disabled = frozenset(disabled)
        self._found: dict[str, dict[str, list[Plugin]]] = {
            kind: defaultdict(list) for kind in KINDS
        }
        for plugin in plugins:
            claims = self._found[plugin.kind][plugin.name]
            # One distribution may be seen twice (an editable install beside its metadata).
            if plugin not in claims and not self._is_disabled(plugin):
                claims.append(plugin)

    def _is_disabled(self, plugin: Plugin) -> bool:
        names = {plugin.name, plugin.distribution, f"{plugin.kind[:-1]}:{plugin.name}"}
        return bool(names & self._disabled)

    def names(self, kind: str) -> list[str]:
        """The names of one kind, sorted; names claimed twice are among them."""
        return sorted(name for name, claims in self._found[kind].items() if claims)

    def claims(self, kind: str, name: str) -> list[Plugin]:
        """All plugins that claim a name: one, unless two distributions clash."""
        return list(self._found[kind].get(name, ()))

    def get(self, kind: str, name: str) -> Plugin:
        """The plugin of that name. Raises on an unknown name or on two distributions claiming it."""
        claims = self.claims(kind, name)
        if not claims:
            hint = "It is switched off." if name in self._disabled else ""
            raise UnknownName(kind[:-1], name, self.names(kind), hint)
        if len(claims) > 1:
            who = " and ".join(f"{c.distribution} {c.version} ({c.target})" for c in claims)
            raise PluginError(
                f"The {kind[:-1]} name {name!r} is claimed by {who}. Uninstall one of them, or switch "
                f"one off: XBENCH_DISABLE_PLUGINS={claims[-1].distribution}"
            )
        return claims[0]

    def __iter__(self) -> Iterator[Plugin]:
        for kind in KINDS:
            for name in self.names(kind):
                yield from self.claims(kind, name)


class Discovery:
    """The plugin table of this process, read from metadata on first use."""

    @cached_property
    def table(self) -> PluginTable:
        """The table of all installed plugins, less what ``XBENCH_DISABLE_PLUGINS`` names."""
        disabled = os.environ.get("XBENCH_DISABLE_PLUGINS", "").replace(" ", "").split(",")
        return PluginTable(_installed(), disabled=filter(None, disabled))


def _installed() -> Iterator[Plugin]:
    for distribution in distributions():
        entries = [e for e in distribution.entry_points if _kind(e) is not None]
        if not entries:
            continue
        name, version = distribution.metadata["Name"], distribution.version
        editable = _is_editable(distribution)
        for entry in entries:
            kind = _kind(entry)
            assert kind is not None
            yield Plugin(kind, entry.name, entry.value, name, version, editable)


def _kind(entry: EntryPoint) -> str | None:
    kind = entry.group.removeprefix(GROUP)
    return kind if entry.group.startswith(GROUP) and kind in KINDS else None


def _is_editable(distribution: Distribution) -> bool:
    # PEP 610: pip records an editable install in direct_url.json.
    record = distribution.read_text("direct_url.json") or ""
    return '"editable": true' in record or '"editable":true' in record


discovery = Discovery()

"""Entry points -> a lazy table of plugins, each attributable to a distribution and version.

Names come from metadata: listing never imports a plugin. Only :meth:`Plugin.load` does, and an
import that fails names the distribution, its version and the cause.
"""

import inspect
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Any

from xbench.catalogue import xbenchfile
from xbench.errors import UnknownName, XbenchError

KINDS = (
    "objectives",
    "aligners",
    "tasks",
    "languages",
    "metrics",
    "probes",
    "claims",
    "sources",
    "launchers",
)
GROUP = "xbench."
HOOKS = "xbench"  # the group of modules that implement hooks
# What a plugin that is a class must offer: its base in xbench.api, and a method of it. Told by the
# method, so that discovery need not import the base (an objective's base loads torch). At an
# objective's place there may also stand a transform or a merge.
CLASSES = {
    "objectives": (("Objective", "terms"), ("Transform", "fit"), ("Merge", "combine")),
    "aligners": (("Aligner", "align"),),
    "tasks": (("Task", "examples"),),
    "metrics": (("Metric", "items"),),
    "probes": (("Probe", "measure"),),
    "claims": (("Claim", "check"),),
    "sources": (("Source", "fingerprint"),),
    "launchers": (("Launcher", "submit"),),
}


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

    def __str__(self) -> str:
        return (
            f"{self.kind[:-1].capitalize()} {self.name!r} ({self.target}) of {self.distribution} "
            f"{self.version}"
        )

    def load(self) -> Any:
        """Import the plugin. Raises :class:`PluginError` naming distribution, version and cause."""
        try:
            if self.target.split(":")[0] == xbenchfile.MODULE:
                xbenchfile.load()
            loaded = EntryPoint(self.name, self.target, GROUP + self.kind).load()
        except (Exception, SystemExit) as cause:
            raise PluginError(
                f"{self} cannot be imported: {type(cause).__name__}: {cause}"
            ) from cause
        bases = CLASSES.get(self.kind, ())
        offers = isinstance(loaded, type) and any(hasattr(loaded, method) for _, method in bases)
        if bases and not offers:
            names = " or ".join(f"xbench.api.{base}" for base, _ in bases)
            raise PluginError(f"{self} is not a subclass of {names}")
        return loaded

    def summary(self) -> str:
        """What a claim states; of any other plugin, the first line of its documentation."""
        plugin = self.load()
        documented = (inspect.getdoc(plugin) or "").strip().split("\n")[0]
        return str(getattr(plugin, "statement", "") or documented)


class PluginTable:
    """Every plugin of every kind that the installed distributions declare.

    ``disabled`` holds names of plugins (``hictl``, or ``objective:hictl``) and of distributions.
    """

    def __init__(self, plugins: Iterable[Plugin], disabled: Iterable[str] = ()) -> None:
        disabled = {_normal(name) for name in disabled}
        self._found: dict[str, dict[str, list[Plugin]]] = {
            kind: defaultdict(list) for kind in KINDS
        }
        self._switched_off: set[tuple[str, str]] = set()
        for plugin in plugins:
            names = {plugin.name, plugin.distribution, f"{plugin.kind[:-1]}:{plugin.name}"}
            if disabled & {_normal(name) for name in names}:
                self._switched_off.add((plugin.kind, plugin.name))
            else:
                self._found[plugin.kind][plugin.name].append(plugin)

    def names(self, kind: str) -> list[str]:
        """The names of one kind, sorted; names claimed twice are among them."""
        return sorted(self._found[kind])

    def claims(self, kind: str, name: str) -> list[Plugin]:
        """All plugins that claim a name: one, unless two distributions clash."""
        return list(self._found[kind].get(name, ()))

    def get(self, kind: str, name: str) -> Plugin:
        """The plugin of that name. Raises on an unknown name or on two distributions claiming it."""
        claims = self.claims(kind, name)
        if not claims:
            off = (kind, name) in self._switched_off
            hint = (
                f"{name!r} is installed and switched off (XBENCH_DISABLE_PLUGINS)." if off else ""
            )
            raise UnknownName(kind[:-1], name, self.names(kind), hint)
        if len(claims) > 1:
            who = " and ".join(f"{c.distribution} {c.version} ({c.target})" for c in claims)
            raise PluginError(
                f"The {kind[:-1]} name {name!r} is claimed by {who}. Uninstall one of them, or switch "
                f"one off: XBENCH_DISABLE_PLUGINS={claims[-1].distribution}"
            )
        return claims[0]

    def switched_off(self, kind: str) -> set[str]:
        """The names of one kind that are installed and disabled."""
        return {name for found, name in self._switched_off if found == kind}

    def __iter__(self) -> Iterator[Plugin]:
        for kind in KINDS:
            for name in self.names(kind):
                yield from self.claims(kind, name)


class Discovery:
    """The plugin table of this process, read from metadata on first use."""

    @cached_property
    def _found(self) -> list[Plugin]:
        return [*installed(), *_local()]

    @cached_property
    def table(self) -> PluginTable:
        """The table of all plugins, less what ``XBENCH_DISABLE_PLUGINS`` (``-p no:NAME``) names."""
        return PluginTable((p for p in self._found if p.kind in KINDS), disabled=_disabled())

    def hooks(self) -> list[Plugin]:
        """The modules that implement hooks, in the order in which they are called."""
        names = {_normal(name) for name in _disabled()}
        return [
            plugin
            for plugin in self._found
            if plugin.kind == HOOKS
            and not names & {_normal(plugin.name), _normal(plugin.distribution)}
        ]


def _disabled() -> list[str]:
    asked = os.environ.get("XBENCH_DISABLE_PLUGINS", "").replace(" ", "").split(",")
    return [name for name in asked if name]


def _local() -> Iterator[Plugin]:
    """What an ``xbenchfile.py`` registers; it is read, and imported only when it is used."""
    path = xbenchfile.find()
    if path is None or xbenchfile.MODULE in _disabled():
        return
    maker = (xbenchfile.NAME, "local", True)
    yield Plugin(HOOKS, xbenchfile.MODULE, xbenchfile.MODULE, *maker)
    for kind, name, attribute in xbenchfile.registered(path):
        if f"{kind}s" not in KINDS:
            raise PluginError(
                f"{path} registers {name!r} as a {kind!r}; the kinds are "
                f"{', '.join(known[:-1] for known in KINDS)}"
            )
        yield Plugin(f"{kind}s", name, f"{xbenchfile.MODULE}:{attribute}", *maker)


def installed() -> Iterator[Plugin]:
    """All plugins and hook modules in the metadata of installed distributions.

    Of a distribution that is found twice on ``sys.path`` the first counts, as it does for imports.
    """
    seen: set[str] = set()
    for distribution in distributions():
        entries = [(e, kind) for e in distribution.entry_points if (kind := _kind(e))]
        if not entries:
            continue
        name = distribution.metadata["Name"] or "(a distribution without a name)"
        if _normal(name) in seen:
            continue
        seen.add(_normal(name))
        # Each of these reads a file: once for a distribution, not once for each of its plugins.
        maker = (name, distribution.version, _is_editable(distribution))
        for entry, kind in entries:
            yield Plugin(kind, entry.name, entry.value, *maker)


def _kind(entry: EntryPoint) -> str | None:
    if entry.group == HOOKS:
        return HOOKS
    kind = entry.group.removeprefix(GROUP)
    return kind if entry.group.startswith(GROUP) and kind in KINDS else None


def _is_editable(distribution: Distribution) -> bool:
    # PEP 610: pip records an editable install in direct_url.json.
    record = distribution.read_text("direct_url.json") or ""
    return '"editable": true' in record or '"editable":true' in record


def _normal(name: str) -> str:
    # The names of distributions differ in case and in the sort of dash only (PEP 503).
    return re.sub(r"[-_.]+", "-", name).lower()


discovery = Discovery()

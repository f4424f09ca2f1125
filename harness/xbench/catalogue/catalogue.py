"""What a name means: the registry's entries, the plugins of this installation, the languages."""

from dataclasses import dataclass
from typing import Any

from xbench.catalogue.discovery import Discovery, discovery
from xbench.catalogue.languages import Languages
from xbench.catalogue.registry import Registry, load_registry


@dataclass(frozen=True)
class Catalogue:
    """The registry and the plugins that names are looked up in::

    catalogue = Catalogue.installed()
    catalogue.load("tasks", "pos")      # the class of that task
    catalogue.registry.suite("mini")    # a suite's entry
    """

    registry: Registry
    discovery: Discovery

    @classmethod
    def installed(cls) -> "Catalogue":
        """The registry with the user's own file merged over it, and the plugins installed here."""
        return cls(load_registry(), discovery)

    @property
    def languages(self) -> Languages:
        """The languages known here."""
        return Languages(self.registry, self.discovery)

    def load(self, kind: str, name: str) -> Any:
        """The plugin of a kind (``tasks``, ``metrics``, ...), imported.

        Raises :class:`~xbench.errors.UnknownName`, or
        :class:`~xbench.catalogue.discovery.PluginError` where it cannot be imported.
        """
        return self.discovery.table.get(kind, name).load()

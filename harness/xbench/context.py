"""Where names are looked up: the registry and the plugins."""

from dataclasses import dataclass

from xbench.discovery import Discovery
from xbench.languages import Languages
from xbench.registry import Registry


@dataclass(frozen=True)
class Context:
    """The catalogue and the plugins that names are resolved against."""

    registry: Registry
    discovery: Discovery

    @property
    def languages(self) -> Languages:
        """The languages known here."""
        return Languages(self.registry, self.discovery)

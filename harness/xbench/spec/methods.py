"""Names and configurations of what stands at an objective's place: losses, transforms, merges."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.configs import DEFAULT
from xbench.catalogue.discovery import Discovery
from xbench.catalogue.identity import Component, component
from xbench.catalogue.registry import Composition
from xbench.errors import UnknownName, XbenchError

PHASES = ("before", "during")
Kind = Literal["objective", "transform", "merge"]
# Told by the method that it offers, as discovery does.
_KIND_BY_METHOD: dict[str, Kind] = {"terms": "objective", "fit": "transform", "combine": "merge"}


@dataclass(frozen=True)
class Method:
    """One name of the matrix' objective axis: a plugin, or a composition of several.

    ``classes`` maps the names of the plugins to their classes; a composition has several.
    """

    name: str
    kind: Kind
    classes: Mapping[str, Any]
    composition: Composition | None = None

    @property
    def needs(self) -> frozenset[str]:
        """The data that it asks for."""
        return frozenset(
            need for each in self.classes.values() for need in getattr(each, "needs", ())
        )

    @property
    def phases(self) -> tuple[str, ...]:
        """When it can act; nothing for what is not a loss."""
        if self.kind != "objective":
            return ()
        return tuple(p for p in PHASES if all(p in c.phases for c in self.classes.values()))

    @property
    def uses_pairs(self) -> bool:
        """Whether it reads parallel text, so that the pair of languages matters to it."""
        return self.kind == "objective" and bool(self.needs & {"pairs", "links", "translated_task"})

    @property
    def variants(self) -> tuple[str, ...]:
        """The named configurations; a method without any has one, ``default``."""
        if self.composition is not None:
            return (DEFAULT,)
        return tuple(self.classes[self.name].variants) or (DEFAULT,)

    def sources(self) -> dict[str, str]:
        """Who stated the default of each field."""
        if self.composition is None:
            return dict(self.classes[self.name].sources)
        return {
            f"{name}.{field}": source
            for name, each in self.classes.items()
            for field, source in each.sources.items()
        }

    def identity(self, config: Mapping[str, Any], discovery: Discovery) -> Component:
        """What identifies it in a key, with its configuration."""
        get = discovery.table.get
        if self.composition is None:
            return component(get("objectives", self.name), dict(config))
        parts = {
            name: replace(component(get("objectives", name), part["config"]), weight=part["weight"])
            for name, part in config.items()
        }
        return Component(name=self.name, parts=parts)


def find_method(name: str, catalogue: Catalogue) -> Method:
    """The method of that name. Raises on an unknown name, or one that is no method."""
    composition = catalogue.registry.compositions.get(name)
    table = catalogue.discovery.table
    if composition is None:
        known = [*table.names("objectives"), *catalogue.registry.compositions]
        if name not in table.names("objectives") and name not in table.switched_off("objectives"):
            raise UnknownName("objective", name, known)
        loaded = table.get("objectives", name).load()
        return _acting(Method(name, _kind(loaded), {name: loaded}))
    if name in table.names("objectives"):
        raise XbenchError(
            f"{name!r} is both a composition of the registry and an objective plugin: rename one."
        )
    classes = {part: table.get("objectives", part).load() for part in composition.parts}
    for part, loaded in classes.items():
        if _kind(loaded) != "objective":
            raise XbenchError(f"Composition {name!r}: {part!r} is no loss and cannot be a part.")
    return _acting(Method(name, "objective", classes, composition))


def _kind(loaded: Any) -> Kind:
    return next(kind for method, kind in _KIND_BY_METHOD.items() if hasattr(loaded, method))


def _acting(method: Method) -> Method:
    """The method, if there is a phase that it can act in."""
    if method.kind == "objective" and not method.phases:
        stated = {name: sorted(each.phases) for name, each in method.classes.items()}
        why = "; ".join(f"{name} {' or '.join(each) or 'never'}" for name, each in stated.items())
        raise XbenchError(
            f"The objective {method.name!r} can act in no phase ({', '.join(PHASES)}): {why}."
        )
    return method

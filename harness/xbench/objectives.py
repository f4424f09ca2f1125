"""Names and configurations of what stands at an objective's place: losses, transforms, merges."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from xbench.context import Context
from xbench.discovery import Discovery
from xbench.errors import UnknownName, XbenchError
from xbench.identity import component
from xbench.keys import canonical
from xbench.registry import Composition, Part
from xbench.settings import as_json
from xbench.spec import RunSpec, explain

DEFAULT = "default"
PHASES = ("before", "during")
Configs = dict[str, dict[str, dict[str, Any]]]
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

    def identity(self, config: Mapping[str, Any], discovery: Discovery) -> dict[str, Any]:
        """What identifies it in a key, with its configuration."""
        get = discovery.table.get
        if self.composition is None:
            return {**component(get("objectives", self.name)), "config": dict(config)}
        parts = {
            name: {**component(get("objectives", name)), **part} for name, part in config.items()
        }
        return {"name": self.name, "parts": parts}


def find_method(name: str, context: Context) -> Method:
    """The method of that name. Raises on an unknown name, or one that is no method."""
    composition = context.registry.compositions.get(name)
    table = context.discovery.table
    if composition is None:
        known = [*table.names("objectives"), *context.registry.compositions]
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


def resolve_objectives(spec: RunSpec, context: Context) -> Configs:
    """objective -> variant -> complete configuration, with ``-O objective.*`` applied and checked."""
    asked = _asked(spec, context)
    general, own = _options(spec.options, set(asked), set(context.registry.compositions))
    result: Configs = {}
    for name, variants in asked.items():
        method = find_method(name, context)
        result[name] = {
            variant: configure(method, variant, _merged(values, general, own.get(name, {})))
            for variant, values in variants.items()
        }
    return result


def _asked(spec: RunSpec, context: Context) -> Configs:
    """objective -> variant -> the fields that the spec itself gives."""
    if not isinstance(spec.objective, dict):
        tokens = parse(spec.objective or (), context)
        return {name: {variant: {} for variant in variants} for name, variants in tokens.items()}
    for name, variants in spec.objective.items():
        for variant, values in variants.items():
            if not values:  # with fields of its own, a variant may have a name of its own
                _variant(name, variant, context)
    return spec.objective


def parse(tokens: Iterable[str], context: Context) -> dict[str, tuple[str, ...]]:
    """``["hictl:S1W0M0", "S1W1M1", "tlm"]`` -> ``{"hictl": (S1W0M0, S1W1M1), "tlm": (default,)}``.

    After ``name:variant``, a further item that is no objective's name is a variant of the same.
    """
    names = {*context.discovery.table.names("objectives"), *context.registry.compositions}
    asked: dict[str, list[str]] = {}
    current: str | None = None
    for token in tokens:
        name, colon, variant = token.partition(":")
        if not colon and current and name not in names:
            asked[current].append(_variant(current, name, context))
            continue
        variants = find_method(name, context).variants
        wanted = [_variant(name, variant, context)] if colon else list(variants)
        asked.setdefault(name, []).extend(wanted)
        current = name if colon else None
    return {name: tuple(dict.fromkeys(variants)) for name, variants in asked.items()}


def _variant(objective: str, variant: str, context: Context) -> str:
    known = find_method(objective, context).variants
    if variant not in known:
        raise UnknownName(f"variant of {objective}", variant, known)
    return variant


def configure(method: Method, variant: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """A variant's configuration with changed fields, validated, as JSON values.

    Of a composition, part -> its ``weight`` and ``config``.
    """
    if method.composition is None:
        loaded = method.classes[method.name]
        return configured(f"objective {method.name}", loaded, values, variant)
    for name in values:
        if name not in method.composition.parts:
            raise UnknownName(f"part of objective {method.name}", name, method.composition.parts)
    return {
        name: _configure_part(method, name, part, values.get(name, {}))
        for name, part in method.composition.parts.items()
    }


def _configure_part(method: Method, name: str, part: Part, given: Any) -> dict[str, Any]:
    """The ``weight`` and the ``config`` of a part of a composition."""
    what = f"objective {method.name}, part {name}"
    if not isinstance(given, Mapping) or not isinstance(given.get("config", {}), Mapping):
        raise XbenchError(
            f"{what} has settings below it, as -O objective.{method.name}.{name}.FIELD=VALUE"
        )
    for field in given:
        if field not in ("weight", "config"):
            raise UnknownName(f"field of {method.name}.{name}", field, ("weight", "config"))
    loaded = method.classes[name]
    if part.variant is not None and part.variant not in loaded.variants:
        raise UnknownName(f"variant of {what}:", part.variant, loaded.variants)
    weight = given.get("weight", part.weight)
    if not isinstance(weight, (int, float)) or not 0 < weight < math.inf:
        raise XbenchError(f"{what}: the weight is {weight!r}, not a number above zero")
    config = {**part.config, **given.get("config", {})}
    own = configured(what, loaded, config, part.variant or DEFAULT)
    return {"weight": float(weight), "config": own}


def configured(
    what: str, loaded: Any, values: Mapping[str, Any], variant: str = DEFAULT
) -> dict[str, Any]:
    """A plugin's complete configuration as JSON values; ``what`` begins every message."""
    config = loaded.Config
    known = [f.name for f in fields(config)] if is_dataclass(config) else []
    for field in values:
        if field not in known:
            of_objectives = "objective.NAME.FIELD=VALUE sets a field of one objective only."
            hint = of_objectives if what.startswith("objective ") else ""
            raise UnknownName(f"field of {what}", field, known, hint)
    base = getattr(loaded, "variants", {}).get(variant)
    start = as_json(base) if base is not None else {}
    try:
        checked = TypeAdapter(config).validate_python({**start, **values})
    except ValidationError as error:
        raise XbenchError(explain(error, what)) from error
    plain = as_json(checked)
    try:
        canonical(plain)
    except (TypeError, ValueError) as error:
        raise XbenchError(f"{what}: the settings cannot be kept: {error}") from error
    return plain


def resolve_probes(spec: RunSpec, context: Context) -> dict[str, dict[str, Any]]:
    """probe -> complete configuration, with ``-O probe.NAME.FIELD=VALUE`` applied and checked."""
    asked = spec.probe if isinstance(spec.probe, dict) else {name: {} for name in spec.probe or ()}
    given: dict[str, dict[str, Any]] = {}
    for dotted, value in spec.options.items():
        head, *path = dotted.split(".")
        if head != "probe":
            continue
        if len(path) != 2:
            raise XbenchError(f"-O {dotted}: expected probe.NAME.FIELD=VALUE")
        if path[0] not in asked:
            raise UnknownName(f"probe in -O {dotted}:", path[0], asked)
        given.setdefault(path[0], {})[path[1]] = value
    return {
        name: configured(
            f"probe {name}",
            context.discovery.table.get("probes", name).load(),
            {**values, **given.get(name, {})},
        )
        for name, values in asked.items()
    }


def component_config(loaded: Any, config: Mapping[str, Any]) -> Any:
    """A plugin's ``Config`` from JSON values that were checked when the run was resolved."""
    return TypeAdapter(loaded.Config).validate_python(dict(config))


def make_component(kind: str, asked: Mapping[str, Any], context: Context) -> Any:
    """The plugin that a spec asks for, ``{"name": ..., "config": {...}}``, with its configuration."""
    loaded = context.discovery.table.get(kind, asked["name"]).load()
    return loaded(component_config(loaded, asked["config"]))


def _merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Later layers win; mappings (parts of a composition) are merged one by one."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            before = merged.get(name)
            both = isinstance(before, Mapping) and isinstance(value, Mapping)
            merged[name] = _merged(before, value) if both else value  # type: ignore[arg-type]
    return merged


def _options(
    options: Mapping[str, Any], objectives: set[str], compositions: set[str]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """``objective.FIELD`` is for all, ``objective.NAME.FIELD`` for one.

    ``objective.NAME.PART.FIELD`` is for a part of a composition.
    """
    general: dict[str, Any] = {}
    own: dict[str, dict[str, Any]] = {}
    for dotted, value in options.items():
        head, *path = dotted.split(".")
        if head != "objective":
            continue
        if len(path) == 1:
            general[path[0]] = value
        elif not path or len(path) > (3 if path[0] in compositions else 2):
            raise XbenchError(
                f"-O {dotted}: expected objective.FIELD=VALUE, or objective.NAME.FIELD=VALUE for one "
                f"objective"
            )
        elif path[0] not in objectives:
            raise UnknownName(f"objective in -O {dotted}:", path[0], objectives)
        elif len(path) == 2:
            own.setdefault(path[0], {})[path[1]] = value
        else:
            part = own.setdefault(path[0], {}).setdefault(path[1], {})
            _set_in_part(part, path[2], value)
    return general, own


def _set_in_part(part: dict[str, Any], field: str, value: Any) -> None:
    if field == "weight":
        part["weight"] = value
    else:
        part.setdefault("config", {})[field] = value

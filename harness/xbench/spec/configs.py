"""The objectives, variants and probes of a request, each with its complete configuration."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.configs import DEFAULT, configured
from xbench.catalogue.registry import CompositionPart
from xbench.errors import UnknownName, XbenchError
from xbench.spec.methods import Method, find_method
from xbench.spec.request import RunSpec

Configs = dict[str, dict[str, dict[str, Any]]]


def resolve_objectives(spec: RunSpec, catalogue: Catalogue) -> Configs:
    """objective -> variant -> complete configuration, with ``-O objective.*`` applied and checked."""
    asked = _asked(spec, catalogue)
    general, own = _options(spec.options, set(asked), set(catalogue.registry.compositions))
    result: Configs = {}
    for name, variants in asked.items():
        method = find_method(name, catalogue)
        result[name] = {
            variant: configure(method, variant, _merged(values, general, own.get(name, {})))
            for variant, values in variants.items()
        }
    return result


def _asked(spec: RunSpec, catalogue: Catalogue) -> Configs:
    """objective -> variant -> the fields that the spec itself gives."""
    if not isinstance(spec.objective, dict):
        tokens = parse(spec.objective or (), catalogue)
        return {name: {variant: {} for variant in variants} for name, variants in tokens.items()}
    for name, variants in spec.objective.items():
        for variant, values in variants.items():
            if not values:  # with fields of its own, a variant may have a name of its own
                _variant(name, variant, catalogue)
    return spec.objective


def parse(tokens: Iterable[str], catalogue: Catalogue) -> dict[str, tuple[str, ...]]:
    """``["hictl:S1W0M0", "S1W1M1", "tlm"]`` -> ``{"hictl": (S1W0M0, S1W1M1), "tlm": (default,)}``.

    After ``name:variant``, a further item that is no objective's name is a variant of the same.
    """
    names = {*catalogue.discovery.table.names("objectives"), *catalogue.registry.compositions}
    asked: dict[str, list[str]] = {}
    current: str | None = None
    for token in tokens:
        name, colon, variant = token.partition(":")
        if not colon and current and name not in names:
            asked[current].append(_variant(current, name, catalogue))
            continue
        variants = find_method(name, catalogue).variants
        wanted = [_variant(name, variant, catalogue)] if colon else list(variants)
        asked.setdefault(name, []).extend(wanted)
        current = name if colon else None
    return {name: tuple(dict.fromkeys(variants)) for name, variants in asked.items()}


def _variant(objective: str, variant: str, catalogue: Catalogue) -> str:
    known = find_method(objective, catalogue).variants
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


def _configure_part(method: Method, name: str, part: CompositionPart, given: Any) -> dict[str, Any]:
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


def resolve_probes(spec: RunSpec, catalogue: Catalogue) -> dict[str, dict[str, Any]]:
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
            catalogue.load("probes", name),
            {**values, **given.get(name, {})},
        )
        for name, values in asked.items()
    }


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

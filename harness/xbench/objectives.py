"""Objective requests (``hictl:S1W0M0``, ``-O objective.temperature=0.1``) -> configurations."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from xbench.discovery import Discovery
from xbench.errors import UnknownName, XbenchError
from xbench.keys import canonical
from xbench.settings import as_json
from xbench.spec import RunSpec, explain

DEFAULT = "default"
Configs = dict[str, dict[str, dict[str, Any]]]


def resolve_objectives(spec: RunSpec, discovery: Discovery) -> Configs:
    """objective -> variant -> complete configuration, with ``-O objective.*`` applied and checked."""
    asked = _asked(spec, discovery)
    general, own = _options(spec.options, set(asked))
    result: Configs = {}
    for name, variants in asked.items():
        objective = load(name, discovery)
        result[name] = {
            variant: configure(name, objective, variant, {**values, **general, **own.get(name, {})})
            for variant, values in variants.items()
        }
    return result


def _asked(spec: RunSpec, discovery: Discovery) -> Configs:
    """objective -> variant -> the fields that the spec itself gives."""
    if not isinstance(spec.objective, dict):
        tokens = parse(spec.objective or (), discovery)
        return {name: {variant: {} for variant in variants} for name, variants in tokens.items()}
    for name, variants in spec.objective.items():
        for variant, values in variants.items():
            if not values:  # with fields of its own, a variant may have a name of its own
                _variant(name, variant, discovery)
    return spec.objective


def load(name: str, discovery: Discovery) -> Any:
    """The objective's class. Raises on an unknown name or one that is not an objective."""
    return discovery.table.get("objectives", name).load()


def variants_of(objective: Any) -> tuple[str, ...]:
    """The named configurations; an objective without any has one, ``default``."""
    return tuple(objective.variants) or (DEFAULT,)


def parse(tokens: Iterable[str], discovery: Discovery) -> dict[str, tuple[str, ...]]:
    """``["hictl:S1W0M0", "S1W1M1", "tlm"]`` -> ``{"hictl": (S1W0M0, S1W1M1), "tlm": (default,)}``.

    After ``name:variant``, a further item that is no objective's name is a variant of the same.
    """
    asked: dict[str, list[str]] = {}
    current: str | None = None
    for token in tokens:
        name, colon, variant = token.partition(":")
        if not colon and current and name not in discovery.table.names("objectives"):
            asked[current].append(_variant(current, name, discovery))
            continue
        variants = variants_of(load(name, discovery))
        wanted = [_variant(name, variant, discovery)] if colon else list(variants)
        asked.setdefault(name, []).extend(wanted)
        current = name if colon else None
    return {name: tuple(dict.fromkeys(variants)) for name, variants in asked.items()}


def _variant(objective: str, variant: str, discovery: Discovery) -> str:
    known = variants_of(load(objective, discovery))
    if variant not in known:
        raise UnknownName(f"variant of {objective}", variant, known)
    return variant


def configure(name: str, objective: Any, variant: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """A variant's configuration with changed fields, validated, as JSON values."""
    config = objective.Config
    known = [f.name for f in fields(config)] if is_dataclass(config) else []
    for field in values:
        if field not in known:
            hint = "objective.NAME.FIELD=VALUE sets a field of one objective only."
            raise UnknownName(f"field of objective {name}", field, known, hint)
    base = objective.variants.get(variant)
    start = as_json(base) if base is not None else {}
    try:
        checked = TypeAdapter(config).validate_python({**start, **values})
    except ValidationError as error:
        raise XbenchError(explain(error, f"objective {name}")) from error
    plain = as_json(checked)
    try:
        canonical(plain)
    except (TypeError, ValueError) as error:
        raise XbenchError(f"objective {name}: the settings cannot be kept: {error}") from error
    return plain


def _options(
    options: Mapping[str, Any], objectives: set[str]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """``objective.FIELD`` is for all, ``objective.NAME.FIELD`` for one."""
    general: dict[str, Any] = {}
    own: dict[str, dict[str, Any]] = {}
    for dotted, value in options.items():
        head, *path = dotted.split(".")
        if head != "objective":
            continue
        if len(path) == 1:
            general[path[0]] = value
        elif len(path) != 2:
            raise XbenchError(
                f"-O {dotted}: expected objective.FIELD=VALUE, or objective.NAME.FIELD=VALUE for one "
                f"objective"
            )
        elif path[0] not in objectives:
            raise UnknownName(f"objective in -O {dotted}:", path[0], objectives)
        else:
            own.setdefault(path[0], {})[path[1]] = value
    return general, own

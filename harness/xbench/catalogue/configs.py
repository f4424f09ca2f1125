"""The configuration of a plugin: its fields checked and complete, and the plugin made from it."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.identity import Component
from xbench.catalogue.settings import as_json
from xbench.catalogue.validation import explain
from xbench.errors import UnknownName, XbenchError
from xbench.keys import canonical

DEFAULT = "default"


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


def component_config(loaded: Any, config: Mapping[str, Any]) -> Any:
    """A plugin's ``Config`` from JSON values that were checked when the run was resolved."""
    return TypeAdapter(loaded.Config).validate_python(dict(config))


def make_component(kind: str, asked: Component, catalogue: Catalogue) -> Any:
    """The plugin that a component identifies, with its configuration."""
    loaded = catalogue.load(kind, asked.name)
    return loaded(component_config(loaded, asked.config or {}))

"""What was asked: a request of names, and its resolution into a complete, repeatable spec."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from xbench.errors import UnknownName, XbenchError

_EXPONENT = re.compile(r"[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)[eE][-+]?[0-9]+")


def _as_list(value: Any) -> Any:
    """A comma-separated string or a single value counts as a list."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [value] if isinstance(value, (int, float)) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0, lt=2**63)], ...], BeforeValidator(_as_list)]


class RunSpec(BaseModel):
    """A run as it can be written in YAML; every field is also an option of ``xbench run``.

    What is left out (``None``) comes from the suite. ``objective`` is a list of names with optional
    variants (``hictl:S1W0M0``), or, in a resolved spec, a mapping objective -> variant -> config.
    ``probe`` likewise is a list of names, or a mapping probe -> config; ``probe_at`` says which
    encoders are probed: ``encoder`` (untouched and aligned), ``finetuned``.
    ``options`` holds ``-O`` settings by dotted name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str = "mini"
    model: str | None = None
    data: str | None = None
    objective: dict[str, dict[str, dict[str, Any]]] | Names | None = None
    task: Names | None = None
    pair: Names | None = None
    arm: Names | None = None
    shuffled_variants: Literal["first", "all"] | None = None
    phase: Names | None = None
    mode: Names | None = None
    seed: Seeds | None = None
    align_seed: Seeds | None = None
    align_step: Seeds | None = None
    probe: dict[str, dict[str, Any]] | Names | None = None
    probe_at: Names | None = None
    language: Names | None = None
    align: dict[str, Any] = Field(default_factory=dict)
    finetune: dict[str, Any] = Field(default_factory=dict)
    evaluate: dict[str, Any] = Field(default_factory=dict)
    probing: dict[str, Any] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    device: str = "auto"

    def to_yaml(self) -> str:
        """The spec as YAML, without what is unset."""
        values = self.model_dump(mode="json", exclude_none=True)
        values = {name: value for name, value in values.items() if value != {}}
        return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def read_spec(path: Path) -> RunSpec:
    """Read a YAML spec. Raises :class:`XbenchError` naming file and field."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise XbenchError(f"The spec {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise XbenchError(f"The spec {path} is no text in UTF-8.") from error
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise XbenchError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise XbenchError(f"{path}: a spec is a mapping of options, as `suite: mini`.")
    return make_spec(values, str(path))


def make_spec(values: Mapping[str, Any], where: str) -> RunSpec:
    """Check the values of a spec; ``where`` begins every message."""
    for name in values:
        if name not in RunSpec.model_fields:
            raise UnknownName(f"option in {where}:", str(name), RunSpec.model_fields)
    try:
        return RunSpec.model_validate(dict(values))
    except ValidationError as error:
        raise XbenchError(explain(error, where)) from error


def explain(error: ValidationError, where: str) -> str:
    """A pydantic error as short lines: which field, what is wrong, what it was."""
    lines = []
    for item in error.errors():
        field = ".".join(map(str, item["loc"]))
        got = item.get("input")
        shown = f" (got {got!r})" if isinstance(got, (str, int, float, bool)) else ""
        message = item["msg"].removeprefix("Value error, ")
        lines.append(f"{where}{': ' + field if field else ''}: {message}{shown}")
    return "\n".join(lines)


def parse_options(assignments: tuple[str, ...]) -> dict[str, Any]:
    """``-O objective.temperature=0.1`` -> ``{"objective.temperature": 0.1}``; values are YAML."""
    options: dict[str, Any] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise XbenchError(f"-O {text}: expected NAME=VALUE, as in -O objective.temperature=0.1")
        try:
            options[name.strip()] = _number(yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise XbenchError(f"-O {text}: {value!r} is no YAML value") from error
    return options


def _number(value: Any) -> Any:
    # YAML 1.1 reads 2e-5 as text; everybody who types it means the number.
    if isinstance(value, str) and _EXPONENT.fullmatch(value):
        return float(value)
    return value

"""What was asked: a request of names, and the resolved spec, in which nothing is missing."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from xbench.catalogue.settings import (
    AlignSettings,
    EvaluateSettings,
    FinetuneSettings,
    ProbingSettings,
)
from xbench.catalogue.validation import explain
from xbench.catalogue.yamlfile import Document, read_document
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
    variants (``hictl:S1W0M0``), or a mapping objective -> variant -> config, as a resolved spec has it.
    ``probe`` likewise is a list of names, or a mapping probe -> config; ``probe_at`` says which
    encoders are probed: ``encoder`` (untouched and aligned), ``finetuned``.
    ``options`` holds ``-O`` settings by dotted name. ``launcher`` is a name, or a mapping of ``name``
    and the launcher's settings.
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
    launcher: dict[str, Any] | str | None = None

    def to_yaml(self) -> str:
        """The spec as YAML, without what is unset."""
        values = self.model_dump(mode="json", exclude_none=True)
        values = {name: value for name, value in values.items() if value != {}}
        return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


class LauncherChoice(BaseModel):
    """What computes a run in place of this machine: a launcher and its complete settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    settings: dict[str, Any]


class ResolvedSpec(BaseModel):
    """A run with every name found and every setting concrete: nothing of it is left to defaults.

    Its fields are those of :class:`RunSpec`. ``objective`` is objective -> variant -> configuration,
    ``probe`` probe -> configuration, ``finetune`` task -> mode -> settings. Without a ``launcher`` it is
    computed here; who computes changes no result.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str
    model: str
    data: str | None
    objective: dict[str, dict[str, dict[str, Any]]]
    task: tuple[str, ...]
    pair: tuple[str, ...]
    arm: tuple[str, ...]
    shuffled_variants: Literal["first", "all"]
    phase: tuple[str, ...]
    mode: tuple[str, ...]
    seed: tuple[int, ...]
    align_seed: tuple[int, ...]
    align_step: tuple[int, ...]
    probe: dict[str, dict[str, Any]]
    probe_at: tuple[str, ...]
    language: tuple[str, ...]
    align: AlignSettings
    finetune: dict[str, dict[str, FinetuneSettings]]
    evaluate: EvaluateSettings
    probing: ProbingSettings
    device: str
    launcher: LauncherChoice | None

    def request(self) -> RunSpec:
        """The same as a request: asking for it repeats the run."""
        values = self.model_dump(mode="json")
        if self.launcher is not None:
            values["launcher"] = {"name": self.launcher.name, **self.launcher.settings}
        return RunSpec.model_validate(values)

    def to_yaml(self) -> str:
        """The request as YAML."""
        return self.request().to_yaml()


def read_spec(path: Path) -> RunSpec:
    """Read a YAML spec. Raises :class:`XbenchError` naming file and field."""
    document = read_document(path, "spec")
    return make_spec(document.content, str(path), document)


def make_spec(values: Mapping[str, Any], where: str, document: Document | None = None) -> RunSpec:
    """Check the values of a spec; ``where`` begins every message, with the line in its document."""
    for name in values:
        if name not in RunSpec.model_fields:
            line = document.line([name]) if document else None
            at = f"{where}:{line}" if line else where
            raise UnknownName(f"option in {at}:", str(name), RunSpec.model_fields)
    try:
        return RunSpec.model_validate(dict(values))
    except ValidationError as error:
        raise XbenchError(explain(error, where, document)) from error


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

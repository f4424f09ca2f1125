"""registry.yaml -> a typed catalogue of models, languages and suites."""

import importlib.util
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from xbench.errors import UnknownName, XbenchError


class Entry(BaseModel):
    """A record of the registry: immutable, and unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelEntry(Entry):
    """An encoder: on the hub (``hub_id``), or shipped in a package (``package`` and ``folder``)."""

    hub_id: str | None = None
    revision: str | None = None
    package: str | None = None
    folder: str | None = None
    description: str = ""


class LanguageEntry(Entry):
    """A natural language; the key in the registry is its code."""

    name: str
    script: str
    family: str = ""
    word_order: str = ""
    iso639_1: str = ""
    resources: dict[str, str] = Field(default_factory=dict)


class Binding(Entry):
    """Which source gives the data, with the source's options."""

    source: str
    options: dict[str, Any] = Field(default_factory=dict)


class SuiteEntry(Entry):
    """A named bundle of encoder, corpora, languages and settings."""

    description: str = ""
    model: str
    source_language: str
    languages: tuple[str, ...]
    pairs: tuple[str, ...]
    default_pairs: tuple[str, ...] | None = None
    corpus: Binding
    tasks: dict[str, Binding]
    default_tasks: tuple[str, ...] | None = None
    arms: tuple[str, ...]
    shuffled_variants: Literal["first", "all"] = "all"
    modes: tuple[str, ...]
    seeds: tuple[int, ...]
    align_seeds: tuple[int, ...]
    align: dict[str, Any]
    finetune: dict[str, Any]
    evaluate: dict[str, Any]


class Registry(Entry):
    """The whole catalogue."""

    version: Literal[1]
    models: dict[str, ModelEntry]
    controls: dict[str, str]
    aliases: dict[str, dict[str, str]]
    suites: dict[str, SuiteEntry]
    languages: dict[str, LanguageEntry]

    def suite(self, name: str) -> SuiteEntry:
        """The suite of that name. Raises :class:`UnknownName`."""
        if name not in self.suites:
            raise UnknownName("suite", name, self.suites)
        return self.suites[name]


def registry_path() -> Path:
    """Where the catalogue lies: in the installed package, or at the top of a source checkout."""
    spec = importlib.util.find_spec("xbench")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    for path in (package / "registry.yaml", package.parent.parent / "registry.yaml"):
        if path.is_file():
            return path
    raise XbenchError(f"registry.yaml is missing beside {package}: reinstall xbench")


@lru_cache(maxsize=4)
def load_registry(path: Path | None = None) -> Registry:
    """Read and check the catalogue. Errors name file and field."""
    path = path or registry_path()
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_loader())
        return Registry.model_validate(data)
    except yaml.YAMLError as error:
        raise XbenchError(f"{path}: not valid YAML: {error}") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise XbenchError(f"{path}:\n" + "\n".join(lines)) from error


def _loader() -> Any:
    # libyaml is ten times faster where PyYAML was built with it.
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def plain(values: Any) -> Any:
    """Settings without their sources: ``{value, source}`` becomes the value, at any depth."""
    if isinstance(values, Mapping):
        if set(values) == {"value", "source"}:
            return values["value"]
        return {name: plain(value) for name, value in values.items()}
    return values


def sources(values: Any, prefix: str = "") -> dict[str, str]:
    """Dotted setting name -> who stated its value, where the registry says so."""
    found: dict[str, str] = {}
    if isinstance(values, Mapping):
        if set(values) == {"value", "source"}:
            return {prefix: str(values["source"])}
        for name, value in values.items():
            found |= sources(value, f"{prefix}.{name}" if prefix else str(name))
    return found

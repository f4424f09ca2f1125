"""The records of the registry: what each kind of entry may hold, and nothing else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from xbench.catalogue.settings import known_fields
from xbench.errors import UnknownName


class RegistryEntry(BaseModel):
    """A record of the registry: immutable, and unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelEntry(RegistryEntry):
    """An encoder: on the hub (``hub_id``), or shipped in a package (``package`` and ``folder``).

    A ``revision`` of None is looked up when the model is fetched, and recorded then.
    """

    hub_id: str | None = None
    revision: str | None = None
    package: str | None = None
    folder: str | None = None
    architecture: str = ""
    parameters: str = ""
    layers: int | None = Field(default=None, gt=0)
    licence: str = ""
    description: str = ""
    note: str = ""


class DatasetEntry(RegistryEntry):
    """A data set: where it is on the hub, and how it lies below a data folder.

    ``files`` are those of a language and split in the hub's repository on ``branch`` (parquet or
    TSV), ``layout`` the path below ``--data``; both are templates with ``{id}`` for the language's
    resource id, and ``{split}``.
    """

    hub_id: str | None = None
    revision: str | None = None
    branch: str = "main"
    files: str = ""
    layout: str = ""
    licence: str = ""
    homepage: str = ""
    note: str = ""


class LanguageEntry(RegistryEntry):
    """A natural language; the key in the registry is its code.

    ``stand_in`` says, for a data set without this language, what is used in its place;
    ``distances`` are those to English.
    """

    name: str
    script: str
    family: str = ""
    word_order: str = ""
    iso639_1: str = ""
    resources: dict[str, str] = Field(default_factory=dict)
    stand_in: dict[str, str] = Field(default_factory=dict)
    distances: dict[str, float] = Field(default_factory=dict)


class Binding(RegistryEntry):
    """Which source gives the data, with the source's options."""

    source: str
    options: dict[str, Any] = Field(default_factory=dict)


class TextBinding(Binding):
    """Parallel text, and the split of it that is used."""

    split: str = "train"


class RetrievalGroup(RegistryEntry):
    """Language pairs that a table shows together, as ``deu-eng``."""

    label: str
    pairs: tuple[str, ...]
    note: str = ""


class CompositionPart(RegistryEntry):
    """One objective of a composition: a variant of it or the defaults, changed fields, a weight."""

    variant: str | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    weight: float = Field(default=1.0, gt=0)


class Composition(RegistryEntry):
    """An objective that is the weighted sum of others."""

    description: str = ""
    source: str = ""
    parts: dict[str, CompositionPart] = Field(min_length=1)


class SuiteEntry(RegistryEntry):
    """A named bundle of encoder, corpora, languages and settings.

    ``corpus`` is what is aligned on; ``retrieval`` is parallel text for measuring, never trained
    on; ``text`` is parallel text that transforms are fitted on; ``dictionary`` has word
    translations: the first of several that has the pair counts. ``guard`` names the test sets
    (sources bound above, or ``retrieval``) whose sentences are taken out of the alignment text.
    """

    description: str = ""
    model: str
    source_language: str
    languages: tuple[str, ...]
    pairs: tuple[str, ...]
    default_pairs: tuple[str, ...] | None = None
    corpus: Binding
    tasks: dict[str, Binding]
    default_tasks: tuple[str, ...] | None = None
    retrieval: TextBinding | None = None
    retrieval_groups: dict[str, RetrievalGroup] = Field(default_factory=dict)
    text: TextBinding | None = None
    dictionary: tuple[Binding, ...] = ()
    guard: tuple[Binding, ...] = ()
    arms: tuple[str, ...]
    shuffled_variants: Literal["first", "all"] = "all"
    modes: tuple[str, ...]
    seeds: tuple[int, ...]
    align_seeds: tuple[int, ...]
    align: dict[str, Any]
    finetune: dict[str, Any]
    evaluate: dict[str, Any]
    probing: dict[str, Any] = Field(default_factory=dict)

    @field_validator("dictionary", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return [value] if isinstance(value, Mapping) else value

    @model_validator(mode="after")
    def _settings_are_known(self) -> Self:
        sections = {*self.modes, *self.tasks, "full", "linear"}
        own_sections = {"align": set(), "finetune": sections, "evaluate": set(), "probing": set()}
        for phase, own in own_sections.items():
            _check_names(getattr(self, phase), phase, own)
        return self


def _check_names(values: Mapping[str, Any], phase: str, sections: set[str]) -> None:
    known = known_fields(phase)
    for name, value in values.items():
        if name in sections and isinstance(value, Mapping):
            _check_names(value, phase, sections)
        elif name not in known:
            raise ValueError(str(UnknownName(f"{phase} setting", name, {*known, *sections})))


class Flag(RegistryEntry):
    """A remark on a published value that looks wrong, or cannot be compared."""

    row: str
    column: str
    remark: str


class PublishedTable(RegistryEntry):
    """Values from the literature, as printed.

    ``columns`` maps a column to (task, metric), as ``udpos: [pos, udpos_f1_xtreme]``: a value is
    shown beside ours where task and metric are the same, and never otherwise. Each row is
    ``[name, size, values...]``; ``scale`` is what 1.0 is printed as.
    """

    title: str
    source: str
    protocol: str = ""
    scale: float = Field(default=100.0, gt=0)
    columns: dict[str, tuple[str, str]]
    rows: tuple[tuple[str | float | None, ...], ...]
    flags: tuple[Flag, ...] = ()
    note: str = ""

    @field_validator("rows")
    @classmethod
    def _rows_are_named(cls, rows: tuple[tuple[Any, ...], ...]) -> tuple[tuple[Any, ...], ...]:
        for row in rows:
            if len(row) < 3 or not isinstance(row[0], str):
                raise ValueError(f"the row {list(row)} is not [name, size, values...]")
        return rows

    @model_validator(mode="after")
    def _rows_fit(self) -> Self:
        for row in self.rows:
            if len(row) != 2 + len(self.columns):
                raise ValueError(f"the row {row[0]!r} has not {len(self.columns)} values")
            if any(isinstance(value, str) for value in row[2:]):
                raise ValueError(f"the row {row[0]!r} has a value that is no number")
        names = {row[0] for row in self.rows}
        for flag in self.flags:
            if flag.row not in names or flag.column not in self.columns:
                raise ValueError(f"the flag on {flag.row!r}, {flag.column!r} points at nothing")
        return self


class ProbeTableEntry(RegistryEntry):
    """A table of what a probe measured.

    ``form``: ``pairs`` (the suite's groups of language pairs by encoders), ``languages`` (encoders
    by languages), ``depths`` (encoders, before and after fine-tuning, by layers) or ``measures`` (the
    same, by metrics). ``metrics`` maps a reader's words to metrics of the probe; ``depth`` is the
    relative depth of the layer shown; ``percent`` is for shares.
    """

    form: Literal["pairs", "languages", "depths", "measures"]
    title: str
    probe: str
    metrics: dict[str, str] = Field(min_length=1)
    depth: float | None = Field(default=None, ge=0, le=1)
    percent: bool = False
    note: str = ""


class ProbeFigureEntry(RegistryEntry):
    """A figure of what a probe measured.

    ``form``: ``layers`` (a row of panels for each of ``metrics``, layers from left to right; ``change``
    draws the change against the untouched encoder) or ``map`` (sentences at the places that the
    metrics ``NAME_1`` and ``NAME_2`` give them, at the layer nearest to the relative ``depth``).
    ``axis`` names the vertical axis.
    """

    form: Literal["layers", "map"]
    title: str
    probe: str
    metrics: dict[str, str] = Field(min_length=1)
    axis: str = ""
    change: bool = False
    depth: float = Field(default=1.0, ge=0, le=1)
    note: str = ""


class Registry(RegistryEntry):
    """The whole catalogue, and the ``files`` that it was read from.

    ``controls`` maps the name of an arm to the ``objective:variant`` that it stands for;
    ``variant_order`` has the variants that tables and figures show first, in their order.
    ``alignment_measures`` has, by probe, the metrics that reports hold against the change in
    accuracy.
    """

    version: Literal[1]
    models: dict[str, ModelEntry]
    datasets: dict[str, DatasetEntry] = Field(default_factory=dict)
    controls: dict[str, str]
    variant_order: tuple[str, ...] = ()
    aliases: dict[str, dict[str, str]]
    compositions: dict[str, Composition] = Field(default_factory=dict)
    suites: dict[str, SuiteEntry]
    languages: dict[str, LanguageEntry]
    published: dict[str, PublishedTable] = Field(default_factory=dict)
    probe_tables: dict[str, ProbeTableEntry] = Field(default_factory=dict)
    probe_figures: dict[str, ProbeFigureEntry] = Field(default_factory=dict)
    alignment_measures: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    files: tuple[Path, ...] = ()

    def suite(self, name: str) -> SuiteEntry:
        """The suite of that name. Raises :class:`UnknownName`."""
        if name not in self.suites:
            raise UnknownName("suite", name, self.suites)
        return self.suites[name]

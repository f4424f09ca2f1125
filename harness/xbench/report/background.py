"""What the catalogue knows and results do not say, handed over by whoever asks for a report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Form = Literal["pairs", "languages", "depths"]


@dataclass(frozen=True)
class ProbeTable:
    """A table of one probe's measures.

    ``form`` is its shape: ``pairs`` has the suite's groups of language pairs as rows and encoders
    as columns; ``languages`` encoders as rows and languages as columns; ``depths`` encoders as
    rows, before and after fine-tuning, and layers as columns. ``metrics`` maps what a reader sees
    to a metric. ``depth`` is relative: the measured layer that is nearest to it is shown; without
    one, what was measured of no layer in particular, else the mean over the layers. ``percent``
    says that values are shares.
    """

    form: Form
    title: str
    probe: str
    metrics: Mapping[str, str]
    depth: float | None = None
    percent: bool = False
    note: str = ""


@dataclass(frozen=True)
class Background:
    """The tables of probes, and what is known of languages.

    ``tables``: name -> table. ``groups``: label -> pairs, as ``deu-eng``. ``measures``: probe ->
    metrics of it that may predict transfer. ``scripts``: language -> script. ``distances``:
    language -> kind -> distance to the source language, of which ``kind`` is read. ``layers`` is
    how many the encoder has, where that is known.
    """

    tables: Mapping[str, ProbeTable] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    measures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    distances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    kind: str = "syntactic"
    layers: int | None = None

    @property
    def wanted(self) -> set[tuple[str, str]]:
        """All (probe, metric) that anything here is about."""
        shown = {(t.probe, metric) for t in self.tables.values() for metric in t.metrics.values()}
        return shown | {(p, metric) for p, metrics in self.measures.items() for metric in metrics}

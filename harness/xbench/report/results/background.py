"""What the catalogue knows and results do not say, handed over by whoever asks for a report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Form = Literal["pairs", "languages", "depths", "measures"]
FigureForm = Literal["layers", "map"]


@dataclass(frozen=True)
class ProbeTable:
    """A table of one probe's measures.

    ``form`` is its shape: ``pairs`` has the suite's groups of language pairs as rows and encoders
    as columns; ``languages`` encoders as rows and languages as columns; ``depths`` encoders as
    rows, before and after fine-tuning, and layers as columns; ``measures`` the same rows, with the
    metrics themselves as columns. ``metrics`` maps what a reader sees to a metric. ``depth`` is
    relative: the measured layer that is nearest to it is shown; without one, what was measured of
    no layer in particular, else the mean over the layers. ``percent`` says that values are shares.
    """

    form: Form
    title: str
    probe: str
    metrics: Mapping[str, str]
    depth: float | None = None
    percent: bool = False
    note: str = ""


@dataclass(frozen=True)
class ProbeFigure:
    """A figure of one probe's measures.

    ``form`` is its shape: ``layers`` has a row for each of ``metrics`` (what a reader sees -> a
    metric), layers from left to right and a line for each variant, as the change against the
    untouched encoder where ``change`` is set; ``map`` has sentences at the places that the metrics
    ``NAME_1`` and ``NAME_2`` give them, at the layer nearest to the relative ``depth``. ``axis`` is
    written on the vertical axis.
    """

    form: FigureForm
    title: str
    probe: str
    metrics: Mapping[str, str]
    axis: str = ""
    change: bool = False
    depth: float = 1.0
    note: str = ""

    @property
    def wanted(self) -> set[str]:
        """The metrics that are read."""
        if self.form == "layers":
            return set(self.metrics.values())
        return {f"{metric}_{axis}" for metric in self.metrics.values() for axis in (1, 2)}


@dataclass(frozen=True)
class Background:
    """The tables and figures of probes, and what is known of languages.

    ``tables``: name -> table. ``figures``: name -> figure. ``groups``: label -> pairs, as
    ``deu-eng``. ``measures``: probe -> metrics of it that may predict transfer. ``scripts``:
    language -> script. ``distances``: language -> kind -> distance to the source language, of which
    ``kind`` is read. ``layers`` is how many the encoder has, where that is known.
    """

    tables: Mapping[str, ProbeTable] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    measures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    distances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    kind: str = "syntactic"
    layers: int | None = None
    figures: Mapping[str, ProbeFigure] = field(default_factory=dict)

    @property
    def wanted(self) -> set[tuple[str, str]]:
        """All (probe, metric) that anything here is about."""
        shown = {(t.probe, metric) for t in self.tables.values() for metric in t.metrics.values()}
        shown |= {(f.probe, metric) for f in self.figures.values() for metric in f.wanted}
        return shown | {(p, metric) for p, metrics in self.measures.items() for metric in metrics}

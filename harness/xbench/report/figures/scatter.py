"""Does it predict transfer? The change of an alignment measure against the change in score."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from xbench.report.figures.lines import Series, legend, legend_columns
from xbench.report.figures.material import Drawing, Lacking, Material
from xbench.report.figures.palette import Look, Looks, wrapped
from xbench.report.results.averages import over_runs
from xbench.report.results.changes import (
    CellName,
    accuracy_changes,
    changes_by_run,
    measure_changes,
)
from xbench.report.results.probe_rows import Measure, Measured, Place, ProbeResults
from xbench.report.results.results import ComparedEncoder, Panel, Results
from xbench.report.style import Style
from xbench.report.tables import notes
from xbench.report.tables.probes.transfer import Association, associations, interval
from xbench.report.tables.wording import signed_decimal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Alignment measures against transfer"
MIDDLE = 2 / 3
"""The relative depth of the layer that is shown where a measure is of single layers: the study's."""
PANEL = (1.75, 1.6)
MANY = 150
"""Points from which on intervals would hide them."""


@dataclass(frozen=True)
class Point:
    """A cell of the matrix: changes of a measure (x) and of the score (y, in points)."""

    name: str
    look: Look
    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Scatter:
    """Panels by (row, column): their points, and what is written above them."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    panels: Mapping[tuple[int, int], tuple[str, Sequence[Point]]]
    y_label: str


def scatter_figures(material: Material) -> Iterator[Drawing | Lacking]:
    """A figure for each probe: its measures from left to right, tasks and modes from top to bottom."""
    results, probes = material.results, material.probes
    if results is None or probes is None:
        what = "a task that encoders are fine-tuned on" if results is None else "a probe"
        yield Lacking(TITLE, f"it takes {what}")
        return
    measures, source = material.background.measures, material.style.source_language
    shown = _shown(probes, measures, material.background.layers)
    found = [
        each for each in associations(results, shown, measures, source) if each.condition[1] is None
    ]
    by_probe: dict[str, list[Association]] = defaultdict(list)
    for each in found:
        by_probe[each.measure.probe].append(each)
    if not found:
        yield Lacking(TITLE, "no alignment measure and no score share three cells")
    for probe, members in by_probe.items():
        data = _scatter(results, probes, members, material.style)
        caption = _caption(material, members)
        title = f"{TITLE}: {probe}"
        yield Drawing(
            f"transfer-{probe}".replace("_", "-"), title, caption, partial(draw_points, data)
        )


def _shown(
    probes: ProbeResults, measures: Mapping[str, Sequence[str]], layers: int | None
) -> ProbeResults:
    """The measures alone, each at the layer that is shown."""
    kept: dict[Measure, Mapping[Place, Measured]] = {}
    for probe, metric in ((name, metric) for name in measures for metric in measures[name]):
        found = probes.of(probe, metric)
        whole = [measure for measure in found if measure.layer < 0]
        wanted = MIDDLE * (layers or max((measure.layer for measure in found), default=0))
        nearest = sorted(found, key=lambda m: (abs(m.layer - wanted), -m.layer))
        kept |= {measure: probes.found[measure] for measure in (whole or nearest)[:1]}
    return replace(probes, found=kept)


def _scatter(
    results: Results, probes: ProbeResults, members: Sequence[Association], style: Style
) -> Scatter:
    panels = list(dict.fromkeys(each.panel for each in members))
    measures = list(dict.fromkeys((each.measure, each.is_change) for each in members))
    looks, source = Looks.of(results.encoders, style), style.source_language
    found = {}
    for each in members:
        place = (panels.index(each.panel), measures.index((each.measure, each.is_change)))
        x = measure_changes(probes, each.measure, each.condition, source).of
        y = accuracy_changes(results, each.panel, source).of
        spans = score_intervals(results, each.panel, source)
        points = []
        names = sorted(set(x) & set(y), key=lambda name: (looks.order(_encoder(name)), name))
        for name in names:
            low, high = spans.get(name) or (None, None)
            look, label = looks.look(_encoder(name)), looks.name(_encoder(name))
            points.append(Point(label, look, x[name], 100 * y[name], _points(low), _points(high)))
        found[place] = (_correlation(each), points)
    return Scatter(
        rows=tuple("\n".join(panel) for panel in panels),
        columns=tuple(_column(measure, is_change) for measure, is_change in measures),
        panels=found,
        y_label="change in score, points",
    )


def _encoder(name: CellName) -> ComparedEncoder:
    """What a cell is called by: its pair is not part of it."""
    return ComparedEncoder("aligned", name[0] or None, name[1] or None)


def _points(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _column(measure: Measure, is_change: bool) -> str:
    words = measure.metric.replace("_", " ")
    layer = f"layer {measure.layer}" if measure.layer >= 0 else ""
    remark = "" if is_change else "value"
    lines = [wrapped(words, 24), ", ".join(part for part in (layer, remark) if part)]
    return "\n".join(line for line in lines if line)


def _correlation(each: Association) -> str:
    """``ρ = +0.12 [-0.30, +0.50]``, over the cells of a panel."""
    pooled = each.found.pooled
    if pooled.value is None:
        return "ρ undefined"
    return " ".join((f"ρ = {signed_decimal(pooled.value, 2)}", *interval(pooled, 2)))


def score_intervals(
    results: Results, panel: Panel, source: str | None
) -> dict[CellName, tuple[float, float]]:
    """The 95% t interval over seeds of the change in each cell's score.

    Cells are those of :func:`xbench.report.results.changes.accuracy_changes`. None where there is one seed.
    """
    intervals = {}
    for name, changes in changes_by_run(results, panel, source):
        found = over_runs(changes) if changes else None
        if found and found.low is not None and found.high is not None:
            intervals[name] = (found.low, found.high)
    return intervals


def draw_points(data: Scatter) -> "Figure":
    """The picture; intervals are thin lines behind the points."""
    from matplotlib.figure import Figure

    points = [point for _, members in data.panels.values() for point in members]
    names = {point.name: Series(point.name, _dot(point.look), (), ()) for point in points}
    columns = len(data.columns)
    width = max(PANEL[0] * columns + 0.7, 3.6)
    per_line = legend_columns(list(names), width)
    height = PANEL[1] * len(data.rows) + 0.6 + 0.16 * ceil(len(names) / per_line)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(len(data.rows), columns, sharex="col", sharey="row", squeeze=False)
    for row, title in enumerate(data.rows):
        for column, head in enumerate(data.columns):
            place = axes[row, column]
            text, members = data.panels.get((row, column), ("no data", ()))
            _panel(place, text, members)
            if row == len(data.rows) - 1:
                place.set_xlabel(head, fontsize=7)
        axes[row, 0].set_ylabel(title)
    figure.supylabel(data.y_label, fontsize=8)
    legend(figure, list(names.values()), per_line)
    return figure


def _dot(look: Look) -> Look:
    return Look(look.colour, look.marker, "None", look.filled)


def _panel(axes: "Axes", text: str, points: Sequence[Point]) -> None:
    axes.axhline(0, color="#555555", linewidth=0.7, zorder=1)
    axes.axvline(0, color="#555555", linewidth=0.7, zorder=1)
    axes.set_title(text, fontsize=6.5)
    for look in dict.fromkeys(point.look for point in points):
        own = [point for point in points if point.look == look]
        spans = [(p.x, p.low, p.high) for p in own if p.low is not None and p.high is not None]
        if spans and len(points) <= MANY:
            x, low, high = zip(*spans, strict=True)
            axes.vlines(x, low, high, color=look.colour, alpha=0.35, lw=0.6, zorder=2)
        axes.plot(
            [point.x for point in own],
            [point.y for point in own],
            marker=look.marker,
            color=look.colour,
            markersize=3.5,
            markeredgecolor="white",
            markeredgewidth=0.3,
            linestyle="None",
            zorder=3,
        )


def _caption(material: Material, members: Sequence[Association]) -> str:
    values = not all(each.is_change for each in members)
    sizes = sorted({each.found.cells for each in members})
    counts = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    assert material.results is not None
    seeds = max((len(found) for found in material.results.seeds.values()), default=1)
    aligned = len(material.results.align_seeds)
    crossed = f" and {aligned} alignment seeds" if aligned > 1 else ""
    parts = [
        f"{TITLE}. A point is one objective, variant, pair and target language, {counts} in a panel: "
        f"the change of the measure against the change in {notes.by_panel(material.results.metrics)}, "
        f"aligned less untouched encoder.",
        "Value: not measured of the untouched encoder." if values else "",
        f"Vertical lines: 95% t intervals over {seeds} fine-tuning seeds{crossed}, conditional on the "
        f"test items."
        if seeds > 1 and sizes[-1] <= MANY
        else "",
        "Above a panel: Spearman's correlation over its points, in brackets the 95% interval, which "
        "lets languages vary; not adjusted for the number of panels.",
        *notes.alignment(material.results),
        material.about,
    ]
    return " ".join(part for part in parts if part)

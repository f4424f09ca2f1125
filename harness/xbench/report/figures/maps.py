"""Maps of sentences: where those of each language lie, a panel for each encoder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from xbench.report.background import ProbeFigure
from xbench.report.figures.lines import Line, legend, legend_columns
from xbench.report.figures.look import Look, Looks, numbered, short
from xbench.report.figures.material import Drawing, Lacking, Material
from xbench.report.probe_cells import words_of
from xbench.report.probe_rows import Condition, Measure, ProbeResults
from xbench.report.results import Encoder
from xbench.report.table1 import UNTOUCHED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 4
PANEL = 1.65
UNKNOWN = "script not known"


@dataclass(frozen=True)
class Cloud:
    """One language on one map: its sentences' places, and where its name stands."""

    language: str
    script: str
    look: Look
    x: tuple[float, ...]
    y: tuple[float, ...]
    middle: tuple[float, float]


@dataclass(frozen=True)
class Maps:
    """Panels by title, each with its clouds."""

    panels: tuple[tuple[str, tuple[Cloud, ...]], ...]


def map_figures(material: Material) -> Iterator[Drawing | Lacking]:
    """A figure for each method of a map and pair that was aligned, the untouched encoder in front."""
    for name, spec in material.background.figures.items():
        if spec.form != "map":
            continue
        if material.probes is None:
            yield Lacking(spec.title, f"it takes the probe {spec.probe}, which was not run")
            continue
        drawn = list(_of_spec(material, material.probes, name, spec))
        if not drawn:
            yield Lacking(spec.title, f"the probe {spec.probe} has no places of languages")
        yield from drawn


def _of_spec(
    material: Material, probes: ProbeResults, name: str, spec: ProbeFigure
) -> Iterator[Drawing]:
    pairs = sorted({e.pair for e in probes.encoders if e.pair is not None})
    for label, metric in spec.metrics.items():
        axes = _axes(material, probes, spec, metric)
        if axes is None:
            continue
        for condition in probes.conditions(axes):
            for pair in pairs or [None]:
                data = _maps(material, probes, axes, (pair, condition))
                if not data.panels:
                    continue
                words = [label, *([pair] if pair else []), *words_of(condition)]
                about = ", ".join(short(word) for word in words)
                file = "-".join((name, metric, *words[1:])).replace("_", "-").replace(" ", "-")
                caption = _caption(material, spec, axes[0], about)
                yield Drawing(file, f"{spec.title} ({about})", caption, partial(draw_maps, data))


def _axes(
    material: Material, probes: ProbeResults, spec: ProbeFigure, metric: str
) -> tuple[Measure, Measure] | None:
    """The two measures that give places, at the layer nearest to the figure's depth."""
    first, second = (
        {measure.layer: measure for measure in probes.of(spec.probe, f"{metric}_{axis}")}
        for axis in (1, 2)
    )
    layers = sorted(set(first) & set(second))
    if not layers:
        return None
    wanted = spec.depth * (material.background.layers or layers[-1])
    layer = min(layers, key=lambda layer: (abs(layer - wanted), -layer))
    return first[layer], second[layer]


def _maps(
    material: Material,
    probes: ProbeResults,
    axes: tuple[Measure, Measure],
    at: tuple[str | None, Condition],
) -> Maps:
    pair, condition = at
    looks = Looks.of(probes.encoders)
    codes = [code for code in probes.languages(axes, condition) if code is not None]
    scripts = material.background.scripts
    names = sorted({scripts.get(code, UNKNOWN) for code in codes})
    encoders = [e for e in probes.encoders if e == UNTOUCHED or e.pair == pair]
    panels = []
    for encoder in sorted(encoders, key=looks.order):
        clouds = [
            _cloud(material, axes, (encoder, condition, code), names)
            for code in codes
            if _placed(probes, axes, (encoder, condition, code))
        ]
        if clouds:
            panels.append((looks.name(encoder), tuple(clouds)))
    return Maps(tuple(panels))


def _placed(
    probes: ProbeResults,
    axes: tuple[Measure, Measure],
    place: tuple[Encoder, Condition, str],
) -> bool:
    found = [probes.at(measure, place) for measure in axes]
    return all(one is not None and one.value is not None for one in found)


def _cloud(
    material: Material,
    axes: tuple[Measure, Measure],
    place: tuple[Encoder, Condition, str],
    scripts: Sequence[str],
) -> Cloud:
    assert material.probes is not None
    language = place[-1]
    script = material.background.scripts.get(language, UNKNOWN)
    x, y = (tuple(material.items.get((measure, place), ())) for measure in axes)
    middle = [material.probes.found[measure][place].value or 0.0 for measure in axes]
    look = numbered(scripts.index(script))
    return Cloud(short(language, 12), script, look, x, y, (middle[0], middle[1]))


def draw_maps(data: Maps) -> "Figure":
    """The picture: a colour and marker for each script, and each language's name at its middle."""
    from matplotlib.figure import Figure

    count = len(data.panels)
    across = min(ACROSS, count)
    down = ceil(count / across)
    scripts = {
        c.script: Line(c.script, Look(c.look.colour, c.look.marker, "None"), (), ())
        for _, clouds in data.panels
        for c in clouds
    }
    width = max(PANEL * across, 3.4)
    per_line = legend_columns(list(scripts), width)
    height = (PANEL + 0.12) * down + 0.16 * ceil(len(scripts) / per_line) + 0.1
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False)
    for place, spot in enumerate(axes.flat):
        if place < count:
            _panel(spot, *data.panels[place])
        else:
            spot.set_axis_off()
    legend(figure, [scripts[name] for name in sorted(scripts)], per_line)
    return figure


def _panel(axes: "Axes", title: str, clouds: Sequence[Cloud]) -> None:
    from matplotlib.patheffects import withStroke

    axes.set_title(title)
    axes.set_xticks([])
    axes.set_yticks([])
    for cloud in clouds:
        axes.plot(
            cloud.x or [cloud.middle[0]],
            cloud.y or [cloud.middle[1]],
            linestyle="None",
            marker=cloud.look.marker,
            color=cloud.look.colour,
            markersize=2,
            markeredgewidth=0,
            alpha=0.45,
            zorder=2,
        )
    for cloud in clouds:
        text = axes.text(
            *cloud.middle, cloud.language, fontsize=6, ha="center", va="center", zorder=3
        )
        text.set_path_effects([withStroke(linewidth=1.8, foreground="white")])


def _caption(material: Material, spec: ProbeFigure, measure: Measure, about: str) -> str:
    with_items = any(at == measure for at, _ in material.items)
    layer = f" at layer {measure.layer}" if measure.layer >= 0 else ""
    step = material.probes.step if material.probes else None
    parts = [
        f"{spec.title}{layer} ({about}); a panel for each encoder. A name stands at the mean of its "
        f"language's {'sentences, which are the dots' if with_items else 'sentences'}; colours and "
        f"markers are scripts.",
        spec.note,
        f"Aligned encoders after {step} steps." if step else "",
        material.about,
    ]
    return " ".join(part for part in parts if part)

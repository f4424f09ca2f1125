"""Maps of sentences: where those of each language lie, a panel for each encoder."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from xbench.report.figures.lines import Series, legend, legend_columns
from xbench.report.figures.material import Drawing, Lacking, Material
from xbench.report.figures.palette import Look, Looks, numbered, short, wrapped
from xbench.report.results.background import ProbeFigure
from xbench.report.results.probe_rows import Condition, Measure, ProbeResults
from xbench.report.results.results import UNTOUCHED, ComparedEncoder
from xbench.report.tables.probes.probe_cells import words_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACROSS = 4
PANEL = 1.65
LINE, LETTER = 0.085, 0.042
"""Height of a name, and width of one of its letters, as shares of a panel."""
STEPS = sorted(
    ((0.05 * column, LINE * row) for column in range(-8, 9) for row in range(-5, 6)),
    key=lambda step: (step[0] ** 2 + step[1] ** 2, step),
)
"""How far a name may be moved out of the way of others, the shortest way first."""
MOST_NAMES = 30
"""Languages from which on names would hide each other."""
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
    """A figure for each method of a map and pair that was aligned, the untouched encoder in front.

    Of encoders that were not fine-tuned: maps of several seeds have no mean.
    """
    for name, spec in material.background.figures.items():
        if spec.form != "map":
            continue
        if material.probes is None:
            yield Lacking(spec.title, f"it takes the probe {spec.probe}, which was not run")
            continue
        probes = material.mapped or material.probes
        drawn = list(_of_spec(replace(material, probes=probes), probes, name, spec))
        if not drawn:
            yield Lacking(spec.title, f"the probe {spec.probe} has no places of languages")
        yield from drawn


def _of_spec(
    material: Material, probes: ProbeResults, name: str, spec: ProbeFigure
) -> Iterator[Drawing]:
    for label, metric in spec.metrics.items():
        axes = _axes(material, probes, spec, metric)
        if axes is None:
            continue
        named = sorted({e.pair for e, _, _ in probes.found[axes[0]] if e.pair is not None})
        pairs: list[str | None] = [*named] or [None]
        for condition in [c for c in probes.conditions(axes) if c[1] is None]:
            for pair in pairs:
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
    looks = Looks.of(probes.encoders, material.style)
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
    place: tuple[ComparedEncoder, Condition, str],
) -> bool:
    found = [probes.at(measure, place) for measure in axes]
    return all(one is not None and one.value is not None for one in found)


def _cloud(
    material: Material,
    axes: tuple[Measure, Measure],
    place: tuple[ComparedEncoder, Condition, str],
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
        c.script: Series(c.script, Look(c.look.colour, c.look.marker, "None"), (), ())
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

    axes.set_title(wrapped(title, 24, 2))
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
            rasterized=True,
        )
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)
    named = clouds if len(clouds) <= MOST_NAMES else ()
    for cloud, place in zip(named, _apart(axes, named), strict=True):
        text = axes.text(*place, cloud.language, fontsize=6, ha="center", va="center", zorder=4)
        text.set_path_effects([withStroke(linewidth=1.8, foreground="white")])
        if place != cloud.middle:
            ends = zip(cloud.middle, place, strict=True)
            axes.plot(*ends, color="#333333", linewidth=0.5, zorder=3)


def _apart(axes: "Axes", clouds: Sequence[Cloud]) -> list[tuple[float, float]]:
    """Where names stand: at the middles, or at the nearest place where no other name is."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    width, height = right - left, top - bottom
    placed: dict[int, tuple[float, float, float]] = {}
    for number in sorted(range(len(clouds)), key=lambda n: (clouds[n].middle[1], n)):
        middle = clouds[number].middle
        half = LETTER * len(clouds[number].language) / 2
        x, y = _share(middle, (left, width), (bottom, height))
        places = [(x + dx, y + dy) for dx, dy in STEPS]
        free = (place for place in places if _is_free(place, half, placed.values()))
        placed[number] = (*next(free, places[0]), half)
    found = []
    for number, cloud in enumerate(clouds):
        x, y, _ = placed[number]
        moved = (x, y) != _share(cloud.middle, (left, width), (bottom, height))
        found.append((left + x * width, bottom + y * height) if moved else cloud.middle)
    return found


def _share(
    point: tuple[float, float], across: tuple[float, float], up: tuple[float, float]
) -> tuple[float, float]:
    """Where in the panel a point is, from 0 to 1."""
    return (point[0] - across[0]) / across[1], (point[1] - up[0]) / up[1]


def _is_free(
    place: tuple[float, float], half: float, others: Iterable[tuple[float, float, float]]
) -> bool:
    inside = half <= place[0] <= 1 - half and LINE / 2 <= place[1] <= 1 - LINE / 2
    return inside and all(
        abs(place[0] - x) >= half + other or abs(place[1] - y) >= LINE for x, y, other in others
    )


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
        f"Alignment seed {material.mapped.align_seeds[0]} alone: places of several have no mean."
        if material.mapped and material.mapped.align_seeds
        else "",
        material.about,
    ]
    return " ".join(part for part in parts if part)

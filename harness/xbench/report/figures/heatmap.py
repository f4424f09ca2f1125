"""Where alignment helps: the change in score by language and encoder, as numbers on colours."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any

from xbench.report.figures.material import Drawing, Lacking, Material
from xbench.report.figures.palette import Looks, short
from xbench.report.results.averages import CellAverage, average, difference
from xbench.report.results.results import UNTOUCHED, ComparedEncoder, Panel, Results
from xbench.report.statistics.run_noise import is_of_one_checkpoint
from xbench.report.tables import notes
from xbench.report.tables.wording import encoder_label, gap, percent, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE = "Change in score by language"
COLOURS = "PuOr"  # orange and violet: apart for the colour-blind, and of equal weight
MEAN = "mean"
BASE = "none: score"
ACROSS = 20  # columns beside each other
CENTRED: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 6}
LEAST = 0.005
"""A change of half a point has full colour at least, so that noise does not shine."""


@dataclass(frozen=True)
class Change:
    """A place of the map: the change as a fraction, or None and the ``word`` that stands there.

    ``sure`` is whether the interval over seeds leaves zero out, where it may say so: not where all
    seeds have one frozen encoder.
    """

    value: float | None
    word: str = ""
    sure: bool = False


@dataclass(frozen=True)
class HeatMap:
    """Changes by (row, column), and above them the untouched encoder's score in each column.

    ``groups`` names runs of rows: (name, how many). ``rules`` are the columns after which there is a
    gap.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    changes: tuple[tuple[Change, ...], ...]
    base: tuple[str, ...]
    groups: tuple[tuple[str, int], ...]
    rules: tuple[int, ...]


def heat_figures(material: Material) -> Iterator[Drawing | Lacking]:
    """A figure for each task and mode that has an aligned encoder and the untouched one."""
    if material.results is None:
        yield Lacking(TITLE, "the run fine-tuned no encoder on a task")
        return
    for panel in material.results.panels:
        title = f"{TITLE}: {notes.panel_name(panel)}"
        there = {encoder for at, encoder in material.results.blocks if at == panel}
        if UNTOUCHED not in there or len(there) < 2:
            yield Lacking(title, "it takes the untouched encoder and an aligned one")
            continue
        data = _map(material, material.results, panel)
        caption = _caption(material, material.results, panel)
        yield Drawing(f"changes-{'-'.join(panel)}", title, caption, partial(draw_map, data))


def _map(material: Material, results: Results, panel: Panel) -> HeatMap:
    source = material.style.source_language
    codes = notes.source_first(results.languages[panel], source)
    targets = [code for code in codes if code != source]
    spans = [[code] for code in codes] + ([targets] if len(targets) > 1 else [])
    names = [*codes, *([MEAN] if len(targets) > 1 else [])]
    rules = {1 if source in codes else 0, len(codes)} - {0, len(names)}
    looks = Looks.of(results.encoders, material.style)
    encoders = [e for at, e in results.blocks if at == panel and e != UNTOUCHED]
    encoders.sort(key=lambda e: (looks.order(e)[0], e.pair or "", looks.order(e)))
    means = [
        [_average(material, results, (panel, encoder), span) for span in spans]
        for encoder in (UNTOUCHED, *encoders)
    ]
    heads = [_head(encoder, material) for encoder in encoders]
    return HeatMap(
        rows=tuple(looks.name(encoder).removesuffix(" shuffled") for encoder in encoders),
        columns=tuple(short(name, 24) for name in names),
        changes=tuple(
            tuple(
                _change(after, before, panel[1])
                for after, before in zip(line, means[0], strict=True)
            )
            for line in means[1:]
        ),
        base=tuple(percent(m.mean_sd()[0]) if m.shown else gap(m) for m in means[0]),
        groups=_runs(heads),
        rules=tuple(sorted(rules)),
    )


def _average(
    material: Material,
    results: Results,
    place: tuple[Panel, ComparedEncoder],
    languages: Sequence[str],
) -> CellAverage:
    block = results.blocks.get(place, {})
    return average(block, languages, results.runs(*place), material.style.allow_partial)


def _change(after: CellAverage, before: CellAverage, mode: str) -> Change:
    found = difference(after, before)
    if found is None:
        return Change(None, gap(before if after.shown else after))
    sure = found.low is not None and found.high is not None and found.low * found.high > 0
    return Change(found.mean, "", sure and not is_of_one_checkpoint(mode, found.alignments))


def _head(encoder: ComparedEncoder, material: Material) -> str:
    label = encoder_label(encoder, material.style.short_codes)
    return short(label.removesuffix(" (control)"), 30)


def _runs(heads: Sequence[str]) -> tuple[tuple[str, int], ...]:
    runs: list[tuple[str, int]] = []
    for head in heads:
        if runs and runs[-1][0] == head:
            runs[-1] = (head, runs[-1][1] + 1)
        else:
            runs.append((head, 1))
    return tuple(runs)


def draw_map(data: HeatMap) -> "Figure":
    """The picture, in bands where there are many columns.

    Numbers stand in their cells, so that nothing hangs on telling colours apart.
    """
    from matplotlib.figure import Figure

    bands = _bands(data)
    names = max(map(len, (*data.rows, BASE)))
    heads = max((len(name) for name, _ in data.groups), default=0)
    across = max(len(band) for band in bands)
    width = max(0.42 * across + 0.065 * (names + heads) + 1.0, 3.0)
    above = 0.06 * max(map(len, data.columns)) + 0.3
    height = (0.2 * (len(data.rows) + 1) + above) * len(bands) + 0.3
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(len(bands), 1, squeeze=False)
    sizes = [abs(c.value) for line in data.changes for c in line if c.value is not None]
    for band, place in zip(bands, axes.flat, strict=True):
        part = _Band(data, band, _places(data, band), max([*sizes, LEAST]))
        _cells(place, part)
        _labels(place, part, across)
        _groups(place, data)
    return figure


@dataclass(frozen=True)
class _Band:
    """Some columns of a map, where each begins, and the change that has full colour."""

    data: HeatMap
    columns: Sequence[int]
    left: Sequence[float]
    limit: float


def _bands(data: HeatMap) -> list[range]:
    """The columns in as few bands as take them, all of about the same width."""
    count = len(data.columns)
    bands = ceil(count / ACROSS)
    size = ceil(count / bands)
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


def _places(data: HeatMap, columns: Sequence[int]) -> list[float]:
    """Where columns begin: 0.3 further to the right for each gap before them."""
    first = columns[0]
    return [
        column - first + 0.3 * sum(first < rule <= column for rule in data.rules)
        for column in columns
    ]


def _cells(axes: "Axes", band: _Band) -> None:
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    colours = colormaps[COLOURS]
    for column, left in zip(band.columns, band.left, strict=True):
        axes.text(left + 0.5, 0.5, _fitting(band.data.base[column]), **CENTRED)
        for row, line in enumerate(band.data.changes):
            change, middle = line[column], (left + 0.5, row + 1.7)
            if change.value is None:
                style = {"fc": "#f2f2f2", "ec": "#bbbbbb", "lw": 0, "hatch": "////"}
                axes.add_patch(Rectangle((left + 0.03, row + 1.23), 0.94, 0.94, **style))
                axes.text(*middle, _fitting(change.word), **CENTRED | {"fontsize": 4.5})
                continue
            colour = colours(0.5 + 0.5 * change.value / band.limit)
            box = Rectangle((left, row + 1.2), 1, 1, facecolor=colour, edgecolor="white", lw=0.8)
            axes.add_patch(box)
            light = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
            axes.text(
                *middle,
                signed(change.value),
                color="black" if light > 0.5 else "white",
                fontweight="bold" if change.sure else "normal",
                **CENTRED,
            )


def _fitting(word: str) -> str:
    """``incomplete (2/3)`` is too long for a cell."""
    return word if len(word) <= 8 else word.split()[0]


def _labels(axes: "Axes", band: _Band, across: int) -> None:
    data = band.data
    tilted = max(map(len, data.columns)) > 4
    axes.set_xlim(0, across + 0.3 * len(data.rules))
    axes.set_ylim(len(data.rows) + 1.25, 0)
    axes.set_xticks(
        [left + 0.5 for left in band.left],
        [data.columns[column] for column in band.columns],
        rotation=60 if tilted else 0,
        ha="left" if tilted else "center",
        rotation_mode="anchor",
    )
    axes.set_yticks([0.5, *(row + 1.7 for row in range(len(data.rows)))], [BASE, *data.rows])
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.grid(visible=False)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _groups(axes: "Axes", data: HeatMap) -> None:
    """The names of runs of rows, to the right of a line along them."""
    from matplotlib.transforms import offset_copy

    figure = axes.get_figure()
    line, text = (
        offset_copy(axes.get_yaxis_transform(), figure, x=points, units="points")
        for points in (4, 8)
    )
    row = 1.2
    for name, count in data.groups:
        ends = [row + 0.1, row + count - 0.1]
        axes.plot([1, 1], ends, color="black", lw=0.8, clip_on=False, transform=line)
        middle = row + count / 2
        axes.text(1, middle, name, transform=text, va="center", ha="left", fontsize=7)
        row += count


def _caption(material: Material, results: Results, panel: Panel) -> str:
    seeds = results.seeds[panel]
    source = material.style.source_language
    aligned = len(results.align_seeds)
    crossed = f" and {aligned} alignment seeds" if aligned > 1 else ""
    sure = (
        f"Bold: the 95% t interval over {len(seeds)} fine-tuning seeds{crossed} leaves zero out, not "
        f"adjusted for the number of cells, and without the noise of the test set."
        if len(seeds) > 1
        else "One seed: there are no intervals."
    )
    of_panel = results.only(panel)
    parts = [
        f"{TITLE} ({notes.panel_name(panel)}, {results.metrics[panel]}): points gained (violet) or "
        f"lost (orange) against the untouched encoder with the same "
        f"fine-tuning seeds, whose score is the first line.",
        f"The language that the task is learnt in, {source}, is the first column."
        if source in results.languages[panel]
        else "",
        "The mean is that of the other languages." if source in results.languages[panel] else "",
        sure,
        *(notes.withheld(of_panel) if len(seeds) > 1 else ()),
        *notes.alignment(results),
        material.about,
    ]
    return " ".join(part for part in parts if part)

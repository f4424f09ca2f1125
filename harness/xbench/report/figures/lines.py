"""Small multiples of lines: rows and columns of panels that share their axes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from xbench.report.figures.canvas import TEXT_WIDTH
from xbench.report.figures.palette import NOBODY, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL = (1.7, 1.35)
HANDLE, LETTER = 32.0, 4.5
"""Points: the width of a legend's entry without its name, and of one letter of it."""


@dataclass(frozen=True)
class Series:
    """A line through (x, y); where ``y`` is None it is interrupted. ``low`` and ``high`` make a band."""

    name: str
    look: Look
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True)
class LineGrid:
    """Panels by (row, column). Rows share the vertical axis, all share the horizontal one.

    ``zero`` draws the line of no change; ``ticks`` are the places of marks on the horizontal axis,
    where it is not continuous.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    panels: Mapping[tuple[int, int], Sequence[Series]]
    x_label: str
    y_label: str
    zero: bool = False
    ticks: tuple[float, ...] = field(default=())


def draw_lines(grid: LineGrid) -> "Figure":
    """The picture; a panel without lines says that there is no data."""
    from matplotlib.figure import Figure

    found = (line for lines in grid.panels.values() for line in lines)
    names = {line.name: line for line in sorted(found, key=lambda line: _rank(line.look))}
    width = max(TEXT_WIDTH, PANEL[0] * len(grid.columns)) if len(grid.columns) > 1 else 4.2
    per_line = legend_columns(list(names), width)
    legend_height = 0.16 * math.ceil(len(names) / per_line) + 0.1
    height = PANEL[1] * max(len(grid.rows), 1.3) + 0.4 + legend_height
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(
        len(grid.rows), len(grid.columns), sharex=True, sharey="row", squeeze=False
    )
    for row, title in enumerate(grid.rows):
        for column, head in enumerate(grid.columns):
            _panel(axes[row, column], grid, grid.panels.get((row, column), ()))
            if row == 0 and head:
                axes[row, column].set_title(head)
        axes[row, 0].set_ylabel(title)
    figure.supxlabel(grid.x_label, fontsize=8)
    figure.supylabel(grid.y_label, fontsize=8)
    legend(figure, [names[name] for name in names], per_line)
    return figure


def _rank(look: Look) -> int:
    """The untouched encoder first, controls last."""
    return 0 if look == NOBODY else 1 if look.filled else 2


def _panel(axes: "Axes", grid: LineGrid, lines: Sequence[Series]) -> None:
    if grid.zero:
        axes.axhline(0, color="#555555", linewidth=0.7, zorder=1)
    if grid.ticks:
        axes.set_xticks(grid.ticks, [f"{tick:g}" for tick in grid.ticks])
    if not any(value is not None for line in lines for value in line.y):
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color="#555555")
        return
    for line in lines:
        y = [math.nan if value is None else value for value in line.y]
        every = max(1, len(line.x) // 8)
        axes.plot(line.x, y, **style_of(line.look), markevery=every)
        if line.low:
            axes.fill_between(line.x, line.low, line.high, color=line.look.colour, alpha=0.15, lw=0)


def style_of(look: Look) -> dict[str, Any]:
    """A look in matplotlib's words."""
    return {
        "color": look.colour,
        "marker": look.marker or "None",
        "linestyle": look.line,
        "markerfacecolor": look.colour if look.filled else "white",
        "markeredgecolor": look.colour,
        "markeredgewidth": 0.8,
    }


def legend(figure: "Figure", lines: Sequence[Series], columns: int) -> None:
    """Names above the panels. Labels are set on drawn lines, so that any name is a name."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **style_of(line.look)) for line in lines]
    labels = [line.name for line in lines]
    shown = figure.legend(handles, labels, loc="outside upper center", ncols=columns)
    for text, label in zip(shown.get_texts(), labels, strict=True):
        text.set_text(label)


def legend_columns(names: Sequence[str], width: float) -> int:
    """How many columns of names fit into so many inches; names fill one column after the other."""
    lengths = [len(name) for name in names]
    for columns in range(len(names), 1, -1):
        down, more = divmod(len(names), columns)
        ends = list(accumulate([down + 1] * more + [down] * (columns - more)))
        longest = [max(lengths[i:j]) for i, j in zip([0, *ends], ends, strict=False)]
        if sum(HANDLE + LETTER * length for length in longest) <= 72 * width - 12:
            return columns
    return 1

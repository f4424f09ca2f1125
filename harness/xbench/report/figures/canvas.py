"""How every figure looks and is saved: sizes, fonts, and the same bytes for the same picture."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from xbench.report.figures.fonts import use_available

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEXT_WIDTH = 6.8
"""Inches: the width of the text of a page."""

DPI = 150
SETTINGS: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.w_pad": 0.06,
    "figure.dpi": DPI,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica", "sans-serif"],
    "font.size": 8,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.6,
    "legend.columnspacing": 1.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "pdf.fonttype": 42,  # fonts are embedded as TrueType, which every publisher takes
    "svg.fonttype": "none",  # text stays text, and a browser finds the letters it needs
    "svg.hashsalt": "xbench",  # identifiers by content, not by chance
    "text.hinting": "no_hinting",  # letters as wide in every format
    "text.parse_math": False,  # a name with $ is a name
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
}
# Nothing of when and by whom, so that the same picture has the same bytes.
ANONYMOUS = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}
FORMATS = tuple(ANONYMOUS)


@contextmanager
def style() -> Iterator[None]:
    """matplotlib's own defaults with ours, whatever the user has set up; undone at the end."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


def render(draw: "Callable[[], Figure]", formats: tuple[str, ...]) -> dict[str, bytes]:
    """A picture in some of ``svg``, ``pdf`` and ``png``. Raises ``ValueError`` for other formats.

    Characters that no font of this machine has are boxes in ``pdf`` and ``png``.
    """
    unknown = [name for name in formats if name not in ANONYMOUS]
    if unknown:
        raise ValueError(f"cannot draw {', '.join(unknown)}; choose from {', '.join(FORMATS)}")
    with style(), warnings.catch_warnings():
        figure = draw()
        if use_available(figure):
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.draw_without_rendering()  # finds the layout, once for all formats
        figure.set_layout_engine("none")
        return {name: _saved(figure, name) for name in formats}


def _saved(figure: "Figure", name: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=name, metadata=ANONYMOUS[name], dpi=DPI)
    return buffer.getvalue()

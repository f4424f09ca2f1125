"""Which colour, marker and line stands for which encoder, the same in all figures of a run.

Colours are those of Okabe and Ito (2008), which the colour-blind tell apart; markers and lines say
the same again for a print in grey.
"""

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xbench.report.render.escape import clean
from xbench.report.results.results import UNTOUCHED, ComparedEncoder
from xbench.report.style import Style
from xbench.report.tables.table1 import in_order

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "<", "X", ">", "p", "h", "*")
LINES = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)))
BLACK = "#000000"
FEW = 36  # characters of a name that are shown

LineStyle = str | tuple[int, tuple[int, ...]]


@dataclass(frozen=True)
class Look:
    """How something is drawn. ``filled`` is whether its markers are."""

    colour: str = BLACK
    marker: str = "o"
    line: LineStyle = "-"
    filled: bool = True


NOBODY = Look(BLACK, "", (0, (4, 2)))
"""The untouched encoder's look: a dashed black line without markers."""


def numbered(number: int) -> Look:
    """The look of the n-th of several things; no two of the first 84 are alike."""
    line = LINES[number // len(COLOURS) % len(LINES)]
    return Look(COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)], line)


@dataclass(frozen=True)
class Looks:
    """The looks and names of a run's encoders."""

    of_variant: Mapping[tuple[str, str], Look]
    several_objectives: bool

    @classmethod
    def of(cls, encoders: Iterable[ComparedEncoder], style: Style) -> "Looks":
        """Variants in the style's order, then by objective and name."""
        found = [encoder for encoder in encoders if encoder != UNTOUCHED]
        names = in_order({_variant(encoder) for encoder in found}, style)
        return cls(
            {name: numbered(place) for place, name in enumerate(names)},
            len({encoder.objective for encoder in found}) > 1,
        )

    def look(self, encoder: ComparedEncoder) -> Look:
        """A control is drawn like its variant, hollow and dotted."""
        if encoder == UNTOUCHED:
            return NOBODY
        own = self.of_variant[_variant(encoder)]
        return own if encoder.arm == "aligned" else Look(own.colour, own.marker, ":", False)

    def name(self, encoder: ComparedEncoder) -> str:
        """``S1W0M0``, ``hictl:S1W0M0 shuffled``; without the pair."""
        objective, variant = _variant(encoder)
        if encoder == UNTOUCHED:
            return "none"
        full = f"{objective}:{variant}" if self.several_objectives and variant else variant
        words = [short(full or objective)]
        if encoder.arm == "shuffled":
            words.append("shuffled")
        return " ".join(words)

    def order(self, encoder: ComparedEncoder) -> tuple[int, int, bool]:
        """The untouched encoder first, controls last."""
        if encoder == UNTOUCHED:
            return 0, 0, False
        place = list(self.of_variant).index(_variant(encoder))
        return (1 if encoder.arm == "aligned" else 2), place, encoder.during


def short(text: str, most: int = FEW) -> str:
    """On one line, and what is long without its middle."""
    line = clean(text)
    if len(line) <= most:
        return line
    head = most // 2
    return f"{line[:head]}…{line[len(line) - (most - head - 1) :]}"


def wrapped(text: str, width: int, lines: int = 3) -> str:
    """On several lines of at most ``width`` characters; what is longer loses its middle."""
    return "\n".join(textwrap.wrap(short(text, width * lines), width)) or text


def _variant(encoder: ComparedEncoder) -> tuple[str, str]:
    return encoder.objective or "", encoder.variant or ""

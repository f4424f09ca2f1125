"""Letters of all scripts: where the figure's own font lacks some, another font of the machine steps in.

In SVG text stays text, and the reader's browser finds letters and order. In PDF and PNG right-to-left
scripts are joined and ordered by matplotlib from 3.11 on; older versions write them from the left.
"""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OWN = "DejaVu Sans"
"""It comes with matplotlib: Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew, Arabic."""

PREFERRED = "Noto"
PLACEHOLDERS = ("Last Resort",)
"""Fonts that have a box for every character."""


def use_available(figure: "Figure") -> str:
    """Gives each text of the figure the fonts that it needs; returns the characters that none has.

    Texts that the figure's own font can write stay as they are, so that the same figure is the same
    on every machine.
    """
    from matplotlib.text import Text

    lacking: set[str] = set()
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        wanted = _missing(text.get_text())
        if not wanted:
            continue
        families, left = _families(wanted)
        lacking |= left
        text.set_fontfamily([OWN, *families, "sans-serif"])
    return "".join(sorted(lacking))


def _families(wanted: set[str]) -> tuple[list[str], set[str]]:
    """Fonts that have the characters, each once, and the characters that remain."""
    chosen: list[str] = []
    left = set(wanted)
    for family, path in candidates().items():
        found = {char for char in left if ord(char) in _characters(path)}
        if found:
            chosen.append(family)
            left -= found
        if not left:
            break
    return chosen, left


@cache
def candidates() -> dict[str, str]:
    """The machine's other upright fonts of normal weight and their files, those of all scripts first."""
    from matplotlib.font_manager import fontManager

    found = {
        font.name: font.fname
        for font in sorted(fontManager.ttflist, key=lambda font: font.fname, reverse=True)
        if font.style == "normal" and font.weight in (400, "normal", "regular", "book")
    }
    names = [name for name in found if name != OWN and not name.startswith(PLACEHOLDERS)]
    names.sort(key=lambda name: (not name.startswith(PREFERRED), name))
    return {name: found[name] for name in names}


@cache
def _characters(path: str) -> frozenset[int]:
    from matplotlib.font_manager import get_font

    return frozenset(get_font(path).get_charmap())


@cache
def _own() -> str:
    from matplotlib.font_manager import FontProperties, findfont

    return str(findfont(FontProperties(family=[OWN])))


def _missing(text: str) -> set[str]:
    """The characters that the figure's own font lacks."""
    known = _characters(_own())
    return {char for char in text if not char.isspace() and ord(char) not in known}

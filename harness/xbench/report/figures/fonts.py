"""Letters of all scripts: where the figure's own font lacks some, another font of the machine steps in."""

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
        wanted = _missing(text.get_text(), OWN)
        if not wanted:
            continue
        families, left = _families(wanted)
        lacking |= left
        text.set_fontfamily([OWN, *families])
    return "".join(sorted(lacking))


def _families(wanted: set[str]) -> tuple[list[str], set[str]]:
    """Fonts that have the characters, each once, and the characters that remain."""
    chosen: list[str] = []
    left = set(wanted)
    for family in _candidates():
        found = {char for char in left if ord(char) in _characters(family)}
        if found:
            chosen.append(family)
            left -= found
        if not left:
            break
    return chosen, left


@cache
def _candidates() -> tuple[str, ...]:
    """The machine's other fonts, those made for all scripts first."""
    from matplotlib.font_manager import fontManager

    names = {font.name for font in fontManager.ttflist}
    kept = [name for name in names if name != OWN and not name.startswith(PLACEHOLDERS)]
    return tuple(sorted(kept, key=lambda name: (not name.startswith(PREFERRED), name)))


@cache
def _characters(family: str) -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties(family=[family])))
    return frozenset(font.get_charmap())


def _missing(text: str, family: str) -> set[str]:
    return {char for char in text if not char.isspace() and ord(char) not in _characters(family)}

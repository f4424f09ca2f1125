"""Text made safe for Markdown, LaTeX and a terminal. Scripts of all languages pass through."""

import re
import unicodedata

_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVALID = frozenset({"Cc", "Cs"})
"""Unicode categories: control characters and lone surrogates."""

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "_": r"\_",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\char34{}",  # active in some of babel's languages
    "[": "{[}",  # after a line break it would open an optional argument
    "]": "{]}",
    "*": "{*}",  # likewise, a starred line break
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{MINUS SIGN}": "$-$",
    "\N{DAGGER}": r"$^{\dagger}$",
}
_MARKDOWN_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"}
_MARKDOWN_BACKSLASHED = frozenset("\\`*_{}[]#~!$")


def clean(text: str) -> str:
    """One line without control characters.

    White space of every kind becomes a single blank; characters that cannot be printed or encoded
    become U+FFFD; controls that override the direction of writing are dropped.
    """
    kept = "".join(char for char in text if char not in _BIDI_CONTROLS)
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in _INVALID else char
        for char in " ".join(kept.split())
    )


def latex(text: str) -> str:
    """Text for LaTeX's text mode, with every special character spelt out."""
    escaped = "".join(_LATEX.get(char, char) for char in clean(text))
    return re.sub("-(?=-)", "-{}", escaped)  # two hyphens would become a dash


def markdown(text: str) -> str:
    """Text for a place inside a line of GitHub's Markdown, table cells included."""
    return "".join(_markdown_character(char) for char in clean(text))


def markdown_paragraph(text: str) -> str:
    """Text at the start of a line, where ``1.``, ``-``, ``+`` and ``=`` mean something as well."""
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", markdown(text))


def _markdown_character(char: str) -> str:
    if char in _MARKDOWN_BACKSLASHED:
        return "\\" + char
    return _MARKDOWN_ENTITIES.get(char, char)

"""Errors that are the user's to mend: shown as a message of one screen, never as a traceback."""

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher, get_close_matches


class XbenchError(Exception):
    """Something the user can put right; the message says what, where and how."""


class UnknownName(XbenchError):
    """A name that nothing answers to, with suggestions."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        known = sorted(known)
        close = _closest(name, known)
        if close:
            advice = "Did you mean " + " or ".join(repr(c) for c in close) + "?"
        elif known:
            advice = "Known: " + ", ".join(known) + "."
        else:
            advice = "None is known."
        super().__init__(f"Unknown {kind} {name!r}. {advice}" + (f" {hint}" if hint else ""))
        self.name = name
        self.suggestions = close


def _closest(name: str, known: Sequence[str]) -> list[str]:
    """Up to three names that may have been meant, the likeliest first; none far behind it."""
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    likeness = [SequenceMatcher(None, name, other).ratio() for other in close]
    return [other for other, like in zip(close, likeness, strict=True) if like > likeness[0] - 0.15]

"""How numbers and gaps are written: percent with fixed digits, differences with their sign."""

from collections.abc import Mapping

from xbench.report.results.averages import CellAverage
from xbench.report.results.results import ComparedEncoder
from xbench.report.table import Difference

DIGITS = 1
"""Decimals of a percentage; numbers that are no percentage have two more."""

MINUS = "\N{MINUS SIGN}"
PLUS_MINUS = "\N{PLUS-MINUS SIGN}"
DAGGER = "\N{DAGGER}"
ABSENT = "\N{EN DASH}"


def percent(fraction: float, digits: int = DIGITS) -> str:
    """``0.7012 -> 70.1``."""
    return f"{100 * fraction:.{digits}f}"


def signed(fraction: float, digits: int = DIGITS) -> str:
    """``0.012 -> +1.2``; no sign where it rounds to zero."""
    size = percent(abs(fraction), digits)
    if float(size) == 0:
        return size
    return (MINUS if fraction < 0 else "+") + size


def decimal(value: float, digits: int) -> str:
    """``0.7012 -> 0.701``, with a minus sign where it is negative."""
    size = f"{abs(value):.{digits}f}"
    return (MINUS if value < 0 and float(size) else "") + size


def signed_decimal(value: float, digits: int) -> str:
    """``0.012 -> +0.012``; no sign where it rounds to zero."""
    text = decimal(value, digits)
    return text if text.startswith(MINUS) or not float(text) else f"+{text}"


def mean_and_sd(mean: float, sd: float | None) -> str:
    """``70.1 ± 0.3``, or the mean alone where one seed gives no deviation."""
    if sd is None:
        return percent(mean)
    return f"{percent(mean)} {PLUS_MINUS} {percent(sd)}"


def difference_lines(difference: Difference) -> tuple[str, ...]:
    """``+1.2`` and, from two seeds on, ``[-0.3, +2.7]``."""
    mean = signed(difference.mean)
    if difference.low is None or difference.high is None:
        return (mean,)
    return (mean, f"[{signed(difference.low)}, {signed(difference.high)}]")


def gap(average: CellAverage) -> str:
    """What stands where a number would be."""
    if average.status == "absent":
        return ABSENT
    if average.status == "incomplete":
        return f"incomplete ({average.have}/{average.want})"
    return average.status


def encoder_label(encoder: ComparedEncoder, short_codes: Mapping[str, str]) -> str:
    """``none``, ``de-en`` or ``de-en shuffled``, marked where it is a control."""
    if encoder.arm == "none":
        return "none (control)"
    codes = (encoder.pair or "").split("-")
    if all(code in short_codes for code in codes):
        codes = [short_codes[code] for code in codes]
    words = ["-".join(codes) or "no pair"]
    if encoder.during:
        words.append("during fine-tuning")
    if encoder.arm == "shuffled":
        words.append("shuffled (control)")
    return " ".join(words)

"""Marks differences that are significant after correction for how many a table shows."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from xbench.api.claim import Effect
from xbench.report.statistics.inference import LEVEL, SPREADLESS, holm, p_beyond
from xbench.report.statistics.run_noise import is_of_one_checkpoint
from xbench.report.table import Difference, TableCell
from xbench.report.tables.wording import DAGGER

Key = TypeVar("Key")
Lines = Mapping[Key, tuple[TableCell, ...]]

STAR = "*"
MEANING = (
    f"{STAR}: differs from none at 5 % after Holm's correction over all differences of a panel "
    f"(two-sided paired t tests over seeds)."
)

OF_ONE_ALIGNMENT = (
    "It covers fine-tuning seeds of the one aligned checkpoint, not another alignment run."
)


def corrected(lines: "Lines[Key]", mode: str) -> dict[Key, tuple[TableCell, ...]]:
    """The cells with p values adjusted by Holm over all of them, and a star where these are small.

    A difference without an interval, or without any spread over seeds, or of averages over a part of
    the languages, is not tested and no part of the family. Nor is one of a single aligned encoder
    that is frozen (``mode``): seeds vary its head alone, and say nothing of another alignment.
    """
    found = {
        (key, place): p
        for key, cells in lines.items()
        for place, cell in enumerate(cells)
        if not _is_partial(cell) and (p := _p_value(cell.difference, mode)) is not None
    }
    adjusted = dict(zip(found, holm(list(found.values())), strict=True))
    return {
        key: tuple(_marked(cell, adjusted.get((key, place))) for place, cell in enumerate(cells))
        for key, cells in lines.items()
    }


def _is_partial(cell: TableCell) -> bool:
    return bool(cell.details) and cell.details[0].endswith(DAGGER)


def _p_value(difference: Difference | None, mode: str) -> float | None:
    """Of the paired t test whose 95% interval the difference has."""
    if difference is None or is_of_one_checkpoint(mode, difference.alignments):
        return None
    if difference.low is None or difference.high is None or difference.freedom is None:
        return None
    from scipy.special import stdtrit  # scipy.stats takes half a second to import

    freedom = difference.freedom
    error = (difference.high - difference.low) / 2 / float(stdtrit(freedom, 1 - LEVEL / 2))
    if error <= SPREADLESS:
        return None
    return p_beyond(Effect(difference.mean, error, freedom, difference.n))


def _marked(cell: TableCell, adjusted: float | None) -> TableCell:
    if adjusted is None or cell.difference is None:
        return cell
    details = cell.details
    if adjusted <= LEVEL:
        details = (f"{details[0]}{STAR}", *details[1:])
    return replace(cell, difference=replace(cell.difference, adjusted=adjusted), details=details)

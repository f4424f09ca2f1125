"""Tables B1 of the study: the settings of every phase, and who stated each value.

The source of a value is *paper* (the study states it), *code* (public code that it builds on sets
it) or *reconstruction* (nobody states it); what is said beyond that stands beside it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from xbench.report.table import Column, Table, TableCell, TableRow

Settings = Mapping[str, Any]
Sources = Mapping[str, str]
KINDS = ("paper", "code", "reconstruction")
UNSTATED = "xbench's own default"


def settings_table(suite: str, phase: str, settings: Settings, sources: Sources) -> Table:
    """One phase: a row for each setting by its dotted name, with value, source and remark.

    ``sources`` says for a setting who stated it; one that it lacks is a default of the software.
    """
    names = sorted(flat(settings), key=_order)
    values = flat(settings)
    rows = tuple(TableRow(name) for name in names)
    cells = tuple(_cells(values[name], sources.get(name, UNSTATED)) for name in names)
    counts = {kind: sum(kind_of(sources.get(n, "")) == kind for n in names) for kind in KINDS}
    stated = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    return Table(
        name="settings",
        label=f"tab:settings-{phase.replace(' ', '-').replace('_', '-')}",
        title=f"Table B1: settings of {phase}",
        caption=(
            f"Settings of {phase} in the suite {suite}, with the source of each value: the paper, "
            f"public code, or a reconstruction where nobody states it ({stated})."
        ),
        columns=(Column("value"), Column("source"), Column("remark")),
        rows=rows,
        cells=cells,
        stub="setting",
        column_stub="",
    )


def flat(settings: Settings, prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        dotted = f"{prefix}.{name}" if prefix else str(name)
        found |= flat(value, dotted) if isinstance(value, Mapping) else {dotted: value}
    return found


def kind_of(source: str) -> str:
    """``paper``, ``code`` or ``reconstruction``, from how a source begins; else the empty string.

    "reconstruction, from code: X" is a reconstruction: the study itself does not state the value.
    """
    return next((kind for kind in KINDS if source.startswith(kind)), "")


def _cells(value: Any, source: str) -> tuple[TableCell, ...]:
    kind = kind_of(source)
    if not kind:
        return TableCell(shown(value)), TableCell(source), TableCell("")
    remark = source[len(kind) :].strip(" :,;")
    if remark.startswith("(") and remark.endswith(")"):
        remark = remark[1:-1]
    return TableCell(shown(value)), TableCell(kind), TableCell(remark)


def shown(value: Any) -> str:
    """A setting's value as a person writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "not set"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(shown, value)) or "none"
    return str(value)


def _order(name: str) -> tuple[int, str]:
    """General settings before those of a task or mode."""
    return name.count("."), name

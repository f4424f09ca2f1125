"""The tables of a comparison of two runs: settings, averages, and differences by language."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xbench.report.results.results import NOT_TUNED, Run
from xbench.report.statistics.run_noise import alignments
from xbench.report.style import Style
from xbench.report.table import Column, Table, TableCell, TableRow
from xbench.report.tables import notes
from xbench.report.tables.comparison.compare import Pairing, Side, pair_up
from xbench.report.tables.comparison.compare_line import ComparedLine
from xbench.report.tables.settings_table import flat, shown
from xbench.report.tables.wording import ABSENT, PLUS_MINUS


def compare(
    first: Side, second: Side, metrics: Mapping[str, str], style: Style | None = None
) -> list[Table]:
    """The settings that differ, then the cells of tasks and of probes that both runs have.

    ``metrics`` says which metric of a task is compared. Raises ``ValueError`` where the runs have
    no cell in common.
    """
    pairing = pair_up(first, second, metrics)
    tables = [_settings(first, second)]
    for probed in (False, True):
        places = [p for p in pairing.shared if (pairing.at(p, "probe") is not None) == probed]
        if places:
            lines = _grouped([ComparedLine(pairing, place, style or Style()) for place in places])
            tables.append(_averages(pairing, lines, "probes" if probed else "tasks"))
            if not probed:
                tables.append(_by_language(pairing, lines))
    return tables


def _averages(pairing: Pairing, lines: Sequence[ComparedLine], what: str) -> Table:
    sides = [line.sides for line in lines]
    places = [
        (f"{line.header.group[0]}, {line.header.label}, {name}", side)
        for line, both in zip(lines, sides, strict=True)
        for name, side in zip(pairing.names, both, strict=True)
    ]
    labels = [
        " ".join([name, *([f"({', '.join(values)})"] if values else [])])
        for number, name in enumerate(pairing.names)
        for values in [[both[number] for both in pairing.differing.values()]]
    ]
    unit = "as measured" if what == "probes" else "in percent"
    return Table(
        name="compare",
        label=f"tab:compare-{what}",
        title=f"Two runs compared: {what}",
        caption=(
            f"Averages {unit} over the languages and seeds that both runs were asked for, mean "
            f"{PLUS_MINUS} sd over seeds; {_what_is_subtracted(pairing)}, with its 95% t interval "
            f"over seeds."
        ),
        columns=(*map(Column, labels), Column("difference")),
        rows=tuple(line.header for line in lines),
        cells=tuple(
            (line.number(mine), line.number(other), line.change((mine, other)))
            for line, (mine, other) in zip(lines, sides, strict=True)
        ),
        stub="encoder",
        column_stub="run",
        notes=(*_notes(pairing, lines), *notes.gaps(places)),
    )


def _by_language(pairing: Pairing, lines: Sequence[ComparedLine]) -> Table:
    codes = list(dict.fromkeys(code for line in lines for code in line.languages))
    return Table(
        name="compare_languages",
        label="tab:compare-languages",
        title="Two runs compared: differences by language",
        caption=(
            f"In percent: {_what_is_subtracted(pairing)}, with its 95% t interval over seeds, for "
            f"each language that both runs were asked for."
        ),
        columns=tuple(map(Column, codes)),
        rows=tuple(line.header for line in lines),
        cells=tuple(
            tuple(
                line.change(line.over([code]))
                if code in line.languages
                else TableCell(ABSENT, "absent")
                for code in codes
            )
            for line in lines
        ),
        stub="encoder",
        column_stub="language",
        notes=_notes(pairing, lines),
    )


def _grouped(lines: list[ComparedLine]) -> list[ComparedLine]:
    """In order, but lines of one group together."""
    groups = list(dict.fromkeys(line.header.group for line in lines))
    return sorted(lines, key=lambda line: groups.index(line.header.group))


def _what_is_subtracted(pairing: Pairing) -> str:
    first, second = pairing.names
    return f"the difference is {second} less {first}, paired by seed"


def _notes(pairing: Pairing, lines: Sequence[ComparedLine]) -> tuple[str, ...]:
    (first, second), (mine, other) = pairing.names, pairing.only
    apart = "; ".join(
        f"{name}: {a} in {first}, {b} in {second}" for name, (a, b) in pairing.differing.items()
    )
    seeds = {run.seed for line in lines for run in line.runs if run.seed != NOT_TUNED}
    aligned = alignments(run for line in lines for run in line.runs)
    return (
        f"Paired across: {apart}." if apart else "Paired by all coordinates.",
        f"Without a partner, and not shown: {mine} cells of {first}, {other} of {second} (a cell "
        f"has all its languages and seeds).",
        *_of_one_run(pairing, lines),
        f"Seeds in common: {', '.join(map(str, sorted(seeds))) or 'none'}. Intervals are not "
        f"adjusted for the number of comparisons, and without the noise of the test set.",
        *_of_alignments(aligned),
    )


def _of_alignments(seeds: Sequence[int]) -> list[str]:
    if not seeds:
        return []
    listed = ", ".join(map(str, seeds))
    if len(seeds) == 1:
        return [
            f"One alignment seed ({listed}): intervals do not cover what another alignment run would "
            f"give."
        ]
    return [f"Alignment seeds in common: {listed}; intervals are over both kinds of seeds."]


def _of_one_run(pairing: Pairing, lines: Sequence[ComparedLine]) -> list[str]:
    """The languages and seeds that are left out, as only one run was asked for them."""
    found = []
    for number, name in enumerate(pairing.names):
        mine = {cell for line in lines for cell in line.blocks[number]}
        other = {cell for line in lines for cell in line.blocks[1 - number]}
        parts = [
            f"{what} {', '.join(map(str, sorted(only)))}"
            for what, of in _DIMENSIONS.items()
            if (
                only := {of(cell) for cell in mine}
                - {of(cell) for cell in other}
                - {None, NOT_TUNED}
            )
        ]
        if parts:
            found.append(f"Of {name} alone, and left out: {'; '.join(parts)}.")
    return found


_DIMENSIONS: Mapping[str, Callable[[tuple[str, Run]], Any]] = {
    "languages": lambda cell: cell[0],
    "seeds": lambda cell: cell[1].seed,
    "alignment seeds": lambda cell: cell[1].align_seed,
}


def _settings(first: Side, second: Side) -> Table:
    """Every setting that is not the same in both runs."""
    values = [flat(side.settings) for side in (first, second)]
    names = [name for name in sorted({*values[0], *values[1]}) if _differs(name, *values)]
    return Table(
        name="compare_settings",
        label="tab:compare-settings",
        title="Two runs compared: settings that differ",
        caption=(
            f"Settings of {first.name} and {second.name} that are not the same."
            if names
            else f"{first.name} and {second.name} were asked for with the same settings."
        ),
        columns=(Column(first.name), Column(second.name)),
        rows=tuple(map(TableRow, names)),
        cells=tuple(
            tuple(
                TableCell(shown(of[name])) if name in of else TableCell(ABSENT, "absent")
                for of in values
            )
            for name in names
        ),
        stub="setting",
        column_stub="run",
    )


def _differs(name: str, first: Mapping[str, object], second: Mapping[str, object]) -> bool:
    return (name in first) != (name in second) or first.get(name) != second.get(name)

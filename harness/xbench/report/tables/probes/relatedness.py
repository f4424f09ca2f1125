"""Relatedness: whom does alignment help? Languages it saw, others in a known script, the far ones?"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from xbench.report.results.background import Background
from xbench.report.results.changes import CellName, Changes, accuracy_changes, measure_changes
from xbench.report.results.probe_rows import ProbeResults
from xbench.report.results.results import Results
from xbench.report.statistics.stats import (
    FEWEST_CLUSTERS,
    RESAMPLES,
    Estimate,
    cluster_contrast,
    correlations,
)
from xbench.report.style import Style
from xbench.report.table import Column, Table, TableCell, TableRow
from xbench.report.tables import notes
from xbench.report.tables.probes.transfer import interval, whole
from xbench.report.tables.wording import ABSENT, DAGGER, DIGITS, signed, signed_decimal

SEEN, SAME, DIFFERENT = "seen", "unseen, same script", "unseen, different script"
NEAR, FAR = "nearer", "farther"
Chosen = Callable[[CellName], bool]


@dataclass(frozen=True)
class LanguageGroup:
    """A column: the mean change of ``first`` cells, less that of ``second`` ones where given."""

    label: str
    first: Chosen
    second: Chosen | None = None


@dataclass(frozen=True)
class RelationLine:
    """A row: the changes of one (task, mode) or measure."""

    group: str
    label: str
    changes: Changes
    percent: bool


def relation(name: CellName, scripts: Mapping[str, str]) -> str | None:
    """How a cell's language stands to its pair; None where a script is not known.

    A language is *seen* where it is one of the pair; else its script is the same as that of either
    of the pair's languages, or different from both.
    """
    *_, pair, language = name
    sides = pair.split("-")
    if language in sides:
        return SEEN
    known = [scripts.get(code) for code in (language, *sides)]
    if None in known:
        return None
    return SAME if known[0] in known[1:] else DIFFERENT


def relatedness(
    results: Results,
    background: Background,
    probes: ProbeResults | None = None,
    style: Style | None = None,
) -> list[Table]:
    """Changes by relation, and by relation and distance; none without aligned encoders."""
    style = style or Style()
    lines = list(_lines(results, probes, background, style))
    if not background.scripts or not any(line.changes.of for line in lines):
        return []
    names = {name for line in lines for name in line.changes.of}
    by_relation = _table(
        "relation to the pair", list(_relations(background.scripts)), lines, results, style
    )
    distances = {
        code: of_kind[background.kind]
        for code in {name[-1] for name in names}
        if background.kind in (of_kind := background.distances.get(code, {}))
    }
    if len(set(distances.values())) < 2:
        return [by_relation]
    groups = list(_distances(background.scripts, distances))
    title = f"relation to the pair and {background.kind} distance"
    by_distance = _table(title, groups, lines, results, style, distances)
    return [by_relation, by_distance]


def _lines(
    results: Results, probes: ProbeResults | None, background: Background, style: Style
) -> Iterator[RelationLine]:
    source = style.source_language
    for panel in results.panels:
        changes = accuracy_changes(results, panel, source)
        yield RelationLine(
            "change in percentage points",
            f"{notes.panel_name(panel)}: {results.metrics[panel]}",
            changes,
            True,
        )
    if probes is None:
        return
    for probe, metrics in background.measures.items():
        for measure in (m for metric in metrics for m in whole(probes, probe, metric)):
            for condition in probes.conditions([measure]):
                changes = measure_changes(probes, measure, condition, source)
                if condition[1] is None and changes.is_change and changes.of:
                    words = [f"{probe}: {measure.label}", *(c for c in condition if c)]
                    yield RelationLine("change in the measure", " ".join(words), changes, False)


def _relations(scripts: Mapping[str, str]) -> Iterator[LanguageGroup]:
    def of(*wanted: str) -> Chosen:
        return lambda name: relation(name, scripts) in wanted

    yield LanguageGroup("all", lambda name: True)
    for each in (SEEN, SAME, DIFFERENT):
        yield LanguageGroup(each, of(each))
    yield LanguageGroup("seen less unseen", of(SEEN), of(SAME, DIFFERENT))
    yield LanguageGroup("same less different script", of(SAME), of(DIFFERENT))


def _distances(
    scripts: Mapping[str, str], distances: Mapping[str, float]
) -> Iterator[LanguageGroup]:
    middle = median(distances.values())

    def of(side: str, *wanted: str) -> Chosen:
        def chosen(name: CellName) -> bool:
            distance = distances.get(name[-1])
            if distance is None or relation(name, scripts) not in wanted:
                return False
            return (distance <= middle) == (side == NEAR)

        return chosen

    for each in (SEEN, SAME, DIFFERENT):
        for side in (NEAR, FAR):
            yield LanguageGroup(f"{each}, {side}", of(side, each))
    unseen = (SAME, DIFFERENT)
    yield LanguageGroup("nearer less farther, unseen", of(NEAR, *unseen), of(FAR, *unseen))


def _table(
    by: str,
    groups: Sequence[LanguageGroup],
    lines: Sequence[RelationLine],
    results: Results,
    style: Style,
    distances: Mapping[str, float] | None = None,
) -> Table:
    columns = [Column(group.label) for group in groups]
    cells = [[_cell(group, line) for group in groups] for line in lines]
    if distances is not None:
        columns.append(Column("correlation with distance"))
        for row, line in zip(cells, lines, strict=True):
            row.append(_correlation(line, distances))
    return Table(
        name="relatedness",
        label=f"tab:relatedness-{by.split()[-1]}",
        title=f"Change by {by}",
        caption=(
            f"Mean change, aligned less untouched encoder, by {by}, with its 95% interval and the "
            f"number of cells and languages. Suite {results.suite}, model {results.model}."
        ),
        columns=tuple(columns),
        rows=tuple(TableRow(line.label, (line.group,)) for line in lines),
        cells=tuple(tuple(row) for row in cells),
        stub="change",
        column_stub=by,
        notes=(*_notes(lines, distances), *notes.alignment(results), *style.notes),
    )


def _cell(group: LanguageGroup, line: RelationLine) -> TableCell:
    names = list(line.changes.of)
    first = [group.first(name) for name in names]
    second = None if group.second is None else [group.second(name) for name in names]
    chosen = [f or s for f, s in zip(first, second or first, strict=True)]
    if not any(first) or (second is not None and not any(second)):
        return TableCell(ABSENT, "absent")
    found = cluster_contrast(list(line.changes.of.values()), [n[-1] for n in names], first, second)
    cells = sum(chosen)
    languages = len({name[-1] for name, one in zip(names, chosen, strict=True) if one})
    return _written(found, line, f"{cells}/{languages}")


def _correlation(line: RelationLine, distances: Mapping[str, float]) -> TableCell:
    """Over languages: the mean change of the cells that did not see it, with its distance."""
    unseen = [n for n in line.changes.of if n[-1] in distances and n[-1] not in n[-2].split("-")]
    if len(unseen) < 3:
        return TableCell(ABSENT, "absent")
    found = correlations(
        [distances[name[-1]] for name in unseen],
        [line.changes.of[name] for name in unseen],
        [name[-1] for name in unseen],
    )
    if found.between.value is None:
        return TableCell(ABSENT, "absent")
    few = DAGGER if found.between.low is None else ""
    digits = DIGITS + 1
    text = signed_decimal(found.between.value, digits) + few
    details = (*interval(found.between, digits), f"{len(unseen)}/{found.clusters}")
    return TableCell(text, value=found.between.value, details=details)


def _written(found: Estimate, line: RelationLine, counts: str) -> TableCell:
    if found.value is None:
        return TableCell(ABSENT, "absent")
    digits = DIGITS if line.percent else DIGITS + 2
    write = signed if line.percent else signed_decimal
    text = write(found.value, digits) + (DAGGER if found.low is None else "")
    ends: tuple[str, ...] = ()
    if found.low is not None and found.high is not None:
        ends = (f"[{write(found.low, digits)}, {write(found.high, digits)}]",)
    return TableCell(text, value=found.value, details=(*ends, counts))


def _notes(lines: Sequence[RelationLine], distances: Mapping[str, float] | None) -> list[str]:
    found = [
        "A cell is one objective, variant, pair and target language; seeds are averaged after "
        "pairing. Below each mean: its interval, and the number of cells / languages. Seen: the "
        "language is one of the aligned pair. Same script: that of either of the pair's languages. "
        "Controls are no cells.",
        f"Intervals let languages vary ({RESAMPLES} resamples of whole languages, t with languages "
        f"- 1 degrees of freedom), not objectives and pairs; not adjusted for their number.",
        f"{DAGGER} no interval: fewer than {FEWEST_CLUSTERS} languages on a side.",
    ]
    if distances is not None:
        middle = median(distances.values())
        near = sorted(code for code, distance in distances.items() if distance <= middle)
        far = sorted(code for code, distance in distances.items() if distance > middle)
        found.append(
            f"Nearer to the source language than the median ({middle:.3f}) or at it: "
            f"{', '.join(near)}; farther: {', '.join(far)}. The correlation (Spearman) is over "
            f"languages, of their mean change where they were unseen."
        )
        lacking = sorted({name[-1] for line in lines for name in line.changes.of} - set(distances))
        if lacking:
            found.append(f"No distance is known of {', '.join(lacking)}.")
    left_out = max((line.changes.left_out for line in lines), default=0)
    if left_out:
        found.append(f"Left out, since a value is lacking: up to {left_out} cells of a line.")
    return found

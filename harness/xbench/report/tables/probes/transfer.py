"""Does it predict transfer? How changes of what probes measure go together with changes in accuracy.

The study's principal question, asked of every alignment measure and every (task, mode) of a run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from xbench.report.results.changes import accuracy_changes, base_accuracy, measure_changes
from xbench.report.results.probe_rows import Condition, Measure, ProbeResults
from xbench.report.results.results import Panel, Results
from xbench.report.statistics.stats import (
    FEWEST_CLUSTERS,
    RESAMPLES,
    Correlations,
    Estimate,
    correlations,
)
from xbench.report.style import Style
from xbench.report.table import Column, Table, TableCell, TableRow
from xbench.report.tables import notes
from xbench.report.tables.wording import ABSENT, DAGGER, DIGITS, signed_decimal

COLUMNS = ("pooled", "within languages", "between languages", "base score held fixed")


@dataclass(frozen=True)
class Association:
    """How one measure and the change in accuracy go together in one (task, mode).

    ``condition`` is what the measured checkpoint was fine-tuned for. ``is_change`` is False where
    the measure is of the aligned encoder alone. ``left_out`` cells had a gap on either side.
    """

    panel: Panel
    measure: Measure
    condition: Condition
    is_change: bool
    found: Correlations
    left_out: int


def associations(
    results: Results,
    probes: ProbeResults,
    measures: Mapping[str, Sequence[str]],
    source: str | None = None,
) -> list[Association]:
    """One for each (task, mode) and measure that share cells; ``measures`` is probe -> metrics.

    Cells are (objective, variant, pair, target language) of aligned encoders. Clusters are the
    languages. A metric that is there for the whole encoder is not asked again layer by layer.
    """
    chosen = [
        m for probe in measures for metric in measures[probe] for m in whole(probes, probe, metric)
    ]
    return [
        found
        for panel in results.panels
        for measure in chosen
        for found in _of_measure(results, probes, panel, measure, source)
    ]


def whole(probes: ProbeResults, probe: str, metric: str) -> list[Measure]:
    """The measure of the whole encoder where there is one, else that of each layer."""
    measures = probes.of(probe, metric)
    return [m for m in measures if m.layer < 0] or measures


def _of_measure(
    results: Results, probes: ProbeResults, panel: Panel, measure: Measure, source: str | None
) -> Iterator[Association]:
    accuracy, base = accuracy_changes(results, panel, source), base_accuracy(results, panel)
    for condition in probes.conditions([measure]):
        task, mode = condition
        if task not in (None, panel[0]) or mode not in (None, panel[1]):
            continue
        changes = measure_changes(probes, measure, condition, source)
        shared = [name for name in accuracy.of if name in changes.of]
        if len(shared) < 3:
            continue
        languages = [name[-1] for name in shared]
        found = correlations(
            [changes.of[name] for name in shared],
            [accuracy.of[name] for name in shared],
            languages,
            [base[language] for language in languages],
        )
        left_out = accuracy.left_out + changes.left_out
        yield Association(panel, measure, condition, changes.is_change, found, left_out)


def transfer_table(
    results: Results,
    probes: ProbeResults,
    measures: Mapping[str, Sequence[str]],
    style: Style | None = None,
) -> list[Table]:
    """The table; none where no measure and no accuracy have cells in common."""
    style = style or Style()
    found = associations(results, probes, measures, style.source_language)
    if not found:
        return []
    metric = notes.by_panel(results.metrics)
    return [
        Table(
            name="transfer",
            label="tab:transfer",
            title="Does it predict transfer? Alignment measures and the change in score",
            caption=(
                f"Spearman's correlation of the change of each measure with the change of {metric}, "
                f"aligned less untouched encoder, over cells of objective, variant, pair and target "
                f"language; in brackets the 95% interval. Suite {results.suite}, model "
                f"{results.model}."
            ),
            columns=(*(Column(name) for name in COLUMNS), Column("cells"), Column("languages")),
            rows=tuple(_row(each) for each in found),
            cells=tuple(_cells(each) for each in found),
            stub="measure",
            column_stub="statistic",
            notes=(*_notes(found), *notes.alignment(results), *style.notes),
        )
    ]


def _row(each: Association) -> TableRow:
    words = [f"{each.measure.probe}: {each.measure.label}"]
    if each.condition[1] is not None:
        words.append("(after fine-tuning)")
    if not each.is_change:
        words.append("(value)")
    return TableRow(" ".join(words), (notes.panel_name(each.panel),))


def _cells(each: Association) -> tuple[TableCell, ...]:
    found = each.found
    few = DAGGER if found.clusters < FEWEST_CLUSTERS else ""
    estimates = (found.pooled, found.within, found.between, found.partial)
    counts = (found.cells, found.clusters)
    return (
        *(_cell(estimate, DIGITS + 1, few) for estimate in estimates),
        *(TableCell(str(count), value=float(count)) for count in counts),
    )


def _cell(estimate: Estimate, digits: int, mark: str) -> TableCell:
    if estimate.value is None:
        return TableCell(ABSENT, "absent")
    text = signed_decimal(estimate.value, digits) + mark
    return TableCell(text, value=estimate.value, details=interval(estimate, digits))


def interval(estimate: Estimate, digits: int) -> tuple[str, ...]:
    """``[-0.30, +0.27]``, or nothing."""
    if estimate.low is None or estimate.high is None:
        return ()
    ends = (signed_decimal(end, digits) for end in (estimate.low, estimate.high))
    return (f"[{', '.join(ends)}]",)


def _notes(found: Sequence[Association]) -> list[str]:
    lines = [
        "A cell is one objective, variant, pair and target language; seeds are averaged after "
        "pairing with the untouched encoder's. Controls are no cells, the source language is no "
        "target. A language's measure is its own, or that of its pair with the source language.",
        f"Intervals let languages vary, not objectives and pairs: {RESAMPLES} resamples of whole "
        f"languages, t with languages - 1 degrees of freedom, on Fisher's scale; between languages "
        f"(correlation of their means) that of Bonett and Wright 2000. Not adjusted for the number "
        f"of measures.",
        "Within languages: do the alignments that change the measure more change the same "
        "language's score more? Base score held fixed: the ranks of the untouched encoder's score "
        "are taken out of both, since where there is more to gain, more is gained.",
    ]
    if any(each.found.clusters < FEWEST_CLUSTERS for each in found):
        lines.append(
            f"{DAGGER} fewer than {FEWEST_CLUSTERS} languages: cells are pooled, and there is no "
            f"interval."
        )
    if not all(each.is_change for each in found):
        lines.append(
            "(value): not measured of the untouched encoder; the aligned encoder's own value is "
            "held against the change in score."
        )
    left_out = max(each.left_out for each in found)
    if left_out:
        lines.append(f"Left out, since a value is lacking: up to {left_out} cells of a line.")
    return lines

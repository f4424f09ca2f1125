"""Table 1 of the study: accuracy averaged over languages, per task and mode.

Rows are encoders (untouched, one per aligned pair, controls), columns are the variants of the
objectives. The untouched encoder has one number per panel, not one per variant.
"""

from collections.abc import Iterable
from dataclasses import replace

from xbench.report.results.averages import CellAverage, average, difference
from xbench.report.results.results import UNTOUCHED, ComparedEncoder, Panel, Results
from xbench.report.statistics.run_noise import is_of_one_checkpoint
from xbench.report.style import Style
from xbench.report.table import COVERED, Column, Table, TableCell, TableRow
from xbench.report.tables import notes
from xbench.report.tables.significance import MEANING, OF_ONE_ALIGNMENT, corrected
from xbench.report.tables.wording import (
    DAGGER,
    difference_lines,
    encoder_label,
    gap,
    mean_and_sd,
    percent,
)

Variant = tuple[str, str]
"""(objective, variant)."""
EncoderRow = ComparedEncoder
"""An encoder without objective and variant: a row of the table."""


def table1(results: Results, style: Style | None = None) -> Table:
    """Builds the table from the selected results."""
    style = style or Style()
    variants = variants_of(results, style)
    rows = _encoder_rows(results)
    panels = {panel: _Panel(results, panel, style) for panel in results.panels}
    lines = {
        panel: {row: builder.line(row, variants) for row in rows}
        for panel, builder in panels.items()
    }
    lines = {
        (task, mode): _mark_best(corrected(line, mode)) for (task, mode), line in lines.items()
    }
    headers, cells = _stacked(lines, {row: _row_header(row, style) for row in rows})
    places = [place for builder in panels.values() for place in builder.places]
    return Table(
        name="table1",
        label="tab:table1",
        title=f"Table 1: {_metric(results)} averaged over languages",
        caption=_caption(results),
        columns=_variant_columns(variants),
        rows=headers,
        cells=cells,
        stub="encoder",
        column_stub="variant",
        notes=_notes(results, style, places),
    )


def variants_of(results: Results, style: Style) -> list[Variant]:
    """All (objective, variant) of the results, those of the style's order first."""
    found = {(e.objective or "", e.variant or "") for e in results.encoders if e.arm != "none"}
    return in_order(found, style)


def in_order(variants: Iterable[Variant], style: Style) -> list[Variant]:
    """Those of the style's order first; others by objective and name."""

    def order(item: Variant) -> tuple[bool, str, int, str]:
        objective, variant = item
        return variant not in style.variant_order, objective, style.place(variant), variant

    return sorted(variants, key=order)


class _Panel:
    """Averages of one task and mode; remembers where each stands, for the notes."""

    def __init__(self, results: Results, panel: Panel, style: Style) -> None:
        self.results, self.panel, self.style = results, panel, style
        self.metric = results.metrics[panel]
        self.baseline = self._average(UNTOUCHED)
        self.places: list[tuple[str, CellAverage]] = []

    def _average(self, encoder: ComparedEncoder) -> CellAverage:
        return average(
            self.results.blocks.get((self.panel, encoder), {}),
            self.results.languages[self.panel],
            self.results.runs(self.panel, encoder),
            self.style.allow_partial,
        )

    def line(self, row: EncoderRow, variants: list[Variant]) -> tuple[TableCell, ...]:
        """The cells of one row, one per variant."""
        label = _row_header(row, self.style).label
        if row == UNTOUCHED:
            self._remember(label, self.baseline)
            width = max(1, len(variants))
            number = number_cell(self.baseline, self.metric)
            return (replace(number, span=width), *[COVERED] * (width - 1))
        cells = []
        for objective, variant in variants:
            treated = self._average(
                replace(row, objective=objective or None, variant=variant or None)
            )
            self._remember(f"{label} {variant or objective}", treated)
            cells.append(with_difference(treated, self.baseline, self.metric))
        return tuple(cells)

    def _remember(self, label: str, treated: CellAverage) -> None:
        self.places.append((f"{notes.panel_name(self.panel)}, {label}", treated))


def number_cell(numbers: CellAverage, metric: str) -> TableCell:
    """``70.1 ± 0.3``, or the word for what is lacking."""
    where = (("metric", (metric,)),)
    if not numbers.shown:
        return TableCell(gap(numbers), numbers.status, gaps=numbers.gap_keys, where=where)
    mean, sd = numbers.mean_sd()
    mark = DAGGER if numbers.status == "partial" else ""
    text = mean_and_sd(mean, sd) + mark
    return TableCell(
        text,
        numbers.status,
        mean,
        n=len(numbers.runs),
        spread=sd,
        keys=numbers.keys,
        gaps=numbers.gap_keys,
        where=where,
    )


def with_difference(treated: CellAverage, baseline: CellAverage, metric: str) -> TableCell:
    """The number, and its difference to the baseline where both cover the same."""
    cell = number_cell(treated, metric)
    change = difference(treated, baseline)
    if change is None:
        return cell
    first, *rest = difference_lines(change)
    if "partial" in (treated.status, baseline.status):
        first += DAGGER
    return replace(cell, difference=change, details=(first, *rest), against=baseline.keys)


def _mark_best(
    lines: dict[EncoderRow, tuple[TableCell, ...]],
) -> dict[EncoderRow, tuple[TableCell, ...]]:
    """Marks the highest complete mean of a panel, and all that read the same."""

    def shown(cell: TableCell) -> float | None:
        complete = cell.status == "done" and cell.value is not None
        return float(percent(cell.value or 0.0)) if complete else None

    numbers = [n for cells in lines.values() for cell in cells if (n := shown(cell)) is not None]
    if len(numbers) < 2:
        return lines
    highest = max(numbers)
    return {
        row: tuple(replace(cell, best=shown(cell) == highest) for cell in cells)
        for row, cells in lines.items()
    }


Lines = dict[Panel, dict[EncoderRow, tuple[TableCell, ...]]]
Parts = tuple[tuple[TableRow, ...], tuple[tuple[TableCell, ...], ...]]


def _stacked(lines: Lines, headers: dict[EncoderRow, TableRow]) -> Parts:
    """Panels below each other; encoders that a panel lacks entirely are left out of it."""
    rows, cells = [], []
    for panel, line_of in lines.items():
        for row, line in line_of.items():
            if any(cell.status not in ("absent", "covered") for cell in line):
                rows.append(replace(headers[row], group=(notes.panel_name(panel),)))
                cells.append(line)
    return tuple(rows), tuple(cells)


def _variant_columns(variants: list[Variant]) -> tuple[Column, ...]:
    if not variants:
        return (Column("no variant", ("",)),)
    return tuple(Column(variant or objective, (objective,)) for objective, variant in variants)


def _encoder_rows(results: Results) -> list[EncoderRow]:
    rows = (replace(e, objective=None, variant=None) for e in results.encoders)
    return list(dict.fromkeys(rows))


def _row_header(row: EncoderRow, style: Style) -> TableRow:
    label = encoder_label(row, style.short_codes)
    return TableRow(label, control=row.arm != "aligned")


def _metric(results: Results) -> str:
    return notes.by_panel(results.metrics)


def _caption(results: Results) -> str:
    metric = _metric(results)
    compared = " Below it the difference to none, the untouched encoder, paired by fine-tuning seed"
    if _has_intervals(results):
        compared += ", with its 95% t interval"
    if _has_tests(results):
        compared += "; * significant in a paired t test after Holm's correction"
    return (
        f"{metric[:1].upper()}{metric[1:]} in percent, averaged over languages: mean ± sd over "
        f"{notes.counts(results)}.{f'{compared}.' if _has_differences(results) else ''} "
        f"Suite {results.suite}, model {results.model}."
    )


def _has_differences(results: Results) -> bool:
    return UNTOUCHED in results.encoders and len(results.encoders) > 1


def _has_intervals(results: Results) -> bool:
    return _has_differences(results) and any(len(seeds) > 1 for seeds in results.seeds.values())


def _has_tests(results: Results) -> bool:
    """Whether any difference may be marked: not where all aligned encoders of a panel are untested."""
    count = len(results.align_seeds)
    return _has_intervals(results) and any(
        not (encoder.has_alignment and is_of_one_checkpoint(panel[1], count))
        for panel, encoder in results.blocks
        if encoder != UNTOUCHED and len(results.seeds[panel]) > 1
    )


def _significance(results: Results) -> list[str]:
    """What a star means, and where there is none."""
    if not _has_intervals(results):
        return []
    if not _has_tests(results):
        return notes.withheld(results)
    one = len(results.align_seeds) == 1
    return [MEANING + (f" {OF_ONE_ALIGNMENT}" if one else ""), *notes.withheld(results)]


def _notes(
    results: Results, style: Style, places: list[tuple[str, CellAverage]]
) -> tuple[str, ...]:
    one_number = "none has no variant: it is one number per panel."
    best = "Bold: the highest complete mean of a panel."
    return (
        *notes.languages(results, style),
        notes.seeds(results),
        *([notes.differences(results)] if _has_differences(results) else []),
        *_significance(results),
        *notes.alignment(results),
        notes.controls(results, style),
        one_number,
        best,
        *notes.gaps(places),
        *notes.test_items(results),
        *style.notes,
    )

"""The table behind Table 1: every language on its own, one table per task and mode."""

from dataclasses import replace

from xbench.report.results.averages import CellAverage, average
from xbench.report.results.results import ComparedEncoder, Panel, Results
from xbench.report.style import Style
from xbench.report.table import Column, Table, TableCell, TableRow
from xbench.report.tables import notes
from xbench.report.tables.table1 import number_cell, variants_of
from xbench.report.tables.wording import DAGGER, PLUS_MINUS, encoder_label, percent


def per_language(results: Results, style: Style | None = None) -> list[Table]:
    """One table per task and mode: encoders by languages (source first), and their average."""
    style = style or Style()
    return [_table(results, panel, style) for panel in results.panels]


def _table(results: Results, panel: Panel, style: Style) -> Table:
    codes = notes.source_first(results.languages[panel], style.source_language)
    spans = {code: (code,) for code in codes} | {"average": tuple(codes)}
    metric = results.metrics[panel]
    rows, cells = [], []
    places: list[tuple[str, CellAverage]] = []
    for encoder in ordered(results, panel, style):
        header = encoder_header(encoder, results, style)
        block = results.blocks[panel, encoder]
        averages = {
            name: average(block, members, results.runs(panel, encoder), style.allow_partial)
            for name, members in spans.items()
        }
        places += [(f"{header.label}, {code}", averages[code]) for code in codes]
        rows.append(header)
        cells.append(tuple(_cell(numbers, metric) for numbers in averages.values()))
    name = notes.panel_name(panel)
    also = " and alignment seeds" if len(results.align_seeds) > 1 else ""
    return Table(
        name="per_language",
        label=f"tab:per-language-{'-'.join(panel)}",
        title=f"{name}: {metric} per language",
        caption=(
            f"{name}: {metric} in percent per language: mean, and below it the standard deviation "
            f"over fine-tuning seeds{also}. Suite {results.suite}, model {results.model}."
        ),
        columns=tuple(Column(name) for name in spans),
        rows=tuple(rows),
        cells=tuple(cells),
        stub="encoder, variant",
        column_stub="language",
        notes=_notes(results.only(panel), style, places),
    )


def ordered(results: Results, panel: Panel, style: Style) -> list[ComparedEncoder]:
    """The encoders of a panel by arm and pair, their variants in the style's order."""
    variants = variants_of(results, style)

    def variant(encoder: ComparedEncoder) -> int:
        item = (encoder.objective or "", encoder.variant or "")
        return variants.index(item) if item in variants else -1

    present = [e for e in results.encoders if (panel, e) in results.blocks]
    rows = list(dict.fromkeys((e.arm, e.pair, e.during) for e in present))
    return sorted(present, key=lambda e: (rows.index((e.arm, e.pair, e.during)), variant(e)))


def encoder_header(
    encoder: ComparedEncoder, results: Results, style: Style, with_objective: bool = False
) -> TableRow:
    """``de-en S1W0M0``; with the objective's name where there are several."""
    label = encoder_label(encoder, style.short_codes)
    several = with_objective or len({e.objective for e in results.encoders} - {None}) > 1
    variant = encoder.variant or encoder.objective or ""
    if encoder.variant and several:
        variant = f"{encoder.objective}:{encoder.variant}"
    return TableRow(f"{label} {variant}".rstrip(), control=encoder.arm != "aligned")


def _cell(numbers: CellAverage, metric: str) -> TableCell:
    """Mean, and the deviation on a line of its own: fourteen languages share a page's width."""
    cell = number_cell(numbers, metric)
    if cell.value is None:
        return cell
    mark = DAGGER if cell.status == "partial" else ""
    spread = () if cell.spread is None else (PLUS_MINUS + percent(cell.spread),)
    text = percent(cell.value) + mark
    return replace(cell, text=text, details=spread)


def _notes(results: Results, style: Style, places: notes.Places) -> tuple[str, ...]:
    return (
        *notes.languages(results, style),
        notes.seeds(results),
        *notes.alignment(results),
        notes.controls(results, style),
        *notes.gaps(places),
        *notes.test_items(results),
        *style.notes,
    )

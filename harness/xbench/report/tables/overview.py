"""All objectives in one table: a row for each encoder, a column for each task and mode."""

from collections.abc import Mapping, Sequence

from xbench.report.results.averages import average
from xbench.report.results.results import UNTOUCHED, ComparedEncoder, Panel, Results
from xbench.report.style import Style
from xbench.report.table import Column, Table, TableCell
from xbench.report.tables import notes
from xbench.report.tables.per_language import encoder_header
from xbench.report.tables.table1 import number_cell, with_difference

Columns = Mapping[Panel, Results]


def overview(trained: Results | None, others: Sequence[Results], style: Style) -> list[Table]:
    """One table, where there are several objectives, or tasks without training beside others.

    Averages are over languages; below each stands its difference to the untouched encoder.
    """
    columns: dict[Panel, Results] = {}
    for results in (*([trained] if trained else []), *others):
        columns |= dict.fromkeys(results.panels, results)
    encoders = _encoders(columns)
    several = len({encoder.objective for encoder in encoders} - {None}) > 1
    if not columns or not (several or (trained and others)):
        return []
    everything = _unique(columns)
    first = everything[0]
    cells = tuple(
        tuple(_cell(columns[panel], panel, encoder, style) for panel in columns)
        for encoder in encoders
    )
    return [
        Table(
            name="overview",
            label="tab:overview",
            title="All objectives, averaged over languages",
            caption=(
                f"Averages over languages in percent, and differences to the untouched encoder. "
                f"Suite {first.suite}, model {first.model}."
            ),
            columns=tuple(
                Column(results.metrics[panel], panel) for panel, results in columns.items()
            ),
            rows=tuple(encoder_header(encoder, first, style, True) for encoder in encoders),
            cells=cells,
            stub="encoder, objective",
            column_stub="task",
            notes=(*_notes(everything, style), *style.notes),
        )
    ]


def _unique(columns: Columns) -> list[Results]:
    return list({id(results): results for results in columns.values()}.values())


def _encoders(columns: Columns) -> list[ComparedEncoder]:
    """Every encoder that any column has, the untouched one first."""
    found = {
        encoder: None
        for results in _unique(columns)
        for encoder in results.encoders
        if encoder != UNTOUCHED
    }
    return [UNTOUCHED, *sorted(found, key=_order)]


def _order(encoder: ComparedEncoder) -> tuple[str, str, str, str, bool]:
    names = (encoder.arm, encoder.objective, encoder.variant, encoder.pair)
    arm, objective, variant, pair = (name or "" for name in names)
    return arm, objective, variant, pair, encoder.during


def _cell(results: Results, panel: Panel, encoder: ComparedEncoder, style: Style) -> TableCell:
    found, baseline = (
        average(
            results.blocks.get((panel, each), {}),
            results.languages[panel],
            results.runs(panel, each),
            style.allow_partial,
        )
        for each in (encoder, UNTOUCHED)
    )
    if encoder == UNTOUCHED:
        return number_cell(found, results.metrics[panel])
    return with_difference(found, baseline, results.metrics[panel])


def _notes(everything: Sequence[Results], style: Style) -> tuple[str, ...]:
    first, *rest = everything
    lines = [*notes.languages(first, style), notes.seeds(first), *notes.alignment(first)]
    for results in rest:
        lines += [line for line in notes.languages(results, style) if line not in lines]
    return tuple(lines)

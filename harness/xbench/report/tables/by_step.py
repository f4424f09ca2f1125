"""Checkpoints of one alignment side by side: does more alignment help?

One table per task and mode: encoders by alignment steps, each averaged over languages, and the
difference of the last step to the first, paired by fine-tuning seed.
"""

from collections.abc import Mapping, Sequence

from xbench.report.results.averages import CellAverage, average, difference
from xbench.report.results.results import ComparedEncoder, Panel, Results
from xbench.report.style import Style
from xbench.report.table import Column, Table, TableCell, TableRow
from xbench.report.tables import notes
from xbench.report.tables.table1 import number_cell
from xbench.report.tables.wording import difference_lines, encoder_label

ByStep = Mapping[int, Results]
LAST_TO_FIRST = "last to first"


def by_step(of_step: ByStep, style: Style | None = None) -> list[Table]:
    """The tables for results at several steps; none where there is one step only."""
    style = style or Style()
    if len(of_step) < 2:
        return []
    panels = sorted({panel for results in of_step.values() for panel in results.panels})
    return [_table(dict(sorted(of_step.items())), panel, style) for panel in panels]


def _table(of_step: ByStep, panel: Panel, style: Style) -> Table:
    any_results = next(iter(of_step.values()))
    encoders = [
        encoder
        for encoder in any_results.encoders
        if encoder.arm != "none" and all((panel, encoder) in r.blocks for r in of_step.values())
    ]
    metric = any_results.metrics[panel]
    rows, cells, places = [], [], []
    for encoder in encoders:
        header = _header(encoder, style)
        averages = [_average(results, panel, encoder, style) for results in of_step.values()]
        places += [
            (f"{header.label}, {step} steps", found)
            for step, found in zip(of_step, averages, strict=True)
        ]
        rows.append(header)
        numbers = (number_cell(found, metric) for found in averages)
        cells.append((*numbers, _change(averages, metric)))
    first, last = min(of_step), max(of_step)
    name = notes.panel_name(panel)
    return Table(
        name="by_step",
        label=f"tab:by-step-{'-'.join(panel)}",
        title=f"{name}: {metric} by alignment steps",
        caption=(
            f"{name}: {metric} in percent averaged over languages, after {_listed(of_step)} steps of "
            f"alignment: mean ± sd over {notes.counts(any_results.only(panel))}, and the difference of "
            f"{last} to {first} steps, paired by fine-tuning seed, with its 95% t interval. Suite "
            f"{any_results.suite}, model {any_results.model}."
        ),
        columns=(*(Column(f"{step}") for step in of_step), Column(LAST_TO_FIRST)),
        rows=tuple(rows),
        cells=tuple(cells),
        stub="encoder, variant",
        column_stub="steps",
        notes=(
            *notes.languages(any_results.only(panel), style),
            notes.seeds(any_results.only(panel)),
            *_of_alignments(any_results),
            *notes.gaps(places),
            *style.notes,
        ),
    )


def _of_alignments(results: Results) -> list[str]:
    """Over how many alignments the steps are compared."""
    count = len(results.align_seeds)
    if count < 2:
        return [
            "Steps of one alignment are one training run: their difference holds no variation "
            "between alignments."
        ]
    listed = ", ".join(map(str, results.align_seeds))
    return [
        f"The difference is taken within each alignment; its interval is over {count} alignment seeds "
        f"({listed}) and fine-tuning seeds, crossed."
    ]


def _average(results: Results, panel: Panel, encoder: ComparedEncoder, style: Style) -> CellAverage:
    block = results.blocks[panel, encoder]
    runs = results.runs(panel, encoder)
    return average(block, results.languages[panel], runs, style.allow_partial)


def _change(averages: Sequence[CellAverage], metric: str) -> TableCell:
    change = difference(averages[-1], averages[0])
    if change is None:
        return TableCell("", "absent")
    main, *rest = difference_lines(change)
    return TableCell(
        main,
        value=change.mean,
        n=change.n,
        difference=change,
        details=tuple(rest),
        keys=averages[-1].keys,
        against=averages[0].keys,
        where=(("metric", (metric,)),),
    )


def _header(encoder: ComparedEncoder, style: Style) -> TableRow:
    label = encoder_label(encoder, style.short_codes)
    variant = encoder.variant or encoder.objective or ""
    return TableRow(f"{label} {variant}".rstrip(), control=encoder.arm != "aligned")


def _listed(steps: ByStep) -> str:
    *most, last = map(str, sorted(steps))
    return f"{', '.join(most)} and {last}"

"""Tasks that nothing is trained for (retrieval): encoders by languages, one table per task."""

from dataclasses import replace
from typing import TYPE_CHECKING

from xbench.report.results.averages import average
from xbench.report.results.reading import read_results
from xbench.report.results.results import (
    NOT_TUNED,
    UNTRAINED,
    ComparedEncoder,
    Panel,
    Results,
    Selection,
)
from xbench.report.style import Style
from xbench.report.table import Column, Table, TableCell
from xbench.report.tables import notes
from xbench.report.tables.per_language import encoder_header, ordered
from xbench.report.tables.table1 import number_cell

if TYPE_CHECKING:
    import pandas as pd


def has_training(frame: "pd.DataFrame") -> bool:
    """Whether any row is of a task that something is trained for."""
    return bool((frame["probe"].isna() & frame["task"].notna() & frame["mode"].notna()).any())


def untrained_results(frame: "pd.DataFrame", selection: Selection) -> dict[str, list[Results]]:
    """task -> what was measured, a member for each of its metrics, the one that tables show first."""
    rows = frame[frame["probe"].isna() & frame["task"].notna() & frame["mode"].isna()]
    found: dict[str, list[Results]] = {}
    for task in sorted(rows["task"].unique()):
        own = rows[rows["task"] == task].assign(mode=UNTRAINED, seed=NOT_TUNED)
        first = selection.metric(task)
        metrics = sorted(own["metric"].dropna().unique(), key=lambda m: (m != first, m))
        found[task] = [
            read_results(own, replace(selection, metrics={task: metric}))
            for metric in metrics or [first]
        ]
    return found


def untrained(
    frame: "pd.DataFrame", selection: Selection, style: Style | None = None
) -> list[Table]:
    """One table per task: every language by the first metric, and the averages of all metrics."""
    style = style or Style()
    return [
        _table(task, results, style)
        for task, results in untrained_results(frame, selection).items()
        if results[0].languages
    ]


def _table(task: str, results: list[Results], style: Style) -> Table:
    first, panel = results[0], (task, UNTRAINED)
    codes = notes.source_first(first.languages[panel], style.source_language)
    encoders = ordered(first, panel, style)
    cells = tuple(
        tuple(
            [_cell(first, panel, encoder, (code,), style) for code in codes]
            + [_cell(each, panel, encoder, tuple(codes), style) for each in results]
        )
        for encoder in encoders
    )
    names = [each.metrics[panel] for each in results]
    columns = [Column(code, (names[0],)) for code in codes]
    columns += [Column("average", (name,)) for name in names]
    return Table(
        name="untrained",
        label=f"tab:untrained-{task}",
        title=f"{task}: {names[0]} per language, without fine-tuning",
        caption=(
            f"{task}: {names[0]} in percent per language, of encoders that were not fine-tuned. "
            f"Suite {first.suite}, model {first.model}."
        ),
        columns=tuple(columns),
        rows=tuple(encoder_header(encoder, first, style) for encoder in encoders),
        cells=cells,
        stub="encoder, variant",
        column_stub="language",
        notes=(
            *notes.languages(first, style),
            *notes.alignment(first),
            *notes.test_items(first),
            *style.notes,
        ),
    )


def _cell(
    results: Results, panel: Panel, encoder: ComparedEncoder, codes: tuple[str, ...], style: Style
) -> TableCell:
    block = results.blocks.get((panel, encoder), {})
    found = average(block, codes, results.runs(panel, encoder), style.allow_partial)
    return number_cell(found, results.metrics[panel])

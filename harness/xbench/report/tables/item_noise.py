"""The noise of the test set: what other test items would have said of these very models.

And of both together: other test items and other seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import fsum

from xbench.api.claim import Effect
from xbench.api.metric import Floats
from xbench.report.results.averages import is_done
from xbench.report.results.results import (
    UNTOUCHED,
    ComparedEncoder,
    Measurement,
    Panel,
    Results,
    Run,
)
from xbench.report.statistics.inference import PairedItems, combined, interval, item_effect
from xbench.report.statistics.run_noise import effect_over
from xbench.report.style import Style
from xbench.report.table import Column, Difference, Table, TableCell
from xbench.report.tables import notes
from xbench.report.tables.per_language import encoder_header, ordered
from xbench.report.tables.wording import ABSENT, difference_lines, signed

PerItem = tuple[Sequence[str], Floats]
"""(ids [n], contributions [n, k])."""


KINDS = ("items", "seeds and items")
"""Over what the intervals are."""


@dataclass(frozen=True)
class ItemReader:
    """Where items come from: ``read(task, score key)``, None where they are lost; and a task's formula.

    Both are of the metric that tables show of the task. ``parallel(task)`` says whether an id means
    the same item in every language: the first sentence of one treebank is not that of another.
    """

    read: Callable[[str, str], PerItem | None]
    aggregate: Callable[[str], Callable[[Floats], Floats]]
    parallel: Callable[[str], bool]


def item_tables(results: Results, reader: ItemReader, style: Style | None = None) -> list[Table]:
    """Differences to the untouched encoder with intervals over items; none without such differences."""
    style = style or Style()
    panels = [panel for panel in results.panels if (panel, UNTOUCHED) in results.blocks]
    encoders = list(
        dict.fromkeys(
            e for panel in panels for e in ordered(results, panel, style) if e != UNTOUCHED
        )
    )
    if not encoders:
        return []
    found = {
        (encoder, panel): effect_of(results, panel, encoder, reader)
        for panel in panels
        for encoder in encoders
    }
    return [_table(results, panels, encoders, found, style)]


def effect_of(
    results: Results, panel: Panel, encoder: ComparedEncoder, reader: ItemReader
) -> Effect:
    """The mean change over languages and runs, resampled over items; a gap leaves none."""
    treated = results.blocks.get((panel, encoder), {})
    base = results.blocks[panel, UNTOUCHED]
    cells = []
    for language in results.languages[panel]:
        for run in results.runs(panel, encoder):
            before = base.get((language, Run(run.seed)))
            pair = _pair(before, treated.get((language, run)), panel[0], reader)
            if pair is None:
                where = f"{language}, {_words(run, results)}"
                return Effect(None, reason=f"incomplete: no predictions of {where}")
            if not reader.parallel(panel[0]):
                pair = replace(pair, ids=[f"{language} {id}" for id in pair.ids])
            cells.append(pair)
    return item_effect(cells, reader.aggregate(panel[0]))


def _words(run: Run, results: Results) -> str:
    several = len(results.align_seeds) > 1 and run.align_seed is not None
    return (f"align seed {run.align_seed}, " if several else "") + f"seed {run.seed}"


def seed_effect(results: Results, panel: Panel, encoder: ComparedEncoder) -> Effect:
    """The mean change over languages, with the noise of seeds; for these very test items."""
    treated, base = (results.blocks.get((panel, each), {}) for each in (encoder, UNTOUCHED))
    codes = results.languages[panel]
    values = {
        run: [
            after.value - before.value
            for code in codes
            if (after := treated.get((code, run))) and after.value is not None
            if (before := base.get((code, Run(run.seed)))) and before.value is not None
        ]
        for run in results.runs(panel, encoder)
    }
    if not codes or any(len(of_run) < len(codes) for of_run in values.values()):
        return Effect(None, reason="incomplete")
    return effect_over({run: fsum(of_run) / len(codes) for run, of_run in values.items()})


def _pair(
    before: Measurement | None, after: Measurement | None, task: str, reader: ItemReader
) -> PairedItems | None:
    """The items of a cell under both encoders, those that were tested with both."""
    sides = []
    for one in (before, after):
        if one is None or not is_done(one) or one.key is None:
            return None
        found = reader.read(task, one.key)
        if found is None:
            return None
        sides.append(found)
    (ids, first), (others, second) = ((_unique(ids), found) for ids, found in sides)
    place = {id: number for number, id in enumerate(others)}
    shared = [number for number, id in enumerate(ids) if id in place]
    names = [ids[number] for number in shared]
    return PairedItems(names, first[shared], second[[place[name] for name in names]])


def _unique(ids: Sequence[str]) -> list[str]:
    """Ids of one data set with a number where one comes again: files repeat or lack them."""
    seen: dict[str, int] = {}
    found = []
    for id in ids:
        seen[id] = seen.get(id, 0) + 1
        found.append(id if seen[id] == 1 else f"{id} ({seen[id]})")
    return found


def _table(
    results: Results,
    panels: Sequence[Panel],
    encoders: Sequence[ComparedEncoder],
    found: dict[tuple[ComparedEncoder, Panel], Effect],
    style: Style,
) -> Table:
    metric = notes.by_panel(results.metrics)
    reasons = sorted({each.reason for each in found.values() if each.reason})
    return Table(
        name="items",
        label="tab:items",
        title="Noise of the test set: differences to none over test items",
        caption=(
            f"{metric[:1].upper()}{metric[1:]} less that of the untouched encoder, in percentage "
            f"points, averaged over languages and seeds, with 95% intervals: of a paired bootstrap "
            f"over test items, conditional on these seeds, and over seeds and items together. Suite "
            f"{results.suite}, model {results.model}."
        ),
        columns=tuple(
            Column(kind, (notes.panel_name(panel),)) for panel in panels for kind in KINDS
        ),
        rows=tuple(encoder_header(encoder, results, style) for encoder in encoders),
        cells=tuple(
            tuple(
                cell
                for panel in panels
                for cell in _cells(found[encoder, panel], seed_effect(results, panel, encoder))
            )
            for encoder in encoders
        ),
        stub="encoder, variant",
        column_stub="task, mode",
        notes=(
            "Items: how much other test items would have changed the differences of these very "
            "models; the noise of seeds is another thing, and stands in Table 1. An item is drawn in "
            "all languages that have it at once. Seeds and items: both variances added, a t interval "
            "with Satterthwaite's degrees of freedom. Intervals are each by itself, not adjusted for "
            "the number of comparisons.",
            *notes.alignment(results),
            *notes.languages(results, style),
            *(f"{reason[:1].upper()}{reason[1:]}." for reason in reasons),
            *style.notes,
        ),
    )


def _cells(items: Effect, seeds: Effect) -> tuple[TableCell, TableCell]:
    """The change with each kind of interval; none over both where either is lacking."""
    both = combined(seeds, items)
    return _cell(items), TableCell(ABSENT, "absent") if both is None else _cell(both)


def _cell(effect: Effect) -> TableCell:
    if effect.value is None:
        return TableCell("incomplete" if effect.reason else ABSENT, "incomplete")
    low, high = interval(effect) or (None, None)
    change = Difference(effect.value, low, high, effect.n)
    _, *bounds = difference_lines(change)
    return TableCell(
        signed(effect.value),
        value=effect.value,
        n=effect.n,
        difference=change,
        details=tuple(bounds),
    )

"""What alignment changed, cell by cell: accuracy and what probes measured, beside each other.

A cell is (objective, variant, pair, language) of an aligned encoder. Seeds are averaged after
pairing: each fine-tuning seed with the same seed of the untouched encoder, then over all seeds of
fine-tuning and of alignment. Where one of them lacks a value, the cell is left out.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import fsum

from xbench.report.results.probe_rows import Condition, Measure, ProbeResults
from xbench.report.results.results import UNTOUCHED, ComparedEncoder, Panel, Results, Run

CellName = tuple[str, str, str, str]
"""(objective, variant, pair, language)."""


@dataclass(frozen=True)
class Changes:
    """One number a cell. ``is_change`` is False where nothing was measured of the untouched encoder.

    Then the numbers are the aligned encoders' own. ``left_out`` counts cells with a gap.
    """

    of: Mapping[CellName, float]
    is_change: bool = True
    left_out: int = 0


def accuracy_changes(results: Results, panel: Panel, source: str | None) -> Changes:
    """Change of the panel's metric in every target language; cells with a run lacking are left out."""
    found: dict[CellName, list[float]] = defaultdict(list)
    left_out = 0
    for name, changes in changes_by_run(results, panel, source):
        if changes is None:
            left_out += 1
        else:
            found[name].append(fsum(changes.values()) / len(changes))
    return Changes(_means(found), left_out=left_out)


def changes_by_run(
    results: Results, panel: Panel, source: str | None
) -> Iterator[tuple[CellName, dict[Run, float] | None]]:
    """Each cell, and the change in each of its runs; None where one of them lacks a value."""
    base = results.blocks.get((panel, UNTOUCHED), {})
    for encoder in results.encoders:
        block = results.blocks.get((panel, encoder), {})
        if encoder.arm != "aligned" or not block:
            continue
        for language in results.languages[panel]:
            if language == source:
                continue
            changes: dict[Run, float] = {}
            runs = results.runs(panel, encoder)
            for run in runs:
                after, before = block.get((language, run)), base.get((language, Run(run.seed)))
                if after and before and after.value is not None and before.value is not None:
                    changes[run] = after.value - before.value
            yield _name(encoder, language), changes if len(changes) == len(runs) else None


def base_accuracy(results: Results, panel: Panel) -> dict[str, float]:
    """language -> what the untouched encoder reaches, the mean over seeds; complete ones only."""
    base, seeds = results.blocks.get((panel, UNTOUCHED), {}), results.seeds[panel]
    found = {}
    for language in results.languages[panel]:
        rows = [base.get((language, Run(seed))) for seed in seeds]
        values = [one.value for one in rows if one is not None and one.value is not None]
        if seeds and len(values) == len(seeds):
            found[language] = fsum(values) / len(values)
    return found


def measure_changes(
    results: ProbeResults, measure: Measure, condition: Condition, source: str | None
) -> Changes:
    """Change of a measure: a language's own, or that of the pair of it and the source language.

    What no untouched encoder was measured by, such as gradients of an objective, is not a change
    but the aligned encoders' own value.
    """
    places = results.found.get(measure, {})
    base = {
        language: one.value
        for (encoder, at, place), one in places.items()
        if encoder == UNTOUCHED
        and at == condition
        and one.value is not None
        and (language := target(place, source))
    }
    found: dict[CellName, list[float]] = defaultdict(list)
    left_out = 0
    for (encoder, at, place), one in places.items():
        language = target(place, source)
        if encoder.arm != "aligned" or at != condition or language is None:
            continue
        before = base.get(language) if base else 0.0
        if one.value is None or before is None:
            left_out += 1
            continue
        found[_name(encoder, language)].append(one.value - before)
    return Changes(_means(found), bool(base), left_out)


def target(place: str | None, source: str | None) -> str | None:
    """The language that a measurement is about; None for the source language and for other pairs."""
    if place is None or place == source:
        return None
    sides = place.split("-")
    if len(sides) == 1:
        return place
    others = [code for code in sides if code != source]
    return others[0] if len(others) == 1 else None


def _name(encoder: ComparedEncoder, language: str) -> CellName:
    return encoder.objective or "", encoder.variant or "", encoder.pair or "", language


def _means(found: Mapping[CellName, list[float]]) -> dict[CellName, float]:
    """Sorted, so that nothing depends on the order of rows."""
    return {name: fsum(found[name]) / len(found[name]) for name in sorted(found)}

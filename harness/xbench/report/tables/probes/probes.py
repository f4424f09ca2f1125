"""Tables of what probes measured: pairs by group, languages by encoder, layers before and after.

Which measures a table shows is data (:class:`~xbench.report.results.background.ProbeTable`).
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence

from xbench.report.results.background import Background
from xbench.report.results.probe_rows import AS_IT_IS, Condition, Measure, ProbeResults
from xbench.report.results.results import UNTOUCHED, ComparedEncoder
from xbench.report.style import Style
from xbench.report.table import Column, Table, TableRow
from xbench.report.tables.probes.probe_cells import (
    Parts,
    ProbeTableBuilder,
    cut,
    has_rows,
    with_values,
    words_of,
)

MEAN = "mean"


def probe_tables(results: ProbeResults, background: Background, style: Style) -> list[Table]:
    """Every table whose measures the results hold."""
    forms = {"pairs": _pairs, "languages": _languages, "depths": _depths, "measures": _measures}
    tables = []
    for name, spec in background.tables.items():
        builder = ProbeTableBuilder(name, spec, results, background, style)
        if builder.measures:
            tables += forms[spec.form](builder)
    return tables


def _pairs(builder: ProbeTableBuilder) -> list[Table]:
    """One table for each pair that encoders were aligned on, with the untouched one beside them."""
    tables = []
    measures = [m for shown in builder.measures.values() for m in shown]
    for condition in builder.results.conditions(measures):
        there = set(builder.results.languages(measures, condition))
        groups = {
            label: [pair for pair in pairs if pair in there]
            for label, pairs in builder.background.groups.items()
        }
        groups = {label: pairs for label, pairs in groups.items() if pairs}
        encoders = with_values(builder, measures, condition)
        aligned_on = sorted({e.pair for e in encoders if e.pair is not None})
        trained: list[str | None] = [*aligned_on] or [None]
        for pair in trained if groups else ():
            of_pair = [e for e in encoders if e == UNTOUCHED or e.pair == pair]
            kind = [*([] if pair is None else [pair]), *words_of(condition)]
            notes = _lacking(builder, there)
            tables.append(
                builder.table(
                    kind,
                    _pair_parts(builder, condition, groups, of_pair),
                    builder.measures,
                    [condition],
                    notes,
                )
            )
    return tables


def _pair_parts(
    builder: ProbeTableBuilder,
    condition: Condition,
    groups: Mapping[str, list[str]],
    encoders: Sequence[ComparedEncoder],
) -> Parts:
    several = len(builder.measures) > 1
    columns = [
        (Column(builder.encoder(e), (label,) if several else (), e.arm != "aligned"), shown, e)
        for label, shown in builder.measures.items()
        for e in encoders
    ]
    lines = [
        (TableRow(label, (group,)), pairs)
        for group, members in groups.items()
        for label, pairs in [*((p, [p]) for p in members), *_mean_of(members)]
    ]
    everything = [pair for members in groups.values() for pair in members]
    lines.append((TableRow(MEAN, ("all pairs",)), everything))
    return Parts(
        tuple(column for column, _, _ in columns),
        tuple(row for row, _ in lines),
        tuple(
            tuple(builder.cell(shown, e, condition, pairs) for _, shown, e in columns)
            for _, pairs in lines
        ),
        "pair",
        "encoder",
    )


def _mean_of(members: list[str]) -> list[tuple[str, list[str]]]:
    return [(MEAN, members)] if len(members) > 1 else []


def _lacking(builder: ProbeTableBuilder, there: set[str | None]) -> list[str]:
    absent = [p for pairs in builder.background.groups.values() for p in pairs if p not in there]
    metric = next(iter(builder.spec.metrics.values()))
    reasons: dict[str, list[str]] = {}
    for pair in absent:
        why = builder.results.reason(builder.spec.probe, metric, pair)
        reasons.setdefault(f": {cut(why)}" if why else ".", []).append(pair)
    return [f"Without data, not a gap: {', '.join(of)}{why}" for why, of in reasons.items()]


def _languages(builder: ProbeTableBuilder) -> list[Table]:
    """One table for each measure and task: the source language, the others, and their mean."""
    tables = []
    for label, measures in builder.measures.items():
        for conditions in _alike(builder, measures):
            condition = conditions[0]
            codes = [c for c in builder.results.languages(measures, condition) if c is not None]
            if not codes:
                continue
            source = builder.style.source_language
            targets = [code for code in codes if code != source]
            spans = {code: [code] for code in [*([source] if source in codes else []), *targets]}
            if len(targets) > 1:
                spans["mean of targets"] = targets
            encoders = [
                encoder
                for encoder in with_values(builder, measures, condition)
                if encoder != UNTOUCHED or _is_measured(builder, measures, condition)
            ]
            parts = Parts(
                tuple(Column(name) for name in spans),
                tuple(builder.row(encoder) for encoder in encoders),
                tuple(
                    tuple(builder.cell(measures, e, condition, codes) for codes in spans.values())
                    for e in encoders
                ),
                "encoder, variant",
                "language",
            )
            words = [word for each in conditions for word in words_of(each)]
            tables.append(builder.table([label, *words], parts, {label: measures}, conditions, ()))
    return tables


def _is_measured(
    builder: ProbeTableBuilder, measures: Sequence[Measure], condition: Condition
) -> bool:
    """Whether the untouched encoder can be measured at all: it has no objective, for one."""
    return any(
        one.status != "unavailable"
        for measure in measures
        for (encoder, at, _), one in builder.results.found[measure].items()
        if (encoder, at) == (UNTOUCHED, condition)
    )


def _alike(builder: ProbeTableBuilder, measures: Sequence[Measure]) -> list[list[Condition]]:
    """The conditions, those with the same values together: not every measure has to do with a task."""
    found: dict[Hashable, list[Condition]] = {}
    for condition in builder.results.conditions(measures):
        values = tuple(
            (measure, encoder, language, one.value)
            for measure in measures
            for (encoder, at, language), one in builder.results.found[measure].items()
            if at == condition
        )
        found.setdefault(frozenset(values), []).append(condition)
    return list(found.values())


def _depths(builder: ProbeTableBuilder) -> list[Table]:
    """One table for each measure: layers, before and after alignment and fine-tuning."""
    tables = []
    for label, measures in builder.measures.items():
        there = {m: _places(builder, m) for m in measures}
        lines = _conditions(builder, measures)
        everywhere = list(dict.fromkeys(p for places in there.values() for p in places))
        if not everywhere:
            continue
        parts = Parts(
            tuple(Column(f"layer {m.layer}" if m.layer >= 0 else "all") for m in measures),
            tuple(builder.row(e, " ".join(words_of(c))) for e, c in lines),
            tuple(
                tuple(builder.cell([m], e, c, there[m], AS_IT_IS) for m in measures)
                for e, c in lines
            ),
            "encoder, variant",
            "layer",
        )
        names = ", ".join(place or "all languages" for place in everywhere)
        of = f"Mean over {len(everywhere)}: {names}."
        tables.append(
            builder.table(
                [label],
                parts,
                {label: measures},
                builder.results.conditions(measures),
                [of, CHANGES],
            )
        )
    return tables


def _measures(builder: ProbeTableBuilder) -> list[Table]:
    """One table: several measures, each the mean over all places, before and after fine-tuning."""
    measures = [measure for shown in builder.measures.values() for measure in shown]
    there = {m: _places(builder, m) for m in measures}
    lines = _conditions(builder, measures)
    if not any(there.values()):
        return []
    parts = Parts(
        tuple(Column(label) for label in builder.measures),
        tuple(builder.row(e, " ".join(words_of(c))) for e, c in lines),
        tuple(
            tuple(
                builder.cell(shown, e, c, there[shown[0]], AS_IT_IS)
                for shown in builder.measures.values()
            )
            for e, c in lines
        ),
        "encoder, variant",
        "measure",
    )
    notes = [*_numbers(there.values()), CHANGES]
    conditions = builder.results.conditions(measures)
    return [builder.table((), parts, builder.measures, conditions, notes)]


def _places(builder: ProbeTableBuilder, measure: Measure) -> list[str | None]:
    """The languages or pairs to average over; all languages together where it is of these alone."""
    first, *_ = builder.results.conditions([measure])
    found = builder.results.languages([measure], first)
    return [place for place in found if place is not None] or found


def _conditions(
    builder: ProbeTableBuilder, measures: Sequence[Measure]
) -> list[tuple[ComparedEncoder, Condition]]:
    return [
        (encoder, condition)
        for encoder in builder.results.encoders
        for condition in builder.results.conditions(measures)
        if has_rows(builder, measures, encoder, condition)
    ]


def _numbers(places: Iterable[Sequence[str | None]]) -> list[str]:
    """How many languages or pairs the means are over."""
    counts = sorted({len(found) for found in places if None not in found} - {0})
    return [f"Means over {' or '.join(map(str, counts))} languages or pairs."] if counts else []


CHANGES = "Changes are against the untouched encoder before fine-tuning."

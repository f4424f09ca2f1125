"""Tables of what probes measured: pairs by group, languages by encoder, layers before and after.

Which measures a table shows is data (:class:`~xbench.report.background.ProbeTable`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum

from xbench.report.background import Background, ProbeTable
from xbench.report.probe_rows import AS_IT_IS, Condition, Measure, Measured, ProbeResults
from xbench.report.results import Encoder
from xbench.report.style import Style
from xbench.report.table import Cell, Column, Row, Status, Table
from xbench.report.table1 import UNTOUCHED, VARIANT_ORDER
from xbench.report.text import (
    ABSENT,
    DAGGER,
    decimal,
    encoder_label,
    percent,
    signed,
    signed_decimal,
)

MEAN = "mean"
MOST_REASONS = 6


def probe_tables(results: ProbeResults, background: Background, style: Style) -> list[Table]:
    """Every table whose measures the results hold."""
    forms = {"pairs": _pairs, "languages": _languages, "depths": _depths}
    tables = []
    for name, spec in background.tables.items():
        builder = _Builder(name, spec, results, background, style)
        if builder.measures:
            tables += forms[spec.form](builder)
    return tables


@dataclass(frozen=True)
class _Builder:
    """One table's specification with all that it is filled from."""

    name: str
    spec: ProbeTable
    results: ProbeResults
    background: Background
    style: Style

    @property
    def measures(self) -> dict[str, list[Measure]]:
        """Label -> the measure at each layer that is shown or averaged; those that there are."""
        found = {
            label: self.results.of(self.spec.probe, metric)
            for label, metric in self.spec.metrics.items()
        }
        return {label: self._shown(measures) for label, measures in found.items() if measures}

    def _shown(self, measures: list[Measure]) -> list[Measure]:
        if self.spec.form == "depths":
            return measures
        if self.spec.depth is None:
            return [m for m in measures if m.layer < 0] or measures
        highest = self.background.layers or max(m.layer for m in measures)
        wanted = self.spec.depth * highest
        return [min(measures, key=lambda m: (abs(m.layer - wanted), -m.layer))]

    def cell(
        self,
        measures: Sequence[Measure],
        encoder: Encoder,
        condition: Condition,
        languages: Iterable[str | None],
        base: Condition | None = None,
    ) -> Cell:
        """The mean over languages and layers, and its change against the untouched encoder."""
        places = [(m, language) for m in measures for language in languages]
        found = [self.results.at(m, (encoder, condition, lang)) for m, lang in places]
        cell = replace(self._number(found), where=_where(measures, languages))
        if cell.value is None or (encoder == UNTOUCHED and base is None):
            return cell
        against = condition if base is None else base
        before = self._number(
            [
                self.results.at(m, (UNTOUCHED, against, language))
                for (m, language), one in zip(places, found, strict=True)
                if one is not None and one.value is not None
            ]
        )
        if before.value is None or (encoder, condition) == (UNTOUCHED, against):
            return cell
        write = signed if self.spec.percent else signed_decimal
        change = write(cell.value - before.value, self._digits)
        return replace(cell, details=(change,), against=before.keys)

    @property
    def _digits(self) -> int:
        return self.style.digits if self.spec.percent else self.style.digits + 2

    def _number(self, found: Sequence[Measured | None]) -> Cell:
        """The mean; a gap leaves none, unless a part was asked for, which is marked."""
        rows = [one for one in found if one is not None]
        values = [one.value for one in rows if one.value is not None]
        gaps = len(found) - len(values)
        lacking = _keys(one for one in rows if one.value is None)
        if not rows:
            return Cell(ABSENT, "absent")
        if not values or (gaps and not self.style.allow_partial):
            statuses = {one.status for one in rows if one.value is None}
            if "failed" in statuses or "blocked" in statuses:
                status: Status = "failed" if "failed" in statuses else "blocked"
                return Cell(status, status, gaps=lacking)
            if values:
                return Cell(f"incomplete ({len(values)}/{len(found)})", "incomplete", gaps=lacking)
            word = "undefined" if "unavailable" in statuses else "missing"
            return Cell(word, "missing", gaps=lacking)
        value = fsum(values) / len(values)
        write = percent if self.spec.percent else decimal
        text = write(value, self._digits) + (DAGGER if gaps else "")
        state: Status = "partial" if gaps else "done"
        return Cell(text, state, value, n=len(values), keys=_keys(rows), gaps=lacking)

    def encoder(self, encoder: Encoder) -> str:
        """``S1W0M0``, with what is not said elsewhere in the table."""
        several = len({e.objective for e in self.results.encoders} - {None}) > 1
        name = encoder.variant or encoder.objective or "none"
        if encoder.variant and several:
            name = f"{encoder.objective}:{encoder.variant}"
        words = [name, "shuffled"] if encoder.arm == "shuffled" else [name]
        if len({e.align_seed for e in self.results.encoders} - {None}) > 1 and encoder.align_seed:
            words.append(f"align seed {encoder.align_seed}")
        return " ".join(words)

    def row(self, encoder: Encoder, suffix: str = "") -> Row:
        """The header of an encoder's row."""
        several = len({e.align_seed for e in self.results.encoders} - {None}) > 1
        label = encoder_label(encoder, self.style.short_codes, several)
        variant = self.encoder(encoder).split()[0] if encoder != UNTOUCHED else ""
        words = " ".join(part for part in (label, variant, suffix) if part)
        return Row(words, control=encoder.arm != "aligned")

    def table(self, kind: Sequence[str], parts: "_Parts", notes: Sequence[str]) -> Table:
        """The table; ``kind`` says which of several it is."""
        label = "-".join(("tab:" + self.name, *kind)).replace("_", "-").replace(" ", "-")
        about = f" ({', '.join(kind)})" if kind else ""
        unit = "in percent" if self.spec.percent else "as measured"
        return Table(
            name=self.name,
            label=label,
            title=self.spec.title + about,
            caption=(
                f"{self.spec.title}{about}, {unit}; after it the change against the untouched "
                f"encoder. Suite {self.results.suite}, model {self.results.model}."
            ),
            columns=parts.columns,
            rows=parts.rows,
            cells=parts.cells,
            stub=parts.stub,
            column_stub=parts.column_stub,
            notes=(*notes, *self._notes()),
        )

    def _notes(self) -> list[str]:
        layers = {
            label: ", ".join(str(m.layer) for m in shown if m.layer >= 0)
            for label, shown in self.measures.items()
        }
        names = [f"{label} is {self.spec.metrics[label]}" for label in self.measures]
        notes = [f"Measured by the probe {self.spec.probe}: {'; '.join(names)}."]
        if any(layers.values()) and self.spec.form != "depths":
            different = len(set(layers.values())) > 1
            listed = [f"{label}: {found}" for label, found in layers.items()]
            which = "; ".join(listed) if different else next(iter(layers.values()))
            mean = "Mean over the layers" if self.spec.depth is None else "Layer"
            notes.append(f"{mean} {which} (0 is the embedding output).")
        if self.results.step is not None:
            notes.append(f"Aligned encoders after {self.results.step} steps.")
        return [
            *notes,
            *([self.spec.note] if self.spec.note else []),
            *self._reasons(),
            *self.results.failures,
            *self.style.notes,
        ]

    def _reasons(self) -> list[str]:
        """Why values are lacking, or what is to be said of one, each reason once."""
        places: dict[str, set[str]] = {}
        for measure in (m for shown in self.measures.values() for m in shown):
            for (_, _, language), one in self.results.found[measure].items():
                if one.reason:
                    places.setdefault(one.reason, set()).add(language or "all languages")
        lines = [f"{', '.join(sorted(where))}: {reason}" for reason, where in places.items()]
        lines = sorted(_cut(line) for line in lines)
        more = [f"{len(lines) - MOST_REASONS} more remarks: xbench results."]
        return lines[:MOST_REASONS] + (more if len(lines) > MOST_REASONS else [])


@dataclass(frozen=True)
class _Parts:
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    cells: tuple[tuple[Cell, ...], ...]
    stub: str
    column_stub: str


def _pairs(builder: _Builder) -> list[Table]:
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
        encoders = _with_values(builder, measures, condition)
        aligned_on = sorted({e.pair for e in encoders if e.pair is not None})
        trained: list[str | None] = [*aligned_on] or [None]
        for pair in trained if groups else ():
            of_pair = [e for e in encoders if e == UNTOUCHED or e.pair == pair]
            kind = [*([] if pair is None else [pair]), *_words(condition)]
            notes = _lacking(builder, there)
            tables.append(
                builder.table(kind, _pair_parts(builder, condition, groups, of_pair), notes)
            )
    return tables


def _pair_parts(
    builder: _Builder,
    condition: Condition,
    groups: Mapping[str, list[str]],
    encoders: Sequence[Encoder],
) -> _Parts:
    several = len(builder.measures) > 1
    columns = [
        (Column(builder.encoder(e), (label,) if several else (), e.arm != "aligned"), shown, e)
        for label, shown in builder.measures.items()
        for e in encoders
    ]
    lines = [
        (Row(label, (group,)), pairs)
        for group, members in groups.items()
        for label, pairs in [*((p, [p]) for p in members), *_mean_of(members)]
    ]
    everything = [pair for members in groups.values() for pair in members]
    lines.append((Row(MEAN, ("all pairs",)), everything))
    return _Parts(
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


def _lacking(builder: _Builder, there: set[str | None]) -> list[str]:
    absent = [p for pairs in builder.background.groups.values() for p in pairs if p not in there]
    metric = next(iter(builder.spec.metrics.values()))
    reasons: dict[str, list[str]] = {}
    for pair in absent:
        why = builder.results.reason(builder.spec.probe, metric, pair)
        reasons.setdefault(f": {_cut(why)}" if why else ".", []).append(pair)
    return [f"Without data, not a gap: {', '.join(of)}{why}" for why, of in reasons.items()]


def _languages(builder: _Builder) -> list[Table]:
    """One table for each measure and task: the source language, the others, and their mean."""
    tables = []
    for label, measures in builder.measures.items():
        for condition in builder.results.conditions(measures):
            codes = [c for c in builder.results.languages(measures, condition) if c is not None]
            if not codes:
                continue
            source = builder.style.source_language
            targets = [code for code in codes if code != source]
            spans = {code: [code] for code in [*([source] if source in codes else []), *targets]}
            if len(targets) > 1:
                spans["mean of targets"] = targets
            encoders = _with_values(builder, measures, condition)
            parts = _Parts(
                tuple(Column(name) for name in spans),
                tuple(builder.row(encoder) for encoder in encoders),
                tuple(
                    tuple(builder.cell(measures, e, condition, codes) for codes in spans.values())
                    for e in encoders
                ),
                "encoder, variant",
                "language",
            )
            tables.append(builder.table([label, *_words(condition)], parts, ()))
    return tables


def _depths(builder: _Builder) -> list[Table]:
    """One table for each measure: layers, before and after alignment and fine-tuning."""
    tables = []
    for label, measures in builder.measures.items():
        there = builder.results.languages(measures, AS_IT_IS)
        lines = [
            (encoder, condition)
            for encoder in builder.results.encoders
            for condition in builder.results.conditions(measures)
            if _any(builder, measures, encoder, condition)
        ]
        if not there:
            continue
        parts = _Parts(
            tuple(Column(f"layer {m.layer}" if m.layer >= 0 else "all") for m in measures),
            tuple(builder.row(e, " ".join(_words(c))) for e, c in lines),
            tuple(
                tuple(builder.cell([m], e, c, there, AS_IT_IS) for m in measures) for e, c in lines
            ),
            "encoder, variant",
            "layer",
        )
        of = f"Mean over {len(there)}: {', '.join(str(p or 'all languages') for p in there)}."
        tables.append(builder.table([label], parts, [of, CHANGES]))
    return tables


CHANGES = "Changes are against the untouched encoder before fine-tuning."


def _with_values(
    builder: _Builder, measures: Sequence[Measure], condition: Condition
) -> list[Encoder]:
    """Encoders with any row there, variants in the study's order."""
    found = [e for e in builder.results.encoders if _any(builder, measures, e, condition)]

    def place(encoder: Encoder) -> int:
        variant = encoder.variant or ""
        return VARIANT_ORDER.index(variant) if variant in VARIANT_ORDER else len(VARIANT_ORDER)

    keys = [(e.arm, e.pair, e.align_seed) for e in found]
    return sorted(found, key=lambda e: (keys.index((e.arm, e.pair, e.align_seed)), place(e)))


def _any(
    builder: _Builder, measures: Sequence[Measure], encoder: Encoder, condition: Condition
) -> bool:
    return any(
        (e, c) == (encoder, condition) for m in measures for e, c, _ in builder.results.found[m]
    )


def _words(condition: Condition) -> list[str]:
    """``fine-tuned on pos``, ``full``; a task alone is the one whose head was fitted."""
    task, mode = condition
    if mode is not None:
        return [f"fine-tuned on {task}", mode]
    return [] if task is None else [task]


def _cut(text: str, most: int = 240) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"

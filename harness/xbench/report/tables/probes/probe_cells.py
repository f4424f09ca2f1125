"""What tables of probes are filled with: means of measurements, changes, headers and notes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum
from typing import Any

from xbench.report.results.background import Background, ProbeTable
from xbench.report.results.probe_rows import AS_IT_IS, Condition, Measure, Measured, ProbeResults
from xbench.report.results.results import UNTOUCHED, ComparedEncoder
from xbench.report.style import Style
from xbench.report.table import Column, Status, Table, TableCell, TableRow
from xbench.report.tables.wording import (
    ABSENT,
    DAGGER,
    DIGITS,
    decimal,
    encoder_label,
    percent,
    signed,
    signed_decimal,
)

MOST_REASONS = 6
Shown = Mapping[str, Sequence[Measure]]
"""What a reader sees -> the measures that are shown or averaged."""


@dataclass(frozen=True)
class ProbeTableBuilder:
    """One table's specification, and all that its cells are made from."""

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
        encoder: ComparedEncoder,
        condition: Condition,
        languages: Sequence[str | None],
        base: Condition | None = None,
    ) -> TableCell:
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
        return DIGITS if self.spec.percent else DIGITS + 2

    def _number(self, found: Sequence[Measured | None]) -> TableCell:
        """The mean; a gap leaves none, unless a part was asked for, which is marked."""
        rows = [one for one in found if one is not None]
        values = [one.value for one in rows if one.value is not None]
        gaps = len(found) - len(values)
        lacking = _keys(one for one in rows if one.value is None)
        if not rows:
            return TableCell(ABSENT, "absent")
        if not values or (gaps and not self.style.allow_partial):
            statuses = {one.status for one in rows if one.value is None}
            if "failed" in statuses or "blocked" in statuses:
                status: Status = "failed" if "failed" in statuses else "blocked"
                return TableCell(status, status, gaps=lacking)
            if values:
                return TableCell(
                    f"incomplete ({len(values)}/{len(found)})", "incomplete", gaps=lacking
                )
            word = "undefined" if "unavailable" in statuses else "missing"
            return TableCell(word, "missing", gaps=lacking)
        value = fsum(values) / len(values)
        write = percent if self.spec.percent else decimal
        text = write(value, self._digits) + (DAGGER if gaps else "")
        state: Status = "partial" if gaps else "done"
        return TableCell(text, state, value, n=len(values), keys=_keys(rows), gaps=lacking)

    def encoder(self, encoder: ComparedEncoder) -> str:
        """``S1W0M0``, with what is not said elsewhere in the table."""
        several = len({e.objective for e in self.results.encoders} - {None}) > 1
        name = encoder.variant or encoder.objective or "none"
        if encoder.variant and several:
            name = f"{encoder.objective}:{encoder.variant}"
        words = [name, "shuffled"] if encoder.arm == "shuffled" else [name]
        return " ".join(words)

    def row(self, encoder: ComparedEncoder, suffix: str = "") -> TableRow:
        """The header of an encoder's row."""
        label = encoder_label(encoder, self.style.short_codes)
        variant = self.encoder(encoder).split()[0] if encoder != UNTOUCHED else ""
        words = " ".join(part for part in (label, variant, suffix) if part)
        return TableRow(words, control=encoder.arm != "aligned")

    def table(
        self,
        kind: Sequence[str],
        parts: "Parts",
        shown: Shown,
        conditions: Sequence[Condition],
        notes: Sequence[str],
    ) -> Table:
        """The table of the measures ``shown``; ``kind`` says which of several it is."""
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
            notes=(*notes, *self._notes(shown, conditions)),
        )

    def _notes(self, shown: Shown, conditions: Sequence[Condition]) -> list[str]:
        layers = {
            label: ", ".join(str(m.layer) for m in measures if m.layer >= 0)
            for label, measures in shown.items()
        }
        names = [f"{label} is {self.spec.metrics[label]}" for label in shown]
        notes = [f"Measured by the probe {self.spec.probe}: {'; '.join(names)}."]
        if any(layers.values()) and self.spec.form != "depths":
            different = len(set(layers.values())) > 1
            listed = [f"{label}: {found}" for label, found in layers.items()]
            which = "; ".join(listed) if different else next(iter(layers.values()))
            mean = "Mean over the layers" if self.spec.depth is None else "Layer"
            notes.append(f"{mean} {which} (0 is the embedding output).")
        if self.results.step is not None:
            notes.append(f"Aligned encoders after {self.results.step} steps.")
        if len(self.results.align_seeds) > 1:
            seeds = ", ".join(map(str, self.results.align_seeds))
            notes.append(f"Means over {len(self.results.align_seeds)} alignment seeds ({seeds}).")
        return [
            *notes,
            *([self.spec.note] if self.spec.note else []),
            *self._left_out(shown, conditions),
            *self._reasons(shown, conditions),
            *self.results.failures,
            *self.style.notes,
        ]

    def _left_out(self, shown: Shown, conditions: Sequence[Condition]) -> list[str]:
        """How many items are left where those that a fine-tuning had seen are not looked at."""
        measures = [measure for of_label in shown.values() for measure in of_label]
        before = self.results.items(measures, AS_IT_IS)
        return [
            f"{' '.join(words_of(condition))}: at most {after} items instead of {before}, since those "
            f"in its training data are left out. What depends on their number does not compare."
            for condition in conditions
            if condition != AS_IT_IS
            and 0 < (after := self.results.items(measures, condition)) < before
        ]

    def _reasons(self, shown: Shown, conditions: Sequence[Condition]) -> list[str]:
        """Why values are lacking, or what is to be said of one, each reason once."""
        places: dict[str, set[str]] = {}
        for measure in (m for measures in shown.values() for m in measures):
            for (_, condition, language), one in self.results.found[measure].items():
                if one.reason and condition in conditions:
                    places.setdefault(one.reason, set()).add(language or "all languages")
        lines = [f"{', '.join(sorted(where))}: {reason}" for reason, where in places.items()]
        lines = sorted(cut(line) for line in lines)
        more = [f"{len(lines) - MOST_REASONS} more remarks: xbench results."]
        return lines[:MOST_REASONS] + (more if len(lines) > MOST_REASONS else [])


def _keys(rows: Iterable[Measured]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for one in rows for key in one.keys))


def _where(
    measures: Sequence[Measure], languages: Sequence[str | None]
) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """Which of a probe's rows a cell is about: it measures many things at once."""
    layers = dict.fromkeys(None if m.layer < 0 else m.layer for m in measures)
    metrics = dict.fromkeys(m.metric for m in measures)
    return (("metric", (*metrics,)), ("layer", (*layers,)), ("language", (*languages,)))


@dataclass(frozen=True)
class Parts:
    """Headers and cells of a table."""

    columns: tuple[Column, ...]
    rows: tuple[TableRow, ...]
    cells: tuple[tuple[TableCell, ...], ...]
    stub: str
    column_stub: str


def with_values(
    builder: ProbeTableBuilder, measures: Sequence[Measure], condition: Condition
) -> list[ComparedEncoder]:
    """Encoders with any row there, variants in the style's order."""
    found = [e for e in builder.results.encoders if has_rows(builder, measures, e, condition)]
    keys = [(e.arm, e.pair, e.during) for e in found]
    return sorted(
        found, key=lambda e: (keys.index((e.arm, e.pair, e.during)), builder.style.place(e.variant))
    )


def has_rows(
    builder: ProbeTableBuilder,
    measures: Sequence[Measure],
    encoder: ComparedEncoder,
    condition: Condition,
) -> bool:
    """Whether the encoder was measured by any of them in that condition."""
    return any(
        (e, c) == (encoder, condition) for m in measures for e, c, _ in builder.results.found[m]
    )


def words_of(condition: Condition) -> list[str]:
    """``fine-tuned on pos``, ``full``; a task alone is the one whose head was fitted."""
    task, mode = condition
    if mode is not None:
        return [f"fine-tuned on {task}", mode]
    return [] if task is None else [task]


def cut(text: str, most: int = 240) -> str:
    """One line, with an end that is left off where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"

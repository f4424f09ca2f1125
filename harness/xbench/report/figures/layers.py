"""What probes measured, layer by layer: a line for each variant, a column for each pair.

Figure 1 of the study is one of these: the change of distances by model and variant.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import fsum

from xbench.report.figures.lines import LineGrid, Series, draw_lines
from xbench.report.figures.material import Drawing, Lacking, Material
from xbench.report.figures.palette import Looks, short, wrapped
from xbench.report.results.background import ProbeFigure
from xbench.report.results.probe_rows import AS_IT_IS, Condition, Measure, ProbeResults
from xbench.report.results.results import UNTOUCHED, ComparedEncoder
from xbench.report.style import Style
from xbench.report.tables.probes.probe_cells import words_of

MOST_COLUMNS = 6
Column = tuple[str | None, Condition]
"""(pair that was aligned, what the encoder was fine-tuned for)."""


@dataclass(frozen=True)
class _Source:
    """The measures of a figure, and over what each is averaged."""

    spec: ProbeFigure
    results: ProbeResults
    style: Style

    def measures(self, metric: str) -> list[Measure]:
        """One for each layer."""
        return [m for m in self.results.of(self.spec.probe, metric) if m.layer >= 0]

    def line(
        self, metric: str, encoder: ComparedEncoder, condition: Condition
    ) -> list[float | None]:
        """One value a layer: the mean over languages or pairs, or its change."""
        return [self._value(measure, encoder, condition) for measure in self.measures(metric)]

    def _value(
        self, measure: Measure, encoder: ComparedEncoder, condition: Condition
    ) -> float | None:
        base = AS_IT_IS if condition[1] is not None else condition
        found = []
        for language in self.languages(measure, base if self.spec.change else condition):
            one = self.results.at(measure, (encoder, condition, language))
            value = None if one is None else one.value
            if self.spec.change and value is not None:
                before = self.results.at(measure, (UNTOUCHED, base, language))
                lacking = before is None or before.value is None
                value = None if lacking else value - before.value  # type: ignore[operator, union-attr]
            if value is not None:
                found.append(value)
            elif not self.style.allow_partial:
                return None
        return fsum(found) / len(found) if found else None

    def languages(self, measure: Measure, condition: Condition) -> list[str | None]:
        """All but the source language, whose gradient against itself is a check and no result."""
        found = self.results.languages([measure], condition)
        targets = [language for language in found if language != self.style.source_language]
        return targets or found


def layer_figures(material: Material) -> Iterator[Drawing | Lacking]:
    """A figure for each of the background's that has values; several where there are many columns."""
    for name, spec in material.background.figures.items():
        if spec.form != "layers":
            continue
        if material.probes is None:
            yield Lacking(spec.title, f"it takes the probe {spec.probe}, which was not run")
            continue
        source = _Source(spec, material.probes, material.style)
        metrics = {label: m for label, m in spec.metrics.items() if source.measures(m)}
        grids = list(_grids(source, metrics)) if metrics else []
        if not grids:
            yield Lacking(spec.title, f"the probe {spec.probe} has no values of single layers")
        for words, grid in grids:
            kind = "-".join((name, *words.replace(",", "").split()))
            about = f" ({words})" if words else ""
            yield Drawing(
                kind.replace("_", "-"),
                spec.title + about,
                _caption(material, source, metrics, about),
                partial(draw_lines, grid),
            )


def _grids(source: _Source, metrics: dict[str, str]) -> Iterator[tuple[str, LineGrid]]:
    """One for all pairs and conditions where they fit beside each other, else one a condition."""
    results = source.results
    measures = [measure for metric in metrics.values() for measure in source.measures(metric)]
    conditions = results.conditions(measures)
    named = sorted({e.pair for e in results.encoders if e.pair is not None})
    pairs: list[str | None] = [*named] or [None]
    columns = [(pair, condition) for condition in conditions for pair in pairs]
    if len(columns) <= MOST_COLUMNS:
        grid = _grid(source, metrics, columns, len(conditions) > 1)
        words = "" if len(conditions) > 1 else ", ".join(words_of(conditions[0]))
        return iter([(words, grid)] if grid.panels else [])
    found = (
        (", ".join(words_of(c)), _grid(source, metrics, [(pair, c) for pair in pairs], False))
        for c in conditions
    )
    return ((words, grid) for words, grid in found if grid.panels)


def _grid(
    source: _Source, metrics: dict[str, str], columns: Sequence[Column], named: bool
) -> LineGrid:
    looks = Looks.of(source.results.encoders, source.style)
    panels = {}
    layers = sorted({m.layer for metric in metrics.values() for m in source.measures(metric)})
    for row, metric in enumerate(metrics.values()):
        x = tuple(float(measure.layer) for measure in source.measures(metric))
        for place, (pair, condition) in enumerate(columns):
            lines = []
            for encoder in sorted(_encoders(source, pair, condition), key=looks.order):
                y = source.line(metric, encoder, condition)
                if any(value is not None for value in y):
                    lines.append(Series(looks.name(encoder), looks.look(encoder), x, tuple(y)))
            if lines:
                panels[row, place] = lines
    heads = [
        "\n".join(
            part
            for part in (short(pair or ""), ", ".join(words_of(condition)) if named else "")
            if part
        )
        for pair, condition in columns
    ]
    return LineGrid(
        rows=tuple(wrapped(label, 18) for label in metrics),
        columns=tuple(heads),
        panels=panels,
        x_label="layer (0 is the embedding output)",
        y_label=source.spec.axis,
        zero=True,
        ticks=tuple(map(float, layers)) if len(layers) <= 13 else (),
    )


def _encoders(source: _Source, pair: str | None, condition: Condition) -> list[ComparedEncoder]:
    """Those of a pair, with the untouched one beside them; where it is the measure, it has no line."""
    is_base = source.spec.change and condition[1] is None
    return [
        encoder
        for encoder in source.results.encoders
        if (encoder.pair == pair and encoder != UNTOUCHED) or (encoder == UNTOUCHED and not is_base)
    ]


def _aligned(source: _Source) -> str:
    """Of how many alignments, where these are several."""
    count = len(source.results.align_seeds)
    return f" of fine-tuning and of {count} alignments" if count > 1 else " of fine-tuning"


def _caption(material: Material, source: _Source, metrics: dict[str, str], about: str) -> str:
    what = (
        "Change against the untouched encoder before fine-tuning" if source.spec.change else "Value"
    )
    counts = {
        len(source.languages(measure, condition))
        for metric in metrics.values()
        for measure in source.measures(metric)
        for condition in source.results.conditions([measure])
    }
    counts -= {0}
    span = str(min(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
    parts = [
        f"{source.spec.title}{about}.",
        f"{what}, the mean over {span} languages or pairs of languages and over seeds{_aligned(source)}; "
        f"columns are the pairs that were aligned. Where a language has no value, a point is left "
        f"out.",
        "Hollow markers on dotted lines: the same objective on wrongly paired sentences."
        if any(e.arm == "shuffled" for e in source.results.encoders)
        else "",
        source.spec.note,
        f"Aligned encoders after {source.results.step} steps." if source.results.step else "",
        material.about,
    ]
    return " ".join(part for part in parts if part)

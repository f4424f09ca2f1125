"""What the probes of representations share: which layers, which pairs, and rows of what was found."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from xbench.api.probe import Pair, ProbeView, Row
from xbench.api.source import MissingData
from xbench_plugins.measures.measured import Named, usable, usable_pairs

Depth = Annotated[float, Field(ge=0, le=1)]
Depths = Annotated[tuple[Depth, ...], Field(min_length=1)] | Literal["all"]

# Close enough that every layer of an encoder of up to 96 is the nearest one to some depth.
_EVERY = tuple(n / 96 for n in range(97))


def relative(depths: Depths) -> tuple[float, ...]:
    """The relative depths; ``all`` is a grid that meets every layer."""
    return _EVERY if depths == "all" else depths


def layers(view: ProbeView, depths: Sequence[float]) -> dict[int, float]:
    """layer -> a depth at which it lies, each layer once, lowest first."""
    return {view.layer(depth): depth for depth in sorted(depths)}


def pairs_of(view: ProbeView) -> list[Pair]:
    """The pairs of the suite's groups, then each language with the source language; each once."""
    grouped = [pair for pairs in view.groups.values() for pair in pairs]
    with_source = [(code, view.source) for code in view.languages if code != view.source]
    return list(dict.fromkeys([*grouped, *with_source]))


@dataclass(frozen=True)
class PairMeasure:
    """A measure of translation pairs: the metrics that it gives, and the function that does.

    ``names`` are given whether they are defined or not; ``vectors`` says what stands for a pair at
    a depth (its sentences, its words).
    """

    names: Sequence[str]
    measure: Callable[[Tensor, Tensor], Named]
    vectors: Callable[[Pair, float], tuple[Tensor, Tensor]]


def over_pairs(
    view: ProbeView, depths: Sequence[float], measures: Iterable[PairMeasure]
) -> Iterator[Row]:
    """Rows of every measure, for every layer and pair, and for languages without parallel text."""
    measures = tuple(measures)
    for layer, depth in layers(view, depths).items():
        for pair in pairs_of(view):
            for each in measures:
                yield from _of_pair(each, pair, layer, depth)
    yield from missing(view, measures[0].names[0], f"-{view.source}")


def _of_pair(measure: PairMeasure, pair: Pair, layer: int, depth: float) -> Iterator[Row]:
    language = "-".join(pair)
    try:
        sides = measure.vectors(pair, depth)
    except MissingData as error:
        yield from undefined_rows(measure.names, language, layer, error)
        return
    try:
        first_ND, second_ND, note = usable_pairs(*sides, pair)
    except ValueError as error:
        yield from undefined_rows(measure.names, language, layer, error)
        return
    found = measure.measure(first_ND, second_ND)
    for name in measure.names:
        yield row(name, found, language, layer, len(first_ND), note)


def over_languages(
    view: ProbeView,
    depths: Sequence[float],
    names: Sequence[str],
    measure: Callable[[Tensor], Named],
) -> Iterator[Row]:
    """Rows of a measure of one language's sentences, for every layer and language."""
    for layer, depth in layers(view, depths).items():
        for code in view.languages:
            try:
                vectors_ND, note = usable(view.pooled(code, depth), code)
            except ValueError as error:
                yield from undefined_rows(names, code, layer, error)
                continue
            found = measure(vectors_ND)
            for name in names:
                yield row(name, found, code, layer, len(vectors_ND), note)


def undefined_rows(
    names: Sequence[str], language: str | None, layer: int, error: Exception
) -> Iterator[Row]:
    """A row without a value for each metric; the message of ``error`` is the reason."""
    for name in names:
        yield Row(name, None, language, layer, reason=str(error))


def row(name: str, found: Named, language: str | None, layer: int, n: int, note: str = "") -> Row:
    """The row of one named measure."""
    one = found[name].flagged(note)
    return Row(name, one.value, language, layer, one.n or n, one.reason, one.items)


def missing(view: ProbeView, metric: str, suffix: str = "") -> Iterator[Row]:
    """A row for each language that there is no parallel text of, with the reason."""
    for code, reason in view.missing.items():
        yield Row(metric, None, f"{code}{suffix}", reason=reason)

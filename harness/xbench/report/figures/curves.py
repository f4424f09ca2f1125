"""Learning curves: the losses of alignments by term, and of fine-tunings by task and mode."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from math import fsum

from xbench.report.figures.lines import LineGrid, Series, draw_lines
from xbench.report.figures.material import Curve, Drawing, Lacking, Material
from xbench.report.figures.palette import Looks, short
from xbench.report.results.probe_rows import AS_IT_IS
from xbench.report.results.results import ComparedEncoder, Panel

ALIGNMENT, FINETUNING = "Losses of alignment", "Losses of fine-tuning"
WHOLE = "loss"
"""The name of the whole loss, beside the terms that make it up."""


def curve_figures(material: Material) -> Iterator[Drawing | Lacking]:
    """One figure for alignments and one for fine-tunings."""
    looks = Looks.of((curve.encoder for curve in material.curves), material.style)
    of_alignment = [c for c in material.curves if c.condition == AS_IT_IS]
    of_tasks = [c for c in material.curves if c.condition != AS_IT_IS]
    if of_alignment:
        caption = (
            f"{ALIGNMENT} by step: a row for each term and for their weighted sum, a column for each "
            f"pair. Of steps between two points the losses are not recorded.{_seeds(of_alignment)}"
        )
        yield _drawing(
            "losses-align", ALIGNMENT, caption, material, _alignment(of_alignment, looks)
        )
    else:
        yield Lacking(ALIGNMENT, "no alignment of this run is in the store")
    if of_tasks:
        caption = (
            f"{FINETUNING} by step, the mean over seeds: a row for each task and mode, a column for "
            f"each pair that was aligned before; dashed, the untouched encoder."
        )
        yield _drawing(
            "losses-finetune", FINETUNING, caption, material, _finetuning(of_tasks, looks)
        )
    else:
        yield Lacking(FINETUNING, "no fine-tuning of this run is in the store")


def _seeds(curves: Sequence[Curve]) -> str:
    found = sorted({curve.seed for curve in curves if curve.seed is not None})
    listed = ", ".join(map(str, found))
    return f" Means over {len(found)} alignment seeds ({listed})." if len(found) > 1 else ""


def _drawing(name: str, title: str, caption: str, material: Material, grid: LineGrid) -> Drawing:
    return Drawing(name, title, f"{caption} {material.about}".strip(), partial(draw_lines, grid))


def _alignment(curves: Sequence[Curve], looks: Looks) -> LineGrid:
    terms = list(dict.fromkeys(name for curve in curves for name in sorted(curve.losses)))
    terms = [WHOLE, *(name for name in terms if name != WHOLE)]
    pairs = sorted({curve.encoder.pair or "" for curve in curves})
    means = {term: _means([c for c in curves if term in c.losses], term) for term in terms}
    encoders = sorted({curve.encoder for curve in curves}, key=looks.order)
    panels = {
        (row, column): [
            Series(looks.name(e), looks.look(e), *means[term][e, ("", "")])
            for e in encoders
            if (e.pair or "") == pair and (e, ("", "")) in means[term]
        ]
        for row, term in enumerate(terms)
        for column, pair in enumerate(pairs)
    }
    rows = tuple("weighted sum" if term == WHOLE else short(term, 20) for term in terms)
    return LineGrid(rows, tuple(map(short, pairs)), panels, "step", "loss")


def _finetuning(curves: Sequence[Curve], looks: Looks) -> LineGrid:
    means = _means(curves)
    conditions = sorted({panel for _, panel in means})
    named = sorted({c.encoder.pair for c in curves if c.encoder.pair is not None})
    pairs: list[str | None] = [*named] or [None]
    panels: dict[tuple[int, int], list[Series]] = {}
    for row, condition in enumerate(conditions):
        for column, pair in enumerate(pairs):
            encoders = {e for e, at in means if at == condition and e.pair in (pair, None)}
            panels[row, column] = [
                Series(looks.name(e), looks.look(e), *means[e, condition])
                for e in sorted(encoders, key=looks.order)
            ]
    rows = tuple("\n".join(short(part, 20) for part in at) for at in conditions)
    return LineGrid(rows, tuple(short(pair or "") for pair in pairs), panels, "step", "loss")


Mean = tuple[tuple[float, ...], tuple[float, ...]]
"""(steps, losses)."""


def _means(curves: Sequence[Curve], term: str = WHOLE) -> dict[tuple[ComparedEncoder, Panel], Mean]:
    """A loss of each encoder, over its seeds, at the steps that all of them recorded."""
    groups: dict[tuple[ComparedEncoder, Panel], list[Curve]] = defaultdict(list)
    for curve in curves:
        task, mode = curve.condition
        groups[curve.encoder, (task or "", mode or "")].append(curve)
    found = {}
    for place, members in groups.items():
        known = [dict(zip(c.steps, c.losses[term], strict=True)) for c in members]
        steps = sorted(set.intersection(*(set(values) for values in known)))
        means = [fsum(values[step] for values in known) / len(known) for step in steps]
        found[place] = tuple(map(float, steps)), tuple(means)
    return found

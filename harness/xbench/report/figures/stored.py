"""What figures need beyond the tidy results: losses of trainings, and what each item contributed."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from xbench.errors import XbenchError
from xbench.plan import Cell
from xbench.plan.artefacts import ROWS
from xbench.report.figures.material import Curve
from xbench.report.results.probe_rows import AS_IT_IS, Measure, Place
from xbench.report.results.reading import encoder_of
from xbench.store import Store
from xbench.store.runs import RunRecord


def read_curves(store: Store, run: RunRecord) -> list[Curve]:
    """The losses of all alignments and fine-tunings of a run that are in the store.

    Of fine-tunings those of the last alignment step are read; what is lacking or damaged is left
    out.
    """
    cells = list(_of_last_step(run.cells))
    aligned: dict[str, Cell] = {cell.align: cell for cell in cells if cell.align}
    tuned: dict[str, Cell] = {cell.finetune: cell for cell in cells if cell.finetune}
    curves = []
    for key, cell in aligned.items():
        seed = cell.coordinates.get("align_seed")
        curves.append((_result(store, "align", key), encoder_of(cell.coordinates), AS_IT_IS, seed))
    for key, cell in tuned.items():
        at = cell.coordinates
        if at.get("mode") is not None:
            condition = (at.get("task"), at["mode"])
            result = _result(store, "finetune", key)
            curves.append((result, encoder_of(at), condition, at.get("seed")))
    return [
        Curve(encoder, condition, seed, *_steps_and_losses(result["curve"]))
        for result, encoder, condition, seed in curves
        if result.get("curve")
    ]


def read_items(
    store: Store, run: RunRecord, wanted: Iterable[tuple[str, str]]
) -> dict[tuple[Measure, Place], list[float]]:
    """What each item contributed to the ``wanted`` (probe, metric), of encoders as they are.

    Of several alignments that of the lowest seed: places on maps have no mean.
    """
    wanted = set(wanted)
    seeds = [cell.coordinates.get("align_seed") for cell in run.cells]
    first = min((seed for seed in seeds if seed is not None), default=None)
    probes = {probe for probe, _ in wanted}
    found: dict[tuple[Measure, Place], list[float]] = {}
    for cell in _of_last_step(run.cells):
        at = cell.coordinates
        if cell.probe is None or at.get("probe") not in probes or at.get("mode") is not None:
            continue
        if at.get("align_seed") not in (None, first):
            continue
        metrics = [metric for probe, metric in wanted if probe == at["probe"]]
        for row in _rows(store, cell.probe, metrics):
            layer = -1 if row["layer"] is None else int(row["layer"])
            measure = Measure(at["probe"], row["metric"], layer)
            place = (encoder_of(at), (at.get("task"), None), row["language"])
            found[measure, place] = row["items"]
    return found


def _of_last_step(cells: Iterable[Cell]) -> Iterator[Cell]:
    cells = list(cells)
    steps = [cell.coordinates.get("align_step") for cell in cells]
    last = max((step for step in steps if step is not None), default=None)
    return (cell for cell in cells if cell.coordinates.get("align_step") in (None, last))


def _result(store: Store, kind: str, key: str) -> dict[str, Any]:
    """A stage's result; nothing where it was not computed, or is damaged."""
    if store.state(kind, key) != "done":
        return {}
    try:
        return store.result(kind, key)
    except XbenchError:
        return {}


def _rows(store: Store, key: str, metrics: Iterable[str]) -> list[dict[str, Any]]:
    """The rows of a probe that have items."""
    import pyarrow.parquet as pq

    if store.state("probe", key) != "done":
        return []
    try:
        path = store.file("probe", key, ROWS)
    except XbenchError:
        return []
    columns = ["metric", "language", "layer", "items"]
    table = pq.read_table(path, columns=columns, filters=[("metric", "in", sorted(metrics))])
    rows: list[dict[str, Any]] = table.to_pylist()
    return [row for row in rows if row["items"]]


def _steps_and_losses(
    curve: list[Mapping[str, float]],
) -> tuple[tuple[int, ...], dict[str, tuple[float, ...]]]:
    """The losses that every step recorded."""
    names = [name for name in curve[0] if name != "step" and all(name in at for at in curve)]
    losses = {name: tuple(float(at[name]) for at in curve) for name in names}
    return tuple(int(at["step"]) for at in curve), losses

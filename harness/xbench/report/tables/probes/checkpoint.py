"""Tables of one checkpoint that was probed, with no run around it: its pairs, and all its measures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import fsum
from typing import TYPE_CHECKING, Any

from xbench.report.results.background import Background
from xbench.report.table import Column, Table, TableCell, TableRow
from xbench.report.tables.wording import ABSENT, decimal

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 3
MOST_REASONS = 6
OTHERS = "others"
TOGETHER = "all languages together"
Values = Mapping[tuple[str, int | None, str | None], float]
"""(metric, layer, language or pair) -> value; what is undefined is not there."""


def checkpoint_tables(frame: "pd.DataFrame", background: Background) -> list[Table]:
    """Tables of each probe: languages or pairs by measures at one layer, and means by layer."""
    rows = frame[frame["probe"].notna() & frame["metric"].notna()]
    names = list(dict.fromkeys(rows["probe"]))
    about = "; ".join(
        f"{column} {', '.join(map(str, dict.fromkeys(rows[column].dropna())))}"
        for column in ("suite", "model")
    )
    return [
        replace(table, caption=f"Measured by the probe {name}; {about}.")
        for name in names
        for table in _of(name, rows[rows["probe"] == name], background)
    ]


def _of(name: str, rows: "pd.DataFrame", background: Background) -> list[Table]:
    records = [
        {str(k): v for k, v in record.items()}
        for record in rows.astype(object).where(rows.notna(), None).to_dict("records")
    ]
    values = {
        (r["metric"], r["layer"], r["language"]): float(r["value"])
        for r in records
        if r["value"] is not None
    }
    notes = _reasons(records)
    places = _places(name, values, background)
    return [*([places] if places else []), *_means(name, values, notes)]


def _places(name: str, values: Values, background: Background) -> Table | None:
    """Each language or pair, by the measures that reports show, at the layer that they show."""
    specs = [table for table in background.tables.values() if table.probe == name]
    shown = dict.fromkeys(metric for spec in specs for metric in spec.metrics.values())
    there = dict.fromkeys(metric for metric, _, _ in values)
    metrics = [metric for metric in shown if metric in there] or list(there)
    layer = _layer([spec.depth for spec in specs if spec.depth is not None], values, metrics)
    at = {(m, p): v for (m, of, p), v in values.items() if of == layer and m in metrics}
    places = list(dict.fromkeys(place for _, place in at if place is not None))
    if not places:
        return None
    rows = _grouped(places, background)
    metrics = [metric for metric in metrics if any((metric, place) in at for place in places)]
    where = "" if layer is None else f", layer {layer}"
    return _table(
        name,
        f"{name}{where}",
        [Column(metric) for metric in metrics],
        rows,
        [[at.get((metric, row.label)) for metric in metrics] for row in rows],
        "pair or language",
    )


def _grouped(places: Sequence[str], background: Background) -> list[TableRow]:
    """The suite's groups of pairs in their order, then what is in none."""
    group_of = {
        pair: label
        for label, pairs in background.groups.items()
        for pair in pairs
        if pair in places
    }
    if not group_of:
        return [TableRow(place) for place in places]
    order = [*group_of, *(place for place in places if place not in group_of)]
    return [TableRow(place, (group_of.get(place, OTHERS),)) for place in order]


def _layer(depths: Sequence[float], values: Values, metrics: Sequence[str]) -> int | None:
    """The measured layer nearest to the depth that reports show; the last one where they show none."""
    found = {layer for metric, layer, _ in values if metric in metrics}
    layers = sorted(layer for layer in found if layer is not None)
    if not layers or None in found:
        return None
    wanted = layers[-1] * (depths[0] if depths else 1)
    return min(layers, key=lambda layer: (abs(layer - wanted), -layer))


def _means(name: str, values: Values, notes: Sequence[str]) -> list[Table]:
    """Every measure, the mean over languages or pairs: those by layer, and those of no layer."""
    layered = {metric for metric, layer, _ in values if layer is not None}
    parts = [
        {place: value for place, value in values.items() if (place[0] in layered) == by_layer}
        for by_layer in (True, False)
    ]
    places = {place for _, _, place in values if place is not None}
    about = f"Means over up to {len(places)} languages or pairs; xbench results has each value."
    if not values:
        title = f"{name}: nothing could be measured"
        return [_table(name, title, (), (), (), "measure", notes)]
    tables = [_of_measures(name, part) for part in parts if part]
    return [*tables[:-1], replace(tables[-1], notes=(about, *notes))]


def _of_measures(name: str, values: Values) -> Table:
    found = {layer for _, layer, _ in values}
    layers = sorted(found, key=lambda layer: -1 if layer is None else layer)
    lines = dict.fromkeys((metric, place is None) for metric, _, place in values)
    both = {metric for metric, together in lines if together and (metric, False) in lines}
    rows = [
        TableRow(f"{metric} ({TOGETHER})" if together and metric in both else metric)
        for metric, together in lines
    ]
    cells = [
        [_mean(values, metric, layer, together) for layer in layers] for metric, together in lines
    ]
    columns = [Column("all" if layer is None else f"layer {layer}") for layer in layers]
    return _table(name, f"{name}: all measures", columns, rows, cells, "measure")


def _mean(values: Values, metric: str, layer: int | None, together: bool) -> float | None:
    found = [
        value
        for (own, at, place), value in values.items()
        if (own, at) == (metric, layer) and (place is None) == together
    ]
    return fsum(found) / len(found) if found else None


def _table(
    name: str,
    title: str,
    columns: Sequence[Column],
    rows: Sequence[TableRow],
    cells: Sequence[Sequence[float | None]],
    stub: str,
    notes: Sequence[str] = (),
) -> Table:
    return Table(
        name=f"probe-{name}",
        label=f"tab:probe-{title}".replace(" ", "-").replace(":", "-").replace("_", "-"),
        title=title,
        caption="",
        columns=tuple(columns),
        rows=tuple(rows),
        cells=tuple(tuple(_cell(value) for value in row) for row in cells),
        stub=stub,
        column_stub="measure" if stub != "measure" else "layer",
        notes=tuple(notes),
    )


def _cell(value: float | None) -> TableCell:
    if value is None:
        return TableCell(ABSENT, "absent")
    return TableCell(decimal(value, DIGITS), value=value)


def _reasons(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why values are lacking or flagged: each reason once, with the places that it is about."""
    places: dict[str, set[str]] = {}
    for record in records:
        if record["reason"]:
            places.setdefault(record["reason"], set()).add(record["language"] or TOGETHER)
    lines = sorted(f"{', '.join(sorted(where))}: {why}" for why, where in places.items())
    more = [f"{len(lines) - MOST_REASONS} more remarks: --format csv."]
    return lines[:MOST_REASONS] + (more if len(lines) > MOST_REASONS else [])

"""From the tidy results table to :class:`Results`: selects, checks, refuses what is ambiguous.

Nothing is averaged here. Two values for one cell are an error, never a silent choice.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from xbench.report.results.results import (
    ARMS,
    Block,
    ComparedEncoder,
    Measurement,
    Panel,
    Results,
    Run,
    Selection,
)

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("suite", "model", "objective", "variant", "arm", "pair", "align_step", "align_seed"),
    *("task", "mode", "seed", "language", "split", "probe", "metric", "layer"),
    *("value", "n", "status", "key"),
)
STATUSES = ("done", "failed", "blocked", "missing", "unavailable")

Record = dict[str, Any]


def read_results(frame: "pd.DataFrame", selection: Selection) -> Results:
    """Selects the downstream rows of one suite and model.

    Raises ``ValueError`` naming what is wrong with the table: absent columns, unknown words,
    several suites or models, values outside [0, 1], two values for one cell, nothing selected.
    """
    records = [_checked(record) for record in _downstream(frame)]
    suite, model = _only(records, "suite"), _only(records, "model")
    unavailable = _unavailable(records)
    records = _of_metric([r for r in records if r["mode"] is not None], selection)
    records, step, other_steps = _of_alignment(records, selection)
    records = [r for r in records if (r["task"], r["language"]) not in unavailable]
    if not records:
        raise ValueError(
            "the results hold no downstream rows for this selection; "
            "run some cells first, or select other alignment seeds"
        )
    languages = _occurring(records, "language")
    return Results(
        suite=suite,
        model=model,
        blocks=_blocks(records),
        languages=languages,
        seeds=_occurring(records, "seed"),
        metrics={panel: selection.metric(panel[0]) for panel in languages},
        unavailable=unavailable,
        align_step=step,
        other_steps=other_steps,
        align_seeds=tuple(sorted({r["align_seed"] for r in records} - {None})),
    )


def _downstream(frame: "pd.DataFrame") -> list[Record]:
    """Rows that belong to a task and to no probe, with None for every kind of null."""
    absent = [column for column in COLUMNS if column not in frame.columns]
    if absent:
        raise ValueError(f"the results table lacks the columns {', '.join(absent)}")
    rows = frame[frame["probe"].isna() & frame["task"].notna() & frame["language"].notna()]
    clean = rows.astype(object).where(rows.notna(), None)
    return [{str(name): value for name, value in r.items()} for r in clean.to_dict("records")]


def _checked(record: Record) -> Record:
    """One row with whole numbers as int and an undefined value turned into a failure."""
    for column, words in (("arm", ARMS), ("status", STATUSES)):
        if record[column] not in words and not (
            column == "arm" and record["status"] == "unavailable"
        ):
            raise ValueError(
                f"{column} {record[column]!r} in the row of {_where(record)} is not one of "
                f"{', '.join(words)}"
            )
    for column in ("seed", "align_seed", "align_step", "n"):
        if record[column] is not None:
            record[column] = int(record[column])
    if record["status"] != "done":
        return record | {"value": None}
    if record["value"] is None or math.isnan(record["value"]):
        reason = f"{record['metric']} is undefined for these predictions"
        return record | {"status": "failed", "value": None, "reason": reason}
    if not 0 <= record["value"] <= 1:
        raise ValueError(
            f"value {record['value']} of {_where(record)} lies outside [0, 1]; "
            "the results table holds fractions, not percent"
        )
    return record | {"value": float(record["value"])}


def _where(record: Record) -> str:
    names = ("arm", "objective", "variant", "pair", "task", "mode", "seed", "language", "metric")
    return " ".join(f"{name}={record[name]}" for name in names if record[name] is not None)


def _only(records: list[Record], column: str) -> str:
    values = sorted({str(r[column]) for r in records if r[column] is not None})
    if len(values) > 1:
        raise ValueError(
            f"the results hold several values of {column} ({', '.join(values)}); "
            f"a table is about one: keep the rows of one {column}"
        )
    return values[0] if values else "unknown"


def _unavailable(records: list[Record]) -> dict[tuple[str, str], str]:
    """Languages for which a task has no data at all: they are named, and are no gaps."""
    statuses: dict[tuple[str, str], set[str]] = defaultdict(set)
    reasons: dict[tuple[str, str], str] = {}
    for record in records:
        place = (record["task"], record["language"])
        statuses[place].add(record["status"])
        if record["status"] == "unavailable":
            reasons[place] = record.get("reason") or reasons.get(place) or "no reason was recorded"
    return {p: reasons[p] for p in sorted(reasons) if statuses[p] == {"unavailable"}}


def _of_metric(records: list[Record], selection: Selection) -> list[Record]:
    """Rows of the metric and split shown; a cell without a value may leave both open."""
    kept: list[Record] = []
    for task in sorted({r["task"] for r in records}):
        metric, rows = selection.metric(task), [r for r in records if r["task"] == task]
        names = {r["metric"] for r in rows} - {None}
        if names and metric not in names:
            raise ValueError(
                f"task {task} has no rows of metric {metric!r}; it has {', '.join(sorted(names))}"
            )
        kept += [
            r
            for r in rows
            if _matches(r, "metric", metric) and _matches(r, "split", selection.split)
        ]
    return kept


def _matches(record: Record, column: str, wanted: str) -> bool:
    found, status = record[column], record["status"]
    return bool(found == wanted or (found is None and status != "done"))


def _of_alignment(
    records: list[Record], selection: Selection
) -> tuple[list[Record], int | None, tuple[int, ...]]:
    """Rows of one alignment step (fitted transforms have none), and the steps left out."""
    steps = sorted({r["align_step"] for r in records} - {None})
    step = selection.align_step
    if step is None and steps:
        step = steps[-1]
    elif step is not None and step not in steps:
        raise ValueError(f"no rows of alignment step {step}; there are {_listed(steps)}")
    seeds = sorted({r["align_seed"] for r in records} - {None})
    if selection.align_seed is not None and selection.align_seed not in seeds:
        raise ValueError(
            f"no rows of alignment seed {selection.align_seed}; there are {_listed(seeds)}"
        )
    kept = [
        r
        for r in records
        if r["align_step"] in (None, step)
        and (selection.align_seed is None or r["align_seed"] in (None, selection.align_seed))
    ]
    return kept, step, tuple(other for other in steps if other != step)


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(str(value) for value in values) or "none"


def _blocks(records: list[Record]) -> dict[tuple[Panel, ComparedEncoder], Block]:
    cells: dict[tuple[Panel, ComparedEncoder, str, Run], list[Record]] = defaultdict(list)
    for record in records:
        if record["seed"] is None:
            raise ValueError(f"the row of {_where(record)} has a mode but no seed")
        panel, run = (record["task"], record["mode"]), Run(record["seed"], record["align_seed"])
        cells[panel, encoder_of(record), record["language"], run].append(record)
    blocks: dict[tuple[Panel, ComparedEncoder], Block] = defaultdict(dict)
    for (panel, encoder, language, run), rows in cells.items():
        blocks[panel, encoder][language, run] = _single(rows)
    return dict(blocks)


def encoder_of(record: Mapping[str, Any]) -> ComparedEncoder:
    """Which encoder a row, or the coordinates of a cell, is about; alignment seeds are its runs."""
    if record["arm"] == "none":
        return ComparedEncoder("none")
    arm, objective, variant, pair = (
        record.get(name) for name in ("arm", "objective", "variant", "pair")
    )
    during = pair is not None and record.get("align_seed") is None
    return ComparedEncoder(str(arm), objective, variant, pair, during)


def _single(rows: list[Record]) -> Measurement:
    """The one measurement of a cell; the same key may be listed more than once."""
    keys = {r["key"] for r in rows} - {None}
    if len(keys) > 1 or len({r["value"] for r in rows} - {None}) > 1:
        raise ValueError(
            f"two results for the cell {_where(rows[0])} (keys {_listed(sorted(keys))}): "
            "the table mixes runs with different settings; keep the rows of one of them"
        )
    row = min(rows, key=lambda r: STATUSES.index(r["status"]))
    status = "missing" if row["status"] == "unavailable" else row["status"]
    return Measurement(status, row["value"], row["n"], row["key"], row.get("reason"))


def _occurring(records: list[Record], column: str) -> dict[Panel, tuple[Any, ...]]:
    """What an average of each panel has to cover: all that occurs in the panel."""
    found: dict[Panel, set[Any]] = defaultdict(set)
    for record in records:
        found[record["task"], record["mode"]].add(record[column])
    return {panel: tuple(sorted(values)) for panel, values in found.items()}

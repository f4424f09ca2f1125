"""Test items that were trained on are named under every table, per task and language."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from xbench.report.run.stored import StoredRun
from xbench.report.run.tables import tables_of
from xbench.report.tables import notes
from xbench.store import Store
from xbench.store.runs import RunRecord

from .conftest import Make, run_folder

Counts = dict[tuple[str, str], tuple[int | None, int]]


def test_only_counts_that_are_not_zero_are_said() -> None:
    counts = {("topic", "eng"): (1, 204), ("pos", "kaz"): (0, 9), ("pos", "eng"): (2, 2077)}
    (note,) = notes.overlap({**counts, ("pos", "deu"): (3, 977)})
    assert note.endswith("pos: deu 3 of 977, eng 2 of 2077; topic: eng 1 of 204.")
    assert notes.overlap({("pos", "kaz"): (0, 9)}) == notes.overlap({}) == []


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.prepare()
    return store


def stored(store: Store, cells: list[Any], rows: pd.DataFrame, **others: Any) -> StoredRun:
    """A run that nobody ran, with cells and rows."""
    run = StoredRun(run_folder(store.root))
    content = {"cells": cells, "metrics": {"pos": ["accuracy"]}, **others}
    run.record, run.rows = RunRecord.from_json(content), rows
    return run


def report(store: Store, counts: Counts, make: type[Make]) -> list[str]:
    """The notes under each table of a run whose evaluations counted so; None: nothing was counted."""
    rows = [make.row(task=task, language=code, seed=15) for task, code in counts]
    frame = pd.DataFrame(rows)
    cells = []
    for row, (known, items) in zip(rows, counts.values(), strict=True):
        key = f"evaluate-{row['key']}"
        with store.write("evaluate", key, {}) as entry:
            entry.result = {"items": items} | ({} if known is None else {"overlap": known})
        cells.append({"coordinates": row, "align": None, "evaluate": key})
    return [" ".join(table.notes) for table in tables_of(stored(store, cells, frame))]


def test_every_table_of_a_run_says_it(store: Store, make: type[Make]) -> None:
    found = report(store, {("pos", "deu"): (3, 977), ("pos", "kaz"): (0, 9)}, make)
    assert len(found) == 2
    for text in found:
        assert "text was trained on" in text
        assert "pos: deu 3 of 977." in text


def test_results_of_before_the_count_say_nothing(store: Store, make: type[Make]) -> None:
    for text in report(store, {("pos", "deu"): (None, 977)}, make):
        assert "trained on" not in text


def test_a_damaged_count_costs_no_report(store: Store, make: type[Make]) -> None:
    counts: Counts = {("pos", "deu"): (3, 977)}
    report(store, counts, make)
    (path,) = store.root.glob("evaluate/*/result.json")
    path.write_text(json.dumps({"overlap": 99}))
    rows = [make.row(task="pos", language="deu")]
    cell = {"coordinates": rows[0], "align": None, "evaluate": path.parent.name}
    for table in tables_of(stored(store, [cell], pd.DataFrame(rows))):
        assert "trained on" not in " ".join(table.notes)


def left_out(store: Store, excluded: dict[str, dict[str, int]], make: type[Make]) -> str:
    """The notes of a run whose alignments, by pair, left out so many pairs for each test set."""
    rows = [make.row(), make.row(seed=33)]
    cells = [{"coordinates": rows[0], "align": None, "evaluate": None}]
    for pair, counts in excluded.items():
        with store.write("align", f"align-{pair}", {}) as entry:
            entry.result = {"excluded": counts}
        cell = {"coordinates": {**rows[0], "pair": pair}, "align": f"align-{pair}"}
        cells.append({**cell, "evaluate": None})
    unguarded = {"tatoeba: deu-eng": "is not here", "flores200: eng": "is not here"}
    table, *_ = tables_of(stored(store, cells, pd.DataFrame(rows), unguarded=unguarded))
    return " ".join(table.notes)


def test_pairs_left_out_are_listed_where_there_are_any(store: Store, make: type[Make]) -> None:
    counts = {"deu-eng": {"sib200": 3, "flores200": 0}, "eng-kaz": {"sib200": 0, "flores200": 0}}
    text = left_out(store, counts, make)
    assert "holds one of their sentences: sib200: 3 (deu-eng)." in text
    assert "flores200: 0" not in text
    # what was looked for and not found is no test set that nobody looked for
    assert "for want of the data: tatoeba." in text


def test_where_no_pair_was_left_out_nothing_is_said_of_it(store: Store, make: type[Make]) -> None:
    assert "left out" not in left_out(store, {"deu-eng": {"sib200": 0}}, make)

"""The tidy table: a row per value, and a reason wherever there is none."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from xbench.errors import UnknownName, XbenchError
from xbench.files import dump_json
from xbench.store import Store
from xbench.store.failures import failures
from xbench.store.rows import COLUMNS, read_rows
from xbench.store.runs import RunRecord, find_run, read_record, record_run

from ..command import plan_of, request

METRICS = ("accuracy", "udpos_f1_xtreme")
FAILURE = {"error": "ValueError: bad", "traceback": "", "cause": "error"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.prepare()
    return made


def run() -> RunRecord:
    """A run of four cells: two languages by two alignment variants; one has no data."""
    made = []
    for variant in ("A", "B"):
        for language in ("deu", "kas"):
            place = {"suite": "s", "model": "m", "objective": "o", "variant": variant}
            place |= {"arm": "aligned", "pair": "a-b", "align_step": 4, "align_seed": 1}
            place |= {"task": "pos", "mode": "full", "seed": 15, "language": language}
            name = f"{variant}-{language}"
            gap = language == "kas" and variant == "B"
            made.append(
                {
                    "coordinates": place | {"split": "test"},
                    "score": None if gap else f"score-{name}",
                    "evaluate": None if gap else f"evaluate-{name}",
                    "finetune": f"finetune-{variant}",
                    "align": f"align-{variant}",
                    "unavailable": "no such treebank" if gap else "",
                }
            )
    return RunRecord.from_json({"cells": made, "metrics": {"pos": list(METRICS)}, "gaps": {}})


def put(store: Store, kind: str, key: str, **result: Any) -> None:
    with store.write(kind, key, {}) as entry:
        entry.result = result


def by_cell(store: Store) -> dict[str, dict[str, Any]]:
    frame = read_rows(store, run())
    rows = frame[frame["metric"] == "accuracy"].to_dict("records")
    return {f"{row['variant']}-{row['language']}": row for row in rows}


def test_values_come_with_their_count_and_key(store: Store) -> None:
    scores = {"accuracy": 1 / 3, "udpos_f1_xtreme": None}
    put(store, "score", "score-A-deu", scores=scores, n=7)
    frame = read_rows(store, run())
    assert list(frame.columns) == [*COLUMNS, "reason"]
    first, second = frame.to_dict("records")[:2]
    assert (first["value"], first["n"], first["status"]) == (1 / 3, 7, "done")
    assert (first["metric"], first["key"], first["align_step"]) == ("accuracy", "score-A-deu", 4)
    assert frame["value"].isna()[1]  # a metric may be undefined
    assert (second["metric"], second["status"]) == ("udpos_f1_xtreme", "done")
    assert frame["probe"].isna().all()


def test_every_cell_has_a_row_for_each_metric_and_gaps_have_one(store: Store) -> None:
    frame = read_rows(store, run())
    assert len(frame) == 3 * len(METRICS) + 1
    assert frame["status"].value_counts().to_dict() == {"missing": 6, "unavailable": 1}
    assert by_cell(store)["B-kas"]["reason"] == "no such treebank"
    assert by_cell(store)["A-deu"]["reason"] == "not computed yet"


@pytest.mark.parametrize(
    ("kind", "key", "hit", "status"),
    [
        ("score", "score-A-deu", ["A-deu"], "failed"),
        ("evaluate", "evaluate-A-kas", ["A-kas"], "failed"),
        ("finetune", "finetune-A", ["A-deu", "A-kas"], "blocked"),
        ("align", "align-B", ["B-deu"], "blocked"),
    ],
)
def test_a_failure_is_the_reason_of_its_own_cells_only(
    kind: str, key: str, hit: list[str], status: str, store: Store
) -> None:
    store.write_failure(kind, key, {}, FAILURE)
    rows = by_cell(store)
    for name, row in rows.items():
        if name in hit:
            assert (row["status"], row["reason"]) == (status, f"{kind} {key[:12]}: ValueError: bad")
        else:
            assert row["status"] in ("missing", "unavailable")
    (line,) = map(str, failures(store, run()))
    assert line.startswith(f"{kind} {key[:12]} (o {key.split('-')[1]} aligned a-b")
    assert "ValueError: bad Log: " in line
    assert str(store.folder(kind, key) / "log.txt") in line


def test_a_failure_names_the_alignment_seed(store: Store) -> None:
    """Fine-tunings of two alignments differ in nothing else."""
    store.write_failure("finetune", "finetune-A", {}, FAILURE)
    (line,) = map(str, failures(store, run()))
    assert line.startswith("finetune finetune-A (o A aligned a-b 1 pos full 15)")


def test_stages_that_fail_alike_are_one_line(store: Store) -> None:
    for key in ("score-A-deu", "score-B-deu"):
        store.write_failure("score", key, {}, FAILURE)
    (line,) = map(str, failures(store, run()))
    assert line.startswith("score score-A-deu (")
    assert ", and 1 more like it: ValueError: bad Log: " in line


def test_a_failure_that_cost_nothing_is_not_listed(store: Store) -> None:
    put(store, "score", "score-A-deu", scores=dict.fromkeys(METRICS, 0.5), n=1)
    put(store, "score", "score-A-kas", scores=dict.fromkeys(METRICS, 0.5), n=1)
    store.write_failure("finetune", "finetune-A", {}, FAILURE)
    assert failures(store, run()) == []


def test_a_damaged_score_is_missing_and_set_aside(store: Store) -> None:
    put(store, "score", "score-A-deu", scores=dict.fromkeys(METRICS, 0.5), n=1)
    (store.folder("score", "score-A-deu") / "result.json").write_text("{}")
    rows = by_cell(store)
    assert rows["A-deu"]["status"] == "missing"
    assert "is damaged" in rows["A-deu"]["reason"]
    assert by_cell(store)["A-deu"]["reason"] == "not computed yet"


def test_a_run_without_cells_has_no_rows(store: Store) -> None:
    assert read_rows(store, RunRecord(())).empty


class TestRuns:
    def test_a_run_is_written_down_and_found_again(self, store: Store) -> None:
        plan = plan_of(request())
        folder = record_run(plan, store)
        assert record_run(plan, store) == folder
        assert find_run(store) == folder
        record = read_record(folder)
        assert record.metrics == {"pos": ("accuracy", "udpos_f1_xtreme")}
        assert [cell.score for cell in record.cells] == [cell.score for cell in plan.cells]
        assert set(read_rows(store, record)["status"]) == {"missing"}

    def test_the_last_run_is_the_default_and_others_go_by_the_beginning_of_their_id(
        self, store: Store
    ) -> None:
        for number, name in enumerate(["aa11", "ab22", "cc33"]):
            folder = store.root / "runs" / name
            folder.mkdir(parents=True)
            (folder / "plan.json").write_text(dump_json({}))
            os.utime(folder / "plan.json", (number, number))
        assert find_run(store).name == "cc33"
        assert find_run(store, "aa").name == "aa11"
        assert find_run(store, "a").name == "ab22"
        with pytest.raises(UnknownName, match=r"'cc34'\. Did you mean 'cc33'"):
            find_run(store, "cc34")

    def test_a_store_without_a_run_says_what_to_do(self, store: Store) -> None:
        with pytest.raises(XbenchError, match=r"holds no run.*xbench run.*--store DIR"):
            find_run(store)
        with pytest.raises(XbenchError, match=r"does not exist.*--store DIR"):
            find_run(Store(store.root / "absent"))

    def test_a_damaged_record_says_what_to_do(self, store: Store) -> None:
        folder = record_run(plan_of(request()), store)
        text = (folder / "plan.json").read_text()
        json.loads(text)
        (folder / "plan.json").write_text(text[:-20])
        with pytest.raises(XbenchError, match=r"plan\.json is damaged.*run the same command again"):
            read_record(folder)

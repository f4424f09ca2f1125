"""Where numbers come from: out of a store, for cells and their seeds."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from xbench.report.results.provenance import (
    Provenance,
    joined,
    read_provenance,
    records,
    seed_means,
)
from xbench.report.run.stored import StoredRun
from xbench.report.table import TableCell
from xbench.store import Store
from xbench.store.runs import RunRecord

from .conftest import Make

RUN = RunRecord.from_json(
    {
        "metrics": {},
        "cells": [
            {"coordinates": {}, "align": None, "finetune": "f", "evaluate": "e1", "score": "s1"},
            {"coordinates": {}, "align": None, "finetune": "f", "evaluate": "e2", "score": "s2"},
            {"coordinates": {}, "align": "a", "probe": "p"},
            {"coordinates": {}, "align": None, "finetune": "f", "evaluate": None, "score": None},
        ],
    }
)
FAILURE = {"error": "ValueError: bad", "traceback": "", "cause": "error"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.prepare()
    with made.write("finetune", "f", {"task": "pos"}) as entry:
        entry.measured = {"seconds": 2.5, "memory": 1024}
        (entry.folder / "env.json").write_text('{"device": "cpu", "torch": "2", "xbench": "1"}')
    with made.write("evaluate", "e1", {"language": "deu"}) as entry:
        entry.measured = {"seconds": 0.5, "memory": None}
    with made.write("score", "s1", {"metrics": ["accuracy"]}):
        pass
    made.write_failure("evaluate", "e2", {"language": "kaz"}, FAILURE)
    return made


@pytest.fixture
def frame(make: type[Make]) -> pd.DataFrame:
    probe = {"task": None, "mode": None, "probe": "maps", "key": "p", "seed": None}
    rows = [
        make.row(key="s1", value=0.25),
        make.row(key="s1", value=0.5, metric="macro_f1"),
        make.row(key="s2", language="kaz", value=None, status="failed", reason="bad"),
        make.row(**probe, metric="x", layer=1, value=0.1),
        make.row(**probe, metric="x", layer=2, value=0.2),
        make.row(key=None, language="kas", status="unavailable", value=None),
    ]
    return pd.DataFrame(rows)


def test_stages_are_read_with_all_that_is_known_of_them(store: Store, frame: pd.DataFrame) -> None:
    found = read_provenance(store, RUN, frame, "run-1")
    assert dict(found.chains) == {"s1": ("f", "e1", "s1"), "s2": ("f", "e2", "s2"), "p": ("a", "p")}
    tuned = found.stages["f"]
    assert (tuned.kind, tuned.state, tuned.seconds, tuned.memory) == ("finetune", "done", 2.5, 1024)
    assert tuned.spec == {"task": "pos"}
    assert tuned.environment["device"] == "cpu"
    assert tuned.started
    failed, absent = found.stages["e2"], found.stages["p"]
    assert (failed.state, failed.error, failed.spec) == (
        "failed",
        FAILURE["error"],
        {"language": "kaz"},
    )
    assert (absent.state, absent.spec, absent.seconds) == ("absent", {}, None)


def test_the_head_says_what_the_run_is(store: Store, frame: pd.DataFrame) -> None:
    about = dict(read_provenance(store, RUN, frame, "run-1").about)
    assert about["run"] == "run-1"
    assert (about["suite"], about["encoder"]) == ("mini", "small")
    assert about["rows"] == "4 done, 1 failed, 1 unavailable"
    assert about["versions"] == "xbench 1, torch 2"
    assert about["time of all stages"] == "0.1 minutes"


def test_a_damaged_file_is_said_to_be_damaged(store: Store, frame: pd.DataFrame) -> None:
    (store.folder("evaluate", "e1") / "spec.json").write_text("{")
    stage = read_provenance(store, RUN, frame).stages["e1"]
    assert "damaged" in stage.spec


def test_a_cell_is_traced_to_its_rows_and_stages(store: Store, frame: pd.DataFrame) -> None:
    found = read_provenance(store, RUN, frame)
    behind = found.behind(TableCell("x", keys=("s1",)))
    assert [row["metric"] for row in behind] == ["accuracy", "macro_f1"]
    assert [stage.key for stage in found.stages_of(behind)] == ["f", "e1", "s1"]
    one = TableCell("x", keys=("s1",), where=(("metric", ("accuracy",)),))
    assert [row["value"] for row in found.behind(one)] == [0.25]
    layer = TableCell("x", keys=("p",), where=(("layer", (2,)), ("metric", ("x",))))
    assert [row["value"] for row in found.behind(layer)] == [0.2]
    lacking = found.lacking(TableCell("failed", "failed", gaps=("s1", "s2")))
    assert [(row["key"], row["reason"]) for row in lacking] == [("s2", "bad")]
    assert found.compared(TableCell("x", against=("s2",)))[0]["language"] == "kaz"
    assert found.behind(TableCell("x", keys=("unknown",))) == []


def test_what_failed_as_a_whole_belongs_to_every_place(make: type[Make]) -> None:
    rows = [make.row(key="p", metric=None, language=None, status="failed", value=None)]
    found = Provenance(rows={"p": rows})
    assert found.rows_of(["p"], [("metric", ("x",)), ("language", ("deu",))]) == rows


def test_seeds_are_means_of_what_they_have(make: type[Make]) -> None:
    rows = [
        *(make.row(language=code, value=v) for code, v in (("deu", 0.1), ("kaz", 0.3))),
        *(make.row(language=code, value=v, seed=33) for code, v in (("deu", 0.2), ("kaz", 0.6))),
        make.row(language="eng", seed=33, status="failed", value=None),
    ]
    means = [(m.metric, m.seed, round(m.value, 9), m.n) for m in seed_means(rows)]
    assert means == [("accuracy", 15, 0.2, 2), ("accuracy", 33, 0.4, 2)]
    assert seed_means(rows[::2]) == []  # one value a seed: its mean is no news


def test_records_have_plain_numbers_and_none(frame: pd.DataFrame) -> None:
    typed = frame.astype({"layer": "Int64", "seed": "Int64"})
    rows = records(typed)
    assert type(rows[0]["seed"]) is int
    assert rows[0]["layer"] is None
    assert rows[3]["layer"] == 1
    assert rows[2]["value"] is None


def test_two_runs_as_one(store: Store, frame: pd.DataFrame) -> None:
    both = joined(read_provenance(store, RUN, frame, "one"), Provenance((("run", "two"),)))
    assert [text for name, text in both.about if name == "run"] == ["one", "two"]
    assert both.rows_of(["s1"])


def test_a_real_run_is_traced_to_every_stage(finished: tuple[Path, Any]) -> None:
    found = StoredRun.find(Store(finished[0])).provenance
    assert {stage.state for stage in found.stages.values()} == {"done"}
    assert all(stage.spec and stage.seconds is not None for stage in found.stages.values())
    chains = {tuple(found.stages[key].kind for key in chain) for chain in found.chains.values()}
    assert chains == {
        ("finetune", "evaluate", "score"),
        ("align", "finetune", "evaluate", "score"),
    }


def test_means_of_seeds_are_not_mixed_over_alignments() -> None:
    """The same fine-tuning seed after two alignments is two runs."""
    rows = [
        {"metric": "accuracy", "status": "done", "seed": 15, "align_seed": seed, "value": value}
        for seed, values in ((42, (0.1, 0.3)), (43, (0.5, 0.9)))
        for value in values
    ]
    assert [(m.align_seed, m.seed, round(m.value, 9), m.n) for m in seed_means(rows)] == [
        (42, 15, 0.2, 2),
        (43, 15, 0.7, 2),
    ]

"""``xbench report --items``: what is read from a store agrees with the scores that are there."""

import re
from pathlib import Path

import pytest

from xbench.report.run.items import item_reader, items_of
from xbench.report.run.stored import StoredRun
from xbench.store import Store

from ..command import Outcome, xbench


def test_contributions_give_the_scores_of_the_store(finished: tuple[Path, Outcome]) -> None:
    run = StoredRun.find(Store(finished[0]))
    frame = run.rows
    reader = item_reader(run)
    rows = frame[(frame["metric"] == "accuracy") & (frame["status"] == "done")]
    assert len(rows) == 8
    for row in rows.itertuples():
        found = reader.read("pos", row.key)
        assert found is not None
        ids, contributions = found
        assert len(ids) == len(set(ids)) == row.n
        assert reader.aggregate("pos")(contributions.sum(0)) == pytest.approx(row.value)


def test_what_is_not_in_the_store_is_no_error(finished: tuple[Path, Outcome]) -> None:
    run = StoredRun.find(Store(finished[0]))
    assert item_reader(run).read("pos", "no such key") is None


def test_the_table_is_written_where_it_is_asked_for(
    finished: tuple[Path, Outcome], tmp_path: Path
) -> None:
    options = ["--store", finished[0], "--format", "markdown"]
    outcome = xbench("report", *options, "--out", tmp_path / "with", "--items", "--table", "items")
    assert outcome.code == 0, outcome.err
    text = (tmp_path / "with" / "items.md").read_text(encoding="utf-8")
    assert re.search(r"qaa-qac S1W0M0 \| [+−]?\d", text)
    assert "items changed" in text or "[" in text
    without = xbench("report", *options, "--out", tmp_path / "without", "--table", "items")
    assert without.code == 2
    assert "items" in without.err


def test_differences_are_those_of_table_1(finished: tuple[Path, Outcome]) -> None:
    run = StoredRun.find(Store(finished[0]))
    frame = run.rows
    (table,) = items_of(run)
    rows = frame[(frame["metric"] == "accuracy") & (frame["mode"] == "full")]
    means = rows.groupby("arm")["value"].mean()
    value = table.cells[0][0].value
    assert value == pytest.approx(means["aligned"] - means["none"])

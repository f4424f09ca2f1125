"""A run with several alignment seeds: rows of each, tables over all, and a gap where one failed."""

import csv
import io
import shutil
from pathlib import Path

import pytest

from xbench.report.run.stored import StoredRun
from xbench.store import Store

from ..command import QUICK_OPTIONS, SMALL_OPTIONS, xbench

ASKED = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--seed", "15,33", "--arm", "none,aligned,shuffled"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aligned") / "store"
    place = ["--store", folder, "--jobs", "1"]
    outcome = xbench("run", *ASKED, "--align-seed", "42,43,44", *place)
    assert outcome.code == 0, outcome.err
    return folder


def rows_of(store: Path) -> list[dict[str, str]]:
    return list(
        csv.DictReader(io.StringIO(xbench("results", "--store", store, "--format", "csv").out))
    )


def table_of(store: Path, out: Path) -> str:
    outcome = xbench(
        *("report", "--store", store, "--table", "1", "--format", "markdown", "--out", out)
    )
    assert outcome.code == 0, outcome.err
    return (out / "table1.md").read_text(encoding="utf-8")


def test_rows_are_of_each_seed_and_tables_of_all(store: Path, tmp_path: Path) -> None:
    rows = [row for row in rows_of(store) if row["metric"] == "accuracy"]
    for arm, seeds in (("none", {""}), *((a, {"42", "43", "44"}) for a in ("aligned", "shuffled"))):
        own = [row for row in rows if row["arm"] == arm]
        assert {row["align_seed"] for row in own} == seeds
        assert len(own) == len(seeds) * 2 * 2 * 2  # modes, fine-tuning seeds, languages
    table = table_of(store, tmp_path)
    lines = [line for line in table.splitlines() if line.startswith("| qaa-qac")]
    assert len(lines) == 2  # a mode each
    values = [
        float(row["value"]) for row in rows if (row["arm"], row["mode"]) == ("aligned", "full")
    ]
    assert f"{100 * sum(values) / len(values):.1f} ±" in lines[0]
    assert "Averages over 3 alignment seeds (42, 43, 44)" in table
    assert "Not tested" not in table


def test_a_part_of_the_seeds_is_not_computed_again(store: Path, tmp_path: Path) -> None:
    again = shutil.copytree(store, tmp_path / "store")
    outcome = xbench("run", *ASKED, "--align-seed", "43", "--store", again, "--jobs", "1")
    assert "nothing to compute" in outcome.err
    assert "Not tested (pos, linear)" in " ".join(outcome.out.split())


def test_an_alignment_that_failed_is_a_gap_and_named(store: Path, tmp_path: Path) -> None:
    broken = Store(Path(shutil.copytree(store, tmp_path / "store")))
    for cell in StoredRun.find(broken).record.cells:
        at = cell.coordinates
        if (at["arm"], at.get("align_seed")) == ("aligned", 43):
            for kind in ("score", "evaluate", "finetune", "align"):
                shutil.rmtree(broken.folder(kind, getattr(cell, kind)), ignore_errors=True)
            failure = {"error": "RuntimeError: loss is NaN", "traceback": "", "cause": "diverged"}
            broken.write_failure("align", str(cell.align), {}, failure)
    table = table_of(broken.root, tmp_path / "out")
    lines = [line for line in table.splitlines() if line.startswith("| qaa-qac")]
    assert all("blocked" in line for line in lines)
    assert "loss is NaN" in table
    status = xbench("status", "--store", broken.root).out
    assert "aligned qaa-qac 43): RuntimeError: loss is NaN" in status

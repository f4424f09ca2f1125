import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xbench.data import ragged
from xbench.data.ragged import DamagedTableError, RaggedTable, cached, write_ragged

ROWS = [
    {"ids": [0, 5, 6, 2], "starts": [1]},
    {"ids": [], "starts": []},
    {"ids": [7], "starts": [0]},
]
INTEGERS = st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5)


def as_lists(table: RaggedTable) -> list[dict[str, list[int]]]:
    return [{c: table.row(c, i).tolist() for c in table.columns} for i in range(len(table))]


def test_rows_come_back(tmp_path: Path) -> None:
    write_ragged(tmp_path / "x.arrow", iter(ROWS))
    table = RaggedTable.open(tmp_path / "x.arrow")
    assert as_lists(table) == ROWS
    assert table.columns == ("ids", "starts")
    assert table.lengths("ids").tolist() == [4, 0, 1]
    assert table.row("ids", 0).dtype == np.int32
    assert [path.name for path in tmp_path.iterdir()] == ["x.arrow"]
    for index in (-1, 3):
        with pytest.raises(IndexError, match=f"row {index} of a table of 3 rows"):
            table.row("ids", index)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.fixed_dictionaries({"a": INTEGERS, "b": INTEGERS}), max_size=9))
def test_rows_come_back_across_record_batches(tmp_path: Path, rows) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ragged, "_ROWS_PER_BATCH", 3)
        write_ragged(tmp_path / "x.arrow", rows)
    table = RaggedTable.open(tmp_path / "x.arrow")
    assert as_lists(table) == rows
    assert len(table) == len(rows)
    for column in table.columns:
        assert table.lengths(column).tolist() == [len(row[column]) for row in rows]


def test_many_rows_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, 250_000, size=n) for n in rng.integers(0, 40, size=10_000)]
    write_ragged(tmp_path / "x.arrow", ({"ids": row} for row in rows))
    table = RaggedTable.open(tmp_path / "x.arrow")
    assert all(np.array_equal(table.row("ids", i), row) for i, row in enumerate(rows))


def test_reading_copies_nothing(tmp_path: Path) -> None:
    write_ragged(tmp_path / "x.arrow", ({"ids": range(1000)} for _ in range(1000)))
    before = pa.total_allocated_bytes()
    table = RaggedTable.open(tmp_path / "x.arrow")
    row = table.row("ids", 500)
    assert pa.total_allocated_bytes() - before < 100_000  # the content is 4,000,000 bytes
    assert np.shares_memory(row, table.row("ids", 500))
    assert not row.flags.writeable


def test_arrow_can_read_the_file(tmp_path: Path) -> None:
    write_ragged(tmp_path / "x.arrow", ROWS)
    assert pa.ipc.open_file(tmp_path / "x.arrow").read_all().to_pylist() == ROWS


@pytest.mark.parametrize("bad", [{"ids": [1]}, {"ids": [1], "starts": [1], "more": []}])
def test_rows_with_other_columns_are_refused_and_leave_nothing(tmp_path: Path, bad) -> None:
    with pytest.raises(ValueError, match="a row has the columns"):
        write_ragged(tmp_path / "x.arrow", [*ROWS, bad])
    assert list(tmp_path.iterdir()) == []


def test_numbers_beyond_int32_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2147483648"):
        write_ragged(tmp_path / "x.arrow", [{"ids": [2**31]}])


def test_cache_builds_once_for_equal_identities(tmp_path: Path) -> None:
    built = []

    def rows():
        built.append(1)
        return ROWS

    for identity in ({"a": 1, "b": [2, "ü"]}, {"b": [2, "ü"], "a": 1}):
        assert as_lists(cached(tmp_path / "cache", identity, rows)) == ROWS
    assert len(built) == 1
    cached(tmp_path / "cache", {"a": 2, "b": [2, "ü"]}, rows)
    assert len(built) == 2


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, Path("x"), object()])
def test_identity_must_be_json(tmp_path: Path, value) -> None:
    with pytest.raises((TypeError, ValueError)):
        cached(tmp_path, {"a": value}, lambda: ROWS)


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def rows():
        yield ROWS[0]
        raise RuntimeError("the corpus is damaged")

    with pytest.raises(RuntimeError, match="the corpus is damaged"):
        cached(tmp_path, {"a": 1}, rows)
    assert list(tmp_path.iterdir()) == []
    assert as_lists(cached(tmp_path, {"a": 1}, lambda: ROWS)) == ROWS


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99])
def test_a_cut_file_is_set_aside_and_rebuilt(tmp_path: Path, kept: float) -> None:
    cached(tmp_path, {"a": 1}, lambda: ROWS)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    cut = whole[: int(len(whole) * kept)]
    path.write_bytes(cut)
    with pytest.raises(DamagedTableError, match="not a complete table"):
        RaggedTable.open(path)
    assert as_lists(cached(tmp_path, {"a": 1}, lambda: ROWS)) == ROWS
    assert path.read_bytes() == whole
    assert path.with_suffix(".damaged").read_bytes() == cut


BUILDER = """
import sys, time
from pathlib import Path
from xbench.data.ragged import cached

folder, name = Path(sys.argv[1]), sys.argv[2]

def rows():
    (folder / f"{name}.started").touch()
    while len(list(folder.glob("*.started"))) < 2:  # both are building now
        time.sleep(0.01)
    for i in range(20_000):
        yield {"ids": range(i % 50)}

table = cached(folder / "cache", {"a": 1}, rows)
assert [len(table.row("ids", i)) for i in range(len(table))] == [i % 50 for i in range(20_000)]
"""


def test_two_processes_may_build_at_once(tmp_path: Path) -> None:
    builders = [
        subprocess.Popen([sys.executable, "-c", BUILDER, str(tmp_path), name]) for name in "ab"
    ]
    assert [builder.wait(timeout=600) for builder in builders] == [0, 0]
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".arrow"]

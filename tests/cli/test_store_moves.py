"""``xbench store export``, ``import`` and ``gc``."""

import json
import os
import shutil
from pathlib import Path

import pytest

from xbench.store import Store
from xbench.store.sweep import find_waste, remove

from ..command import QUICK_OPTIONS, SMALL_OPTIONS, Outcome, xbench

AGAIN = ["run", *SMALL_OPTIONS, *QUICK_OPTIONS, "--no-report"]


def rows(store: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(
        xbench("results", "--store", store, "--format", "json").out
    )
    return found


def test_results_move_to_another_store(finished: tuple[Path, Outcome], tmp_path: Path) -> None:
    file, other = tmp_path / "results.tar", tmp_path / "other"
    assert xbench("store", "export", file, "--store", finished[0]).code == 0
    done = xbench("store", "import", file, "--store", other)
    assert done.code == 0
    assert "1 runs are new" in done.out
    assert rows(other) == rows(finished[0])
    assert "0 damaged" in xbench("store", "--verify", "--store", other).out
    assert not list(other.rglob("model.safetensors"))  # they are large, and were not asked for
    again = xbench(*AGAIN, "--store", other)
    assert again.code == 0
    assert "nothing to compute" in again.err


def test_weights_move_where_they_are_asked_for(
    finished: tuple[Path, Outcome], tmp_path: Path
) -> None:
    file, other = tmp_path / "results.tar", tmp_path / "other"
    xbench("store", "export", file, "--weights", "--store", finished[0])
    xbench("store", "import", file, "--store", other)
    assert list(other.glob("align/*/step-*/model.safetensors"))
    more = xbench(*AGAIN, "--seed", "33", "--store", other)
    assert more.code == 0
    assert "align" not in more.err.splitlines()[0]  # it is not computed again


@pytest.mark.parametrize("content", [b"", b"no tar at all", bytes(10240)])
def test_another_file(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    done = xbench("store", "import", tmp_path / "file", "--store", tmp_path / "store")
    assert done.code == 2
    assert "xbench store export" in done.err


def test_gc_deletes_what_nothing_needs(finished: tuple[Path, Outcome], tmp_path: Path) -> None:
    place = tmp_path / "store"
    shutil.copytree(finished[0], place)
    store = Store(place)
    assert "0 bytes would be freed" in xbench("store", "gc", "--store", place).out
    (kept,) = [path.name for path in (place / "align").iterdir()]
    with store.write("align", "ef" * 32, {}) as entry:
        (entry.folder / "old.bin").write_bytes(bytes(5000))
    for waste in (
        place / "align" / f".{kept}.0123.tmp" / "half.bin",
        place / "work" / kept / "state-3.safetensors",
    ):
        waste.parent.mkdir(parents=True)
        waste.write_bytes(bytes(3000))
        os.utime(waste.parent, (0, 0))
    fresh = place / "align" / f".{kept}.4567.tmp"  # somebody imports at this moment
    fresh.mkdir()
    (place / "leases").mkdir(exist_ok=True)
    dead = place / "leases" / "00.json"
    dead.write_text("{")
    alive = store.lease(kept)
    before = rows(place)

    with alive:  # somebody is at it: its folders stay
        said = xbench("store", "gc", "--store", place).out
        assert "half-written" not in said
        assert "stages that no run of this store asks for" in said
    said = xbench("store", "gc", "--store", place).out
    for why in ("half-written", "training states", "no run of this store asks for"):
        assert why in said
    assert (place / "work" / kept).exists()

    xbench("store", "gc", "--yes", "--store", place)
    assert not list(place.glob("work/*"))
    assert {path.name for path in (place / "align").iterdir()} == {kept, fresh.name}
    assert rows(place) == before
    assert "0 bytes would be freed" in xbench("store", "gc", "--store", place).out


def test_gc_looks_again_before_it_deletes(finished: tuple[Path, Outcome], tmp_path: Path) -> None:
    """Between the look and the deletion a run has asked for a stage, and another is being computed."""
    place = tmp_path / "store"
    shutil.copytree(finished[0], place)
    (run,) = place.glob("runs/*")
    run.rename(tmp_path / "hidden")
    store = Store(place)
    waste = find_waste(store)
    assert waste
    (tmp_path / "hidden").rename(run)
    with store.write("align", "ef" * 32, {}) as entry:
        entry.result = {}
    waste += [one for one in find_waste(store) if one.key == "ef" * 32]
    with store.lease("ef" * 32):
        assert remove(store, waste) == 0
    assert store.state("align", "ef" * 32) == "done"
    assert rows(place) == rows(finished[0])
    assert remove(store, waste) > 0
    assert store.state("align", "ef" * 32) == "absent"


def test_gc_of_a_store_with_a_damaged_run_deletes_nothing(
    finished: tuple[Path, Outcome], tmp_path: Path
) -> None:
    place = tmp_path / "store"
    shutil.copytree(finished[0], place)
    (plan,) = place.glob("runs/*/plan.json")
    plan.write_text("{")
    done = xbench("store", "gc", "--yes", "--store", place)
    assert done.code == 2
    assert "is damaged" in done.err
    assert list(place.glob("score/*"))

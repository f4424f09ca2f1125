"""What of a store nothing needs any more: leftovers of killed processes, stages that no run asks for."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xbench.plan import KINDS
from xbench.store.lease import is_dead
from xbench.store.runs import PLAN, read_record
from xbench.store.store import Store

LEFTOVER = "half-written stages of processes that were killed"
STATE = "training states of stages that are done"
LEASE = "leases of processes that are gone"
UNASKED = "stages that no run of this store asks for"


@dataclass(frozen=True)
class Waste:
    """A file or folder that may go, why, and its bytes."""

    path: Path
    why: str
    size: int


def find_waste(store: Store) -> list[Waste]:
    """All that may go. What somebody is computing at this moment is left out.

    Raises :class:`~xbench.errors.XbenchError` where the record of a run is damaged: what it needs is
    not known then.
    """
    asked = _asked(store)
    return [
        Waste(path, why, size_of(path))
        for path, why in (
            *_leftovers(store),
            *_states(store),
            *_unasked(store, asked),
            *_leases(store),
        )
    ]


def remove(waste: list[Waste]) -> int:
    """Delete what was found; the bytes freed."""
    for one in waste:
        if one.path.is_dir() and not one.path.is_symlink():
            shutil.rmtree(one.path, ignore_errors=True)
        else:
            one.path.unlink(missing_ok=True)
    return sum(one.size for one in waste if not one.path.exists())


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files below a folder; links are not followed."""
    paths = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    return sum(each.lstat().st_size for each in paths if each.is_symlink() or each.is_file())


def _asked(store: Store) -> set[str]:
    keys: set[str] = set()
    for path in (store.root / "runs").glob(f"*/{PLAN}"):
        for cell in read_record(path.parent).cells:
            keys.update(key for kind in KINDS if (key := getattr(cell, kind)) is not None)
    return keys


def _is_computed(store: Store, key: str) -> bool:
    lease = store.lease(key).path
    return lease.exists() and not is_dead(lease)


def _leftovers(store: Store) -> Iterator[tuple[Path, str]]:
    for kind in KINDS:
        for path in (store.root / kind).glob(".*"):
            key = path.name.split(".")[1]
            if path.is_dir() and not _is_computed(store, key):
                yield path, LEFTOVER


def _states(store: Store) -> Iterator[tuple[Path, str]]:
    for path in (store.root / "work").glob("[!.]*"):
        done = any(store.state(kind, path.name) == "done" for kind in KINDS)
        if done and not _is_computed(store, path.name):
            yield path, STATE


def _unasked(store: Store, asked: set[str]) -> Iterator[tuple[Path, str]]:
    for kind in KINDS:
        for path in (store.root / kind).glob("[!.]*"):
            if path.name not in asked and not _is_computed(store, path.name):
                yield path, UNASKED


def _leases(store: Store) -> Iterator[tuple[Path, str]]:
    for path in (store.root / "leases").glob("[!.]*.json"):
        if is_dead(path):
            yield path, LEASE

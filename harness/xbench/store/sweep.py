"""What of a store nothing needs any more: leftovers of killed processes, stages that no run asks for."""

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from xbench.plan import KINDS
from xbench.store.lease import Busy, is_dead
from xbench.store.runs import PLAN, read_record
from xbench.store.store import Store

YOUNG = 3600.0  # seconds: what is half-written for longer is nobody's any more
LEFTOVER = "half-written stages of processes that were killed"
STATE = "training states of stages that are done"
LEASE = "leases of processes that are gone"
UNASKED = "stages that no run of this store asks for"


@dataclass(frozen=True)
class Waste:
    """A file or folder that may go, whose it is, why, and its bytes."""

    path: Path
    key: str
    why: str
    size: int


def find_waste(store: Store) -> list[Waste]:
    """All that may go. What somebody is computing at this moment is left out.

    Raises :class:`~xbench.errors.XbenchError` where the record of a run is damaged: what it needs is
    not known then.
    """
    asked = _asked(store)
    return [
        Waste(path, _key_of(path), why, size_of(path))
        for path, why in (
            *_leftovers(store),
            *_states(store),
            *_unasked(store, asked),
            *_leases(store),
        )
    ]


def remove(store: Store, waste: list[Waste]) -> int:
    """Delete what was found, as far as the reason still holds; the bytes freed.

    Each goes under its stage's lease: what somebody has begun with since stays.
    """
    asked = _asked(store)  # a run may have come in the meantime
    freed = 0
    for one in waste:
        if one.why == UNASKED and one.path.name in asked:
            continue
        with suppress(Busy), store.lease(one.key):
            freed += one.size
            if one.path.is_dir() and not one.path.is_symlink():
                shutil.rmtree(one.path, ignore_errors=True)
            elif one.why != LEASE:  # a dead lease is gone with ours
                one.path.unlink(missing_ok=True)
    return freed


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files below a folder; links are not followed."""
    paths = path.rglob("*") if path.is_dir() and not path.is_symlink() else [path]
    return sum(each.lstat().st_size for each in paths if each.is_symlink() or each.is_file())


def _key_of(path: Path) -> str:
    """The stage's key, of the name of its folder, lease or half-written folder."""
    return path.name.lstrip(".").split(".")[0]


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
            # What is being imported has no lease while it arrives.
            is_old = time.time() - path.stat().st_mtime > YOUNG
            if path.is_dir() and is_old and not _is_computed(store, _key_of(path)):
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

"""A lease file with a heartbeat marks a stage as in progress; a dead lease is taken over."""

import fcntl
import json
import os
import secrets
import socket
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from xbench.files import parse_json

HEARTBEAT = 10.0  # seconds between signs of life
DEAD_AFTER = 90.0  # seconds of silence after which a lease on another host counts as dead
CLOCK_EVERY = 60.0  # seconds between comparisons of this host's clock with the file system's


class Busy(Exception):
    """Somebody else is computing this stage."""


class Lease:
    """Hold ``path`` while computing; raises :class:`Busy` on entry if a living process holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._token = secrets.token_hex(8)
        self._stop = threading.Event()

    def __enter__(self) -> "Lease":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self._create():
            self._take_over()
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._is_ours():
            self.path.unlink(missing_ok=True)

    def _create(self) -> bool:
        try:
            # Creating fails where the file is there, on network file systems too: of many who try,
            # one holds the lease, and no lock is kept while it computes.
            descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            return False
        holder = {**here(), "pid": os.getpid(), "token": self._token}
        with os.fdopen(descriptor, "w") as file:
            json.dump(holder, file)
        return True

    def _take_over(self) -> None:
        """Put our lease in a dead one's place; of many who try at once, one succeeds."""
        with (self.path.parent / "take-over.lock").open("w") as lock:
            with suppress(OSError):  # a file system without locks: two may compute the same, then
                fcntl.flock(lock, fcntl.LOCK_EX)
            # Looked at again under the lock: somebody may have taken it over since.
            if not is_dead(self.path):
                raise Busy(str(self.path))
            self.path.unlink(missing_ok=True)
            if not self._create():
                raise Busy(str(self.path))

    def _is_ours(self) -> bool:
        """False where silence has made others take us for dead."""
        holder = _holder(self.path)
        return holder is not None and holder.get("token") == self._token

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            if not self._is_ours():  # never touch what others hold by now
                return
            # The time of the file is the sign of life: writing it anew could be read half-written.
            with suppress(OSError):
                os.utime(self.path)


def is_dead(path: Path) -> bool:
    """Whether the holder is gone: a dead process on this host, or long silence from another."""
    try:
        silent = time.time() + _ahead(path.parent) - path.stat().st_mtime
    except FileNotFoundError:
        return True
    holder = _holder(path)
    if holder is None:  # being written at this moment, or left half-written by a crash
        return silent > HEARTBEAT
    if silent > DEAD_AFTER:  # on this host too: another process may have got the number since
        return True
    return is_gone(holder)


def is_gone(holder: dict[str, Any]) -> bool:
    """Whether a lease's holder was a process of this machine that has ended."""
    own = here()
    is_here = all(holder.get(name, own[name]) == own[name] for name in own)
    known = "host" in holder and isinstance(holder.get("pid"), int)
    return known and is_here and not _alive(holder["pid"])


def here() -> dict[str, str]:
    """Where a process number means this process: containers may share a host's name."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:  # no Linux
        space = ""
    return {"host": socket.gethostname(), "space": space}


_clocks: dict[Path, tuple[float, float]] = {}


def _ahead(folder: Path) -> float:
    """Seconds by which the file system's clock, which stamps leases, is ahead of this host's.

    Hosts that share a folder do not always agree on the time; the file server is one for all.
    """
    looked, ahead = _clocks.get(folder, (-CLOCK_EVERY, 0.0))
    if time.monotonic() - looked >= CLOCK_EVERY:
        with suppress(OSError):  # a folder that cannot be written: nothing in it is being computed
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".clock-") as file:
                ahead = os.fstat(file.fileno()).st_mtime - time.time()
            _clocks[folder] = time.monotonic(), ahead
    return ahead


def _holder(path: Path) -> dict[str, Any] | None:
    """Who holds a lease; None where the file is not there or not whole."""
    try:
        holder = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(holder, dict) and isinstance(holder.get("pid"), int) and "host" in holder
    return holder if whole else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

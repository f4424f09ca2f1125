"""A lease file with a heartbeat marks a stage as in progress; a dead lease is taken over."""

import json
import os
import socket
import threading
import time
from pathlib import Path
from types import TracebackType

HEARTBEAT = 10.0  # seconds between signs of life
DEAD_AFTER = 90.0  # seconds of silence after which a lease on another host counts as dead


class Busy(Exception):
    """Somebody else is computing this stage."""


class Lease:
    """Hold ``path`` while computing; raises :class:`Busy` on entry if a living process holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "Lease":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            try:
                descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            except FileExistsError:
                if not is_dead(self.path):
                    raise Busy(str(self.path)) from None
                self.path.unlink(missing_ok=True)
                continue
            with os.fdopen(descriptor, "w") as file:
                json.dump({"host": socket.gethostname(), "pid": os.getpid()}, file)
            self._thread = threading.Thread(target=self._beat, daemon=True)
            self._thread.start()
            return self
        raise Busy(str(self.path))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self.path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            try:
                os.utime(self.path)
            except OSError:
                return


def is_dead(path: Path) -> bool:
    """Whether the holder is gone: a dead process on this host, or long silence from another."""
    try:
        silent = time.time() - path.stat().st_mtime
        holder = json.loads(path.read_text())
    except FileNotFoundError:
        return True
    except ValueError:  # being written at this moment, or left half-written by a crash
        return silent > HEARTBEAT
    if holder.get("host") == socket.gethostname():
        # Silence counts here too: another process may have got the number since.
        return not _alive(int(holder["pid"])) or silent > DEAD_AFTER
    return silent > DEAD_AFTER


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

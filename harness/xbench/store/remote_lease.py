"""A lease in object storage: an object that only one can create, written again as a sign of life."""

import json
import os
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any

from xbench.store.lease import DEAD_AFTER, HEARTBEAT, Busy, here, is_gone

TAKEN = ".taken-"  # an object with this in its name says who takes a dead lease over


class RemoteLease:
    """As :class:`xbench.store.lease.Lease`, by objects of an fsspec file system.

    It relies on exclusive creation (S3: ``If-None-Match``), which AWS, MinIO and others have.
    """

    def __init__(self, files: Any, path: str, key: str, held: set[str]) -> None:
        self._files = files
        self._path = path
        self._key = key
        self._all_held = held  # by this process: kept up to date
        self._token = secrets.token_hex(8)
        self._stop = threading.Event()
        self._holder = {**here(), "pid": os.getpid(), "token": self._token}

    def __enter__(self) -> "RemoteLease":
        if not self._create(self._path):
            self._take_over()
        self._all_held.add(self._key)
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._all_held.discard(self._key)
        if self._is_ours():
            with suppress(FileNotFoundError):
                self._files.rm_file(self._path)

    def _create(self, path: str) -> bool:
        try:
            self._files.pipe_file(path, json.dumps(self._holder).encode(), mode="create")
        except FileExistsError:
            return False
        return True

    def _take_over(self) -> None:
        """Put our lease in a dead one's place. Of many who try at once, one may: who says so first."""
        holder = self._read()
        if not self._is_dead(holder):
            raise Busy(self._path)
        token = (holder or {}).get("token", "unreadable")
        claim = f"{self._path}{TAKEN}{token}"
        if not self._create(claim):
            if self._silence(claim) > DEAD_AFTER:  # who said so has died since
                self._remove(claim)
            raise Busy(self._path)
        # Looked at again under the claim: somebody may have taken it over, and be done with it.
        if self._read() == holder and self._is_dead(holder):
            self._files.pipe_file(self._path, json.dumps(self._holder).encode())
            self._remove(claim)
        else:
            self._remove(claim)
            raise Busy(self._path)

    def _remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._files.rm_file(path)

    def _is_dead(self, holder: dict[str, Any] | None) -> bool:
        if holder is not None and is_gone(holder):
            return True
        return self._silence(self._path) > DEAD_AFTER

    def _silence(self, path: str) -> float:
        """Seconds since an object was written, by the storage's own clock."""
        clock = f"{self._path}.clock-{self._token}"
        try:
            self._files.pipe_file(clock, b"")
            now = seconds_of(self._files.info(clock))
            then = seconds_of(self._files.info(path))
        except FileNotFoundError:
            return 0.0
        finally:
            with suppress(FileNotFoundError):
                self._files.rm_file(clock)
        return now - then

    def _read(self) -> dict[str, Any] | None:
        try:
            found = json.loads(self._files.cat_file(self._path))
        except (FileNotFoundError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _is_ours(self) -> bool:
        holder = self._read()
        return holder is not None and holder.get("token") == self._token

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            with suppress(Exception):  # the network is away for a moment: others wait long enough
                if not self._is_ours():
                    return
                holder = {**self._holder, "at": time.time()}
                self._files.pipe_file(self._path, json.dumps(holder).encode())


def seconds_of(info: Mapping[str, Any]) -> float:
    """When an object was written; file systems call it differently."""
    for name in ("LastModified", "mtime", "created", "updated"):
        value = info.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return time.time()

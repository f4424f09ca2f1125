"""A store in object storage (S3 and whatever fsspec reaches), with a mirror of it in a local folder.

Objects have the names that files have in a folder (:mod:`xbench.store.store`). A stage is uploaded
before its ``status.json``, which makes it visible, so it is there whole or not at all. What somebody
reads is fetched into the mirror and compared with its digest there. Training states and tokenised text
stay in the mirror.
"""

import hashlib
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from xbench.errors import XbenchError
from xbench.files import dump_json, sync_file, write_atomic
from xbench.store.remote_lease import RemoteLease, seconds_of
from xbench.store.store import FORMAT, KEY, MARKER, RUN, STATUS, Entry, Store, is_intact

MIRRORS = "XBENCH_MIRROR"  # the variable that names the folder of all mirrors
# Of each stage these are fetched with its status, many at once: commands read them of every stage.
SMALL = (STATUS, "result.json", "spec.json", "env.json", "log.txt")
OF_A_RUN = ("spec.yaml", "plan.json", "notes.json")
LIST_EVERY = 5.0  # seconds between looks at what others have added, at least
LIST_SHARE = 10.0  # times what a look took
UNSENT = "unsent"  # names of stages in the mirror whose upload was interrupted


class RemoteStore(Store):
    """A store at an address as ``s3://bucket/prefix``.

    What is done stays in the mirror; whatever is to be changed or fetched is looked up in the storage
    first, since others may have freed, kept or computed it again. Raises :class:`XbenchError` where the
    address has no file system, or its package is not installed.
    """

    def __init__(self, address: str) -> None:
        import fsspec

        self._address = address.rstrip("/")
        try:
            # Listings are kept by this class, which knows how old they may be.
            self._files, base = fsspec.core.url_to_fs(self._address, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise XbenchError(
                f"The store {address} cannot be used: {error}. For S3: pip install 'xbench[s3]'."
            ) from error
        self._base = base.rstrip("/")
        self._look_again: dict[str, float] = {}
        self._held: set[str] = set()  # leases of ours: what they are for is looked up, not listed
        self._fetched: set[tuple[str, str]] = set()
        super().__init__(_mirror(self._address))

    def __str__(self) -> str:
        return self._address

    @property
    def address(self) -> str:
        return self._address

    @property
    def is_folder(self) -> bool:
        return False

    def exists(self) -> bool:
        with self._reaching():
            return bool(self._files.exists(self._remote(MARKER)))

    def prepare(self) -> None:
        with self._reaching():
            if not self._files.exists(self._remote(MARKER)):
                # The id tells this store from another one that has had its address.
                content = {"format": FORMAT, "id": secrets.token_hex(8)}
                self._files.pipe_file(self._remote(MARKER), dump_json(content).encode())
        self.check_format()
        super().prepare()
        self.flush()

    def check_format(self) -> None:
        """As in a folder; a mirror of another store that has had this address is thrown away."""
        marker = self.root / MARKER
        with self._reaching():
            there = self._files.exists(self._remote(MARKER))
            content = self._files.cat_file(self._remote(MARKER)) if there else b""
        if marker.is_file() and marker.read_bytes() != content:
            shutil.rmtree(self.root)
        if there:
            self.root.mkdir(parents=True, exist_ok=True)
            write_atomic(marker, content)
            super().check_format()

    def flush(self) -> None:
        """Send what could not be sent before."""
        for path in (self.root / UNSENT).glob("*-*"):
            kind, _, key = path.name.partition("-")
            self._send(kind, key)

    def lease(self, key: str) -> RemoteLease:  # type: ignore[override]
        return RemoteLease(self._files, self._remote(f"leases/{key}.json"), key, self._held)

    def status(self, kind: str, key: str) -> dict[str, Any]:
        found = super().status(kind, key)
        if found.get("state") == "done":
            return found
        if key in self._held:  # somebody else may have been quicker, a moment ago
            self._refresh(kind, key)
        else:
            self._look(kind)
        return super().status(kind, key)

    def entries(self, kind: str) -> list[str]:
        self._look(kind)
        return super().entries(kind)

    def file(self, kind: str, key: str, name: str) -> Path:
        known = self.status(kind, key).get("files", {})
        if name in known and not is_intact(self.folder(kind, key) / name, known[name]):
            self._refresh(kind, key)
            files = super().status(kind, key).get("files", {})
            if name in files:
                self._fetch(kind, key, _with_siblings(name, files), files)
        return super().file(kind, key, name)

    @contextmanager
    def write(self, kind: str, key: str, spec: Any) -> Iterator[Entry]:
        mark = self._mark(kind, key)
        with super().write(kind, key, spec) as entry:
            yield entry
            mark.touch()  # before the stage is there: whoever dies now leaves word that it is to be sent
        self._send(kind, key)

    def write_failure(self, kind: str, key: str, spec: Any, failure: Mapping[str, Any]) -> None:
        super().write_failure(kind, key, spec, failure)
        self._send(kind, key)

    def adopt(self, kind: str, key: str, folder: Path) -> str:
        problem = super().adopt(kind, key, folder)
        if not problem:
            self._send(kind, key)
        return problem

    def keep(self, kind: str, key: str) -> None:
        self._refresh(kind, key)
        super().keep(kind, key)
        self._send_status(kind, key)

    def free(self, kind: str, key: str, name: str) -> int:
        self._refresh(kind, key)
        freed = super().free(kind, key, name)
        if freed:
            self._send_status(kind, key)
            with self._reaching():
                self._remove(f"{kind}/{key}/{name}")
        return freed

    def set_aside(self, kind: str, key: str, reason: str) -> None:
        """Of the mirror; of the storage too where what was just fetched from there is damaged."""
        super().set_aside(kind, key, reason)
        if (kind, key) in self._fetched:
            self._fetched.discard((kind, key))
            with self._reaching():
                self._remove(f"{kind}/{key}/{STATUS}")

    def send_run(self, folder: Path) -> None:
        with self._reaching():
            for name in OF_A_RUN:
                if (folder / name).is_file():
                    target = self._remote(f"runs/{folder.name}/{name}")
                    self._files.pipe_file(target, (folder / name).read_bytes())

    def fetch_runs(self) -> None:
        with self._reaching():
            found = self._find("runs")
            wanted = [name for name in found if _is_of_a_run(name) and not self._has(name, found)]
            contents = self._cat(wanted)
        for name, content in contents.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, content)
            stamp = seconds_of(found[name])
            os.utime(path, (stamp, stamp))  # the last run is the one that was asked for last

    def _has(self, name: str, found: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether the mirror has an object as it is."""
        try:
            status = (self.root / name).stat()
        except OSError:
            return False
        return abs(status.st_mtime - seconds_of(found[name])) < 1e-3

    def _look(self, kind: str) -> None:
        """Fetch the small files of stages that others have added or tried since the last look."""
        began = time.monotonic()
        if began < self._look_again.get(kind, began):
            return
        with self._reaching():
            found = self._find(kind)
            news = [key for key in map(_key_of_status, found) if key and self._is_open(kind, key)]
            wanted = [f"{kind}/{key}/{name}" for key in news for name in SMALL]
            contents = self._cat([name for name in wanted if name in found])
        for key in news:
            self._mirror_small(kind, key, contents)
        took = time.monotonic() - began
        self._look_again[kind] = time.monotonic() + max(LIST_EVERY, LIST_SHARE * took)

    def _refresh(self, kind: str, key: str) -> None:
        """Look up one stage, whatever the mirror has of it."""
        if self._mark(kind, key).exists():  # the mirror is ahead
            return
        with self._reaching():
            contents = self._cat([f"{kind}/{key}/{name}" for name in SMALL])
        if f"{kind}/{key}/{STATUS}" in contents:
            self._mirror_small(kind, key, contents, whatever=True)
        else:
            shutil.rmtree(self.folder(kind, key), ignore_errors=True)

    def _mirror_small(
        self, kind: str, key: str, contents: Mapping[str, bytes], whatever: bool = False
    ) -> None:
        """Write a stage's small files, the status last: with it the stage counts as there."""
        # Written by this machine since the storage was asked: that is newer.
        if not whatever and not self._is_open(kind, key):
            return
        for name in (*SMALL[1:], STATUS):
            content = contents.get(f"{kind}/{key}/{name}")
            path = self.folder(kind, key) / name
            if content is not None and not (path.is_file() and path.read_bytes() == content):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(path, content)

    def _is_open(self, kind: str, key: str) -> bool:
        return super().status(kind, key).get("state") != "done"

    def _mark(self, kind: str, key: str) -> Path:
        """A file that is there while a stage is to be sent."""
        mark = self.root / UNSENT / f"{kind}-{key}"
        mark.parent.mkdir(parents=True, exist_ok=True)
        return mark

    def _send(self, kind: str, key: str) -> None:
        """Upload a stage, its status last. What cannot be sent now is sent by :meth:`flush`."""
        mark = self._mark(kind, key)
        mark.touch()
        folder = self.folder(kind, key)
        names = [*super().status(kind, key).get("files", {})]
        try:
            with self._reaching():
                if names:
                    self._remove(f"{kind}/{key}/{STATUS}")  # until the new files are whole
                for name in names:
                    if (folder / name).is_file():
                        target = self._remote(f"{kind}/{key}/{name}")
                        self._files.put_file(str(folder / name), target)
            self._send_status(kind, key)
        except XbenchError as error:  # the result is whole, here: no reason to fail its stage
            print(f"Warning: {error}", file=sys.stderr, flush=True)
            return
        mark.unlink(missing_ok=True)

    def _send_status(self, kind: str, key: str) -> None:
        path = self.folder(kind, key) / STATUS
        if path.is_file():
            with self._reaching():
                self._files.pipe_file(self._remote(f"{kind}/{key}/{STATUS}"), path.read_bytes())

    def _fetch(self, kind: str, key: str, names: list[str], files: Mapping[str, Any]) -> None:
        for name in names:
            path = self.folder(kind, key) / name
            if is_intact(path, files[name]):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.{os.getpid()}.part")
            with self._reaching():
                self._files.get_file(self._remote(f"{kind}/{key}/{name}"), str(partial))
            sync_file(partial)
            os.replace(partial, path)
            self._fetched.add((kind, key))

    def _find(self, below: str) -> dict[str, Mapping[str, Any]]:
        """All objects below a name, by their names in the store."""
        found = self._files.find(self._remote(below), detail=True)
        start = self._base.lstrip("/") + "/"
        return {path.lstrip("/").removeprefix(start): info for path, info in found.items()}

    def _cat(self, names: list[str]) -> dict[str, bytes]:
        if not names:
            return {}
        paths = {self._remote(name): name for name in names}
        read = self._files.cat([*paths], on_error="omit")
        return {paths[path]: content for path, content in read.items()}

    def _remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._files.rm_file(self._remote(name))

    def _remote(self, name: str) -> str:
        return f"{self._base}/{name}"

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Say which store could not be reached, whatever its file system raises."""
        try:
            yield
        except XbenchError:
            raise
        except Exception as error:  # each file system has its own
            raise XbenchError(
                f"The store {self._address} cannot be reached: {type(error).__name__}: {error}. Look "
                f"at the address, the network, and the credentials. What was computed is kept in the "
                f"mirror {self.root} and is sent by the next run."
            ) from error


def _key_of_status(name: str) -> str:
    """The key of a stage, of its status' name; nothing for any other object."""
    parts = name.split("/")
    return parts[1] if len(parts) == 3 and parts[2] == STATUS and KEY.fullmatch(parts[1]) else ""


def _is_of_a_run(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 3 and bool(RUN.fullmatch(parts[1])) and parts[2] in OF_A_RUN


def _with_siblings(name: str, files: Mapping[str, Any]) -> list[str]:
    """A file, and those in its folder: an encoder is a folder."""
    parent = PurePosixPath(name).parent
    return [each for each in files if "/" in name and PurePosixPath(each).parent == parent] or [
        name
    ]


def _mirror(address: str) -> Path:
    """The folder of a store's mirror on this machine."""
    place = os.environ.get(MIRRORS)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    below = Path(place) if place else cache / "xbench" / "stores"
    return below / hashlib.sha256(address.encode()).hexdigest()[:16]

"""A store in object storage (S3 and whatever fsspec reaches), with a mirror of it in a local folder.

Objects have the names that files have in a folder (:mod:`xbench.store.store`). A stage is uploaded
before its ``status.json``, which makes it visible, so it is there whole or not at all. What somebody
reads is fetched into the mirror and compared with its digest there. Training states and tokenised text
stay in the mirror.
"""

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from xbench.errors import XbenchError
from xbench.files import dump_json, write_atomic
from xbench.store.remote_lease import RemoteLease, seconds_of
from xbench.store.store import FORMAT, MARKER, STATUS, Entry, Store

MIRRORS = "XBENCH_MIRROR"  # the variable that names the folder of all mirrors
# Of each stage these are fetched with its status, many at once: commands read them of every stage.
SMALL = (STATUS, "result.json", "spec.json", "env.json", "log.txt")
OF_A_RUN = ("spec.yaml", "plan.json", "notes.json")
LIST_EVERY = 5.0  # seconds between looks at what others have added
UNSENT = "unsent"  # names of stages in the mirror whose upload was interrupted


class RemoteStore(Store):
    """A store at an address as ``s3://bucket/prefix``.

    Raises :class:`XbenchError` where the address has no file system, or its package is not installed.
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
        self._listed: dict[str, float] = {}
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
        super().prepare()
        with self._reaching():
            if not self._files.exists(self._remote(MARKER)):
                self._files.pipe_file(self._remote(MARKER), dump_json({"format": FORMAT}).encode())
        for path in (self.root / UNSENT).glob("*-*"):
            kind, _, key = path.name.partition("-")
            self._send(kind, key)

    def check_format(self) -> None:
        with self._reaching():
            if self._files.exists(self._remote(MARKER)):
                self.root.mkdir(parents=True, exist_ok=True)
                write_atomic(self.root / MARKER, self._files.cat_file(self._remote(MARKER)))
        super().check_format()

    def lease(self, key: str) -> RemoteLease:  # type: ignore[override]
        return RemoteLease(self._files, self._remote(f"leases/{key}.json"))

    def status(self, kind: str, key: str) -> dict[str, Any]:
        found = super().status(kind, key)
        if found.get("state") == "done":  # what is done stays so
            return found
        self._look(kind)
        return super().status(kind, key)

    def entries(self, kind: str) -> list[str]:
        self._look(kind)
        return super().entries(kind)

    def file(self, kind: str, key: str, name: str) -> Path:
        path = self.folder(kind, key) / name
        files = self.status(kind, key).get("files", {})
        if name in files and not path.is_file():
            # The files beside it belong to it: an encoder is a folder.
            beside = [each for each in files if Path(each).parent == Path(name).parent]
            wanted = beside if "/" in name else [name]
            folder = self.folder(kind, key)
            self._fetch(f"{kind}/{key}", [one for one in wanted if not (folder / one).is_file()])
        return super().file(kind, key, name)

    @contextmanager
    def write(self, kind: str, key: str, spec: Any) -> Iterator[Entry]:
        with super().write(kind, key, spec) as entry:
            yield entry
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
        super().keep(kind, key)
        self._send_status(kind, key)

    def free(self, kind: str, key: str, name: str) -> int:
        freed = super().free(kind, key, name)
        if freed:
            self._send_status(kind, key)
            with self._reaching():
                self._remove(f"{kind}/{key}/{name}")
        return freed

    def set_aside(self, kind: str, key: str, reason: str) -> None:
        super().set_aside(kind, key, reason)
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
            wanted = [name for name in found if Path(name).name in OF_A_RUN]
            contents = self._cat(wanted)
        for name, content in contents.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, content)
            stamp = seconds_of(found[name])
            os.utime(path, (stamp, stamp))  # the last run is the one that was asked for last

    def _look(self, kind: str) -> None:
        """Fetch the small files of stages that others have added or tried since the last look."""
        now = time.monotonic()
        if now - self._listed.get(kind, -LIST_EVERY) < LIST_EVERY:
            return
        with self._reaching():
            found = self._find(kind)
            news = []
            for name in found:
                _, key, *rest = name.split("/")
                if rest == [STATUS] and self._is_news(kind, key):
                    news.append(key)
            wanted = [f"{kind}/{key}/{s}" for key in news for s in SMALL]
            contents = self._cat([name for name in wanted if name in found])
        # The status comes last: with it a stage counts as there.
        for name in sorted(contents, key=lambda name: name.endswith(STATUS)):
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, contents[name])
        self._listed[kind] = now

    def _is_news(self, kind: str, key: str) -> bool:
        return super().status(kind, key).get("state") != "done"

    def _send(self, kind: str, key: str) -> None:
        """Upload a stage, its status last. Interrupted, it is done by the next :meth:`prepare`."""
        mark = self.root / UNSENT / f"{kind}-{key}"
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        folder = self.folder(kind, key)
        names = [*super().status(kind, key).get("files", {})]
        with self._reaching():
            for name in names:
                if (folder / name).is_file():
                    self._files.put_file(str(folder / name), self._remote(f"{kind}/{key}/{name}"))
        self._send_status(kind, key)
        mark.unlink(missing_ok=True)

    def _send_status(self, kind: str, key: str) -> None:
        path = self.folder(kind, key) / STATUS
        if path.is_file():
            with self._reaching():
                self._files.pipe_file(self._remote(f"{kind}/{key}/{STATUS}"), path.read_bytes())

    def _fetch(self, stage: str, names: list[str]) -> None:
        for name in names:
            path = self.root / stage / name
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.{os.getpid()}.part")
            with self._reaching():
                self._files.get_file(self._remote(f"{stage}/{name}"), str(partial))
            os.replace(partial, path)

    def _find(self, below: str) -> dict[str, Mapping[str, Any]]:
        """All objects below a name, by their names in the store."""
        found = self._files.find(self._remote(below), detail=True)
        return {
            path.lstrip("/").removeprefix(self._base.lstrip("/") + "/"): i
            for path, i in found.items()
        }

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


def _mirror(address: str) -> Path:
    """The folder of a store's mirror on this machine."""
    place = os.environ.get(MIRRORS)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    below = Path(place) if place else cache / "xbench" / "stores"
    return below / hashlib.sha256(address.encode()).hexdigest()[:16]

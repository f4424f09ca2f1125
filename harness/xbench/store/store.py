"""One directory per key, written whole or not at all, verified on reading.

    STORE/xbench-store.json          format of the store
    STORE/align/KEY/                 spec.json status.json result.json model.safetensors ...
    STORE/finetune/KEY/ ...
    STORE/work/KEY/                  training state of a stage in progress
    STORE/runs/ID/                   what a run asked for: spec.yaml plan.json report/
    STORE/aside/                     damaged artefacts, kept for inspection

No shared database: safe on network file systems. A lease file with a heartbeat marks work in
progress (:mod:`xbench.store.lease`).
"""

import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from xbench.errors import XbenchError
from xbench.files import (
    dump_json,
    file_digest,
    parse_json,
    sync_file,
    sync_folder,
    write_atomic,
    write_synced,
)
from xbench.keys import to_json
from xbench.store.lease import Lease

FORMAT = 1
MARKER = "xbench-store.json"
STATUS = "status.json"
WEIGHTS = "model.safetensors"  # what files of an encoder's weights are called
KEY = re.compile(r"[0-9a-f]{64}")  # how stages and runs are named
RUN = re.compile(r"[0-9a-f]{12}")
State = Literal["absent", "done", "failed"]


class DamagedArtefact(XbenchError):
    """An artefact whose content is not what was written; it has been set aside."""


@dataclass
class Entry:
    """A directory being written. Put files into ``folder``; ``result`` becomes result.json.

    ``measured`` goes into status.json: what it took (time, memory), which is no part of the result.
    """

    folder: Path
    result: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)


class Store:
    """The results of all stages under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        """As a command names it."""
        return str(self.root)

    @property
    def address(self) -> str:
        """What :func:`xbench.store.open_store` finds it by, from anywhere on this machine."""
        return str(self.root.resolve())

    @property
    def is_folder(self) -> bool:
        """Whether it lies in a folder that other machines may share."""
        return True

    def exists(self) -> bool:
        """Whether there is a store."""
        return (self.root / MARKER).is_file()

    def entries(self, kind: str) -> list[str]:
        """The keys of all stages of a kind, failed ones too."""
        return sorted(path.name for path in (self.root / kind).glob("[!.]*"))

    def flush(self) -> None:
        """Let others see what they could not be shown before; in a folder they see it at once."""

    def send_run(self, folder: Path) -> None:
        """Let others see what a run has asked for; in a folder they do."""

    def fetch_runs(self) -> None:
        """See what others have asked for; in a folder it is there."""

    def prepare(self) -> None:
        """Create the folder and its marker. Raises where it cannot be used."""
        marker = self.root / MARKER
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if not marker.exists():
                write_atomic(marker, dump_json({"format": FORMAT}))
            with tempfile.TemporaryFile(dir=self.root):  # an old store may be read-only by now
                pass
        except OSError as error:
            raise XbenchError(
                f"The store {self.root} cannot be written: {error.strerror}. "
                f"Choose another folder with --store DIR."
            ) from error
        self.check_format()

    def check_format(self) -> None:
        """Raises where the folder is no store, or was written by a newer version of xbench."""
        if self.root.exists() and not self.root.is_dir():
            raise XbenchError(f"The store {self.root} is no folder. Choose one with --store DIR.")
        marker = self.root / MARKER
        try:
            written = parse_json(marker.read_text(encoding="utf-8"))["format"]
            is_newer = written > FORMAT
        except (FileNotFoundError, NotADirectoryError):
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise XbenchError(
                f"{marker} is damaged ({error}). A store of this version has the line "
                f'{{"format": {FORMAT}}} there; put it back, or choose another --store DIR.'
            ) from error
        if is_newer:
            raise XbenchError(
                f"The store {self.root} has format {written}; this xbench reads up to {FORMAT}. "
                f"Update xbench, or choose another folder with --store DIR."
            )

    def folder(self, kind: str, key: str) -> Path:
        """Where a stage's artefacts lie, whether or not they are there."""
        return self.root / kind / key

    def work_folder(self, key: str) -> Path:
        """Where a stage in progress keeps its training state."""
        return self.root / "work" / key

    def lease(self, key: str) -> Lease:
        """The mark that says that a stage is being computed."""
        return Lease(self.root / "leases" / f"{key}.json")

    def state(self, kind: str, key: str) -> State:
        """Whether the stage is there, failed, or absent."""
        state: State = self.status(kind, key).get("state", "absent")
        return state

    def error(self, kind: str, key: str) -> str | None:
        """What the last attempt at a stage failed with; None where it succeeded or was not made."""
        error: str | None = self.status(kind, key).get("error")
        return error

    def status(self, kind: str, key: str) -> dict[str, Any]:
        """status.json: state, digests of the files, times, the error of a failed attempt."""
        path = self.folder(kind, key) / STATUS
        try:
            status = parse_json(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise XbenchError(f"{path} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            self.set_aside(kind, key, f"{STATUS}: {error}")
            return {}
        if not isinstance(status, dict) or not _stay_inside(status.get("files", {})):
            self.set_aside(kind, key, f"{STATUS} is not what a stage leaves")
            return {}
        return status

    def has_file(self, kind: str, key: str, name: str) -> bool:
        """Whether a finished stage still holds a file (weights may have been freed)."""
        status = self.status(kind, key)
        return status.get("state") == "done" and name in status.get("files", {})

    @contextmanager
    def write(self, kind: str, key: str, spec: Any) -> Iterator[Entry]:
        """Write a stage: what the block leaves in ``entry`` appears at once, when it ends well.

        The caller holds the stage's lease.
        """
        final = self.folder(kind, key)
        for left in final.parent.glob(f".{key}.*"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        folder = temporary(final)
        started = time.time()
        entry = Entry(folder)
        try:
            yield entry
            write_synced(folder / "spec.json", dump_json(to_json(spec)).encode())
            write_synced(folder / "result.json", dump_json(entry.result).encode())
            times = {"started": started, "finished": time.time(), "measured": entry.measured}
            self._seal(folder, {"state": "done", **times})
            self._publish(folder, final)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(self.work_folder(key), ignore_errors=True)

    def write_failure(self, kind: str, key: str, spec: Any, failure: Mapping[str, Any]) -> None:
        """Record that a stage failed: ``failure`` has ``error``, ``traceback`` and ``cause``.

        Of a stage that had been done before (and was to get back weights, or further checkpoints)
        everything is kept; the error is noted with it.
        """
        final = self.folder(kind, key)
        log = str(failure.get("traceback", ""))
        short = {name: value for name, value in failure.items() if name != "traceback"}
        if self.state(kind, key) == "done":
            write_atomic(final / "log.txt", log)
            write_atomic(final / STATUS, dump_json({**self.status(kind, key), **short}))
            return
        folder = temporary(final)
        write_synced(folder / "spec.json", dump_json(to_json(spec)).encode())
        write_synced(folder / "log.txt", log.encode())
        self._seal(folder, {"state": "failed", "finished": time.time(), **short})
        self._publish(folder, final)

    def _seal(self, folder: Path, status: dict[str, Any]) -> None:
        files = {}
        for path in sorted(folder.rglob("*")):
            if path.is_dir():
                sync_folder(path)
                continue
            sync_file(path)
            name = path.relative_to(folder).as_posix()
            files[name] = {"sha256": file_digest(path), "bytes": path.stat().st_size}
        write_synced(folder / STATUS, dump_json({**status, "files": files}).encode())
        sync_folder(folder)

    def _publish(self, folder: Path, final: Path) -> None:
        if final.exists():  # a failed attempt, or weights that had been freed: replace it
            old = final.with_name(f".{final.name}.{secrets.token_hex(4)}.old")
            os.rename(final, old)
            os.rename(folder, final)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.rename(folder, final)
        sync_folder(final.parent)

    def adopt(self, kind: str, key: str, folder: Path) -> str:
        """Take in a stage that another store has left in a folder; what is wrong with it, or nothing.

        The caller holds the stage's lease.
        """
        try:
            status = parse_json((folder / STATUS).read_text(encoding="utf-8"))
            files = status["files"]
            if status["state"] != "done" or not _stay_inside(files):
                return f"its {STATUS} is not that of a finished stage"
            for name, known in files.items():
                if not is_intact(folder / name, known):
                    return f"{name} does not match its digest"
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return f"its {STATUS} is damaged ({error})"
        there = {path for path in folder.rglob("*") if path.is_file()}
        extra = there - {folder / name for name in files} - {folder / STATUS}
        if extra:
            return f"{next(iter(extra)).name} has no digest"
        self._publish(folder, self.folder(kind, key))
        return ""

    def result(self, kind: str, key: str) -> dict[str, Any]:
        """result.json of a finished stage, verified against its digest."""
        path = self.file(kind, key, "result.json")
        result: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
        return result

    def file(self, kind: str, key: str, name: str) -> Path:
        """A file of a finished stage, verified. A damaged stage is set aside and the call raises."""
        path = self.folder(kind, key) / name
        known = self.status(kind, key).get("files", {}).get(name)
        if known is None:
            raise XbenchError(f"{path} is not in the store.")
        if not is_intact(path, known):
            self.set_aside(kind, key, f"{name} does not match its digest")
            raise DamagedArtefact(
                f"{path} is damaged; its stage was set aside and will be computed again by the next run."
            )
        return path

    def verify(self, kind: str, key: str) -> bool:
        """Whether the results of a finished stage are intact; a damaged stage is set aside."""
        status = self.status(kind, key)
        try:
            for name in status.get("files", {}):
                self.file(kind, key, name)
        except DamagedArtefact:
            return False
        return status.get("state") == "done"

    def set_aside(self, kind: str, key: str, reason: str) -> None:
        """Move a damaged stage out of the way, keeping it for inspection.

        Where that cannot be (a read-only store) it stays: whoever reads it finds the damage again.
        """
        aside = self.root / "aside" / f"{kind}-{key}-{secrets.token_hex(4)}"
        with suppress(OSError):
            aside.parent.mkdir(parents=True, exist_ok=True)
            os.rename(self.folder(kind, key), aside)
            (aside / "why.txt").write_text(reason + "\n", encoding="utf-8")

    def keep(self, kind: str, key: str) -> None:
        """Mark a stage's weights as wanted: no later run frees them."""
        status = self.status(kind, key)
        if status and not status.get("kept"):
            write_atomic(self.folder(kind, key) / STATUS, dump_json({**status, "kept": True}))

    def is_kept(self, kind: str, key: str) -> bool:
        """Whether :meth:`keep` was asked for a stage."""
        return bool(self.status(kind, key).get("kept"))

    def free(self, kind: str, key: str, name: str) -> int:
        """Delete a file that nothing needs any more (weights); returns the bytes that it held.

        What was marked with :meth:`keep` stays.
        """
        if self.is_kept(kind, key):
            return 0
        status = self.status(kind, key)
        held = status.get("files", {}).pop(name, None)
        if held is None:
            return 0
        status.setdefault("freed", {})[name] = held
        write_atomic(self.folder(kind, key) / STATUS, dump_json(status))
        (self.folder(kind, key) / name).unlink(missing_ok=True)
        return int(held["bytes"])


def temporary(final: Path) -> Path:
    """A new folder beside the final one, to be renamed to it."""
    folder = final.with_name(f".{final.name}.{secrets.token_hex(4)}.tmp")
    folder.mkdir(parents=True)
    return folder


def _stay_inside(files: Any) -> bool:
    """Whether these are files by name that lie in their stage's folder, whoever wrote the names."""
    if not isinstance(files, dict):
        return False
    paths = [PurePosixPath(name) for name in files]
    return not any(path.is_absolute() or ".." in path.parts for path in paths)


def is_intact(path: Path, known: Mapping[str, Any]) -> bool:
    """Whether a file has the length and the digest that its stage's status states."""
    try:
        return bool(path.stat().st_size == known["bytes"] and file_digest(path) == known["sha256"])
    except (OSError, KeyError, TypeError):  # what a damaged status states is no digest
        return False

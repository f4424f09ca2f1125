"""Results as one file, for moving them from one store to another.

The file is a tar: folders of stages as they lie in a store, and what runs asked for. Nothing of it is
believed: names that lead elsewhere are refused, and every stage is compared with its digests before it
appears in a store.
"""

import io
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

import yaml

from xbench.errors import XbenchError
from xbench.files import dump_json, parse_json, write_atomic
from xbench.plan import KINDS
from xbench.store.lease import Busy
from xbench.store.runs import NOTES, PLAN, SPEC, RunRecord, read_record
from xbench.store.store import FORMAT, KEY, MARKER, RUN, STATUS, WEIGHTS, Store, temporary

OF_A_RUN = (SPEC, PLAN, NOTES)
BLOCK = 1 << 20


@dataclass
class Transfer:
    """What became of the stages of a file: moved, there already, and why others were refused."""

    stages: int = 0
    known: int = 0
    runs: int = 0
    refused: dict[str, str] = field(default_factory=dict)


def export_runs(store: Store, runs: Iterable[Path], target: Path, weights: bool) -> Transfer:
    """Write all finished stages of runs into a file; weights of encoders only where asked for."""
    done = Transfer()
    partial = target.with_name(f".{target.name}.partial")
    try:
        with tarfile.open(partial, "w") as archive:
            _add_text(archive, MARKER, dump_json({"format": FORMAT}))
            written: set[tuple[str, str]] = set()
            for run in runs:
                done.runs += 1
                for name in OF_A_RUN:
                    if (run / name).is_file():
                        _add_text(
                            archive, f"runs/{run.name}/{name}", (run / name).read_text("utf-8")
                        )
                for kind, key in _stages(read_record(run)):
                    if (kind, key) not in written and store.state(kind, key) == "done":
                        written.add((kind, key))
                        _add_stage(archive, store, kind, key, weights)
                        done.stages += 1
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return done


def _stages(record: RunRecord) -> Iterator[tuple[str, str]]:
    for cell in record.cells:
        for kind in KINDS:
            key = getattr(cell, kind)
            if key is not None:
                yield kind, key


def _add_stage(archive: tarfile.TarFile, store: Store, kind: str, key: str, weights: bool) -> None:
    """A stage's files, verified; what is left out counts as freed."""
    status = store.status(kind, key)
    files: dict[str, Any] = dict(status.get("files", {}))
    left_out = [name for name in files if name.endswith(WEIGHTS) and not weights]
    freed = {**status.get("freed", {}), **{name: files.pop(name) for name in left_out}}
    for name in files:
        archive.add(store.file(kind, key, name), f"{kind}/{key}/{name}", recursive=False)
    whole = {**status, "files": files} | ({"freed": freed} if freed else {})
    _add_text(archive, f"{kind}/{key}/{STATUS}", dump_json(whole))  # last: the stage is whole then


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode("utf-8")
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def import_file(store: Store, source: Path) -> Transfer:
    """Put the stages and runs of a file into a store; what is there stays as it is.

    Raises :class:`XbenchError` where the file is no such file, or is cut off; what came before is kept.
    """
    done = Transfer()
    arriving: dict[tuple[str, str], Path] = {}
    try:
        with tarfile.open(source, "r:") as archive:
            for member in archive:
                _take(archive, member, store, arriving, done)
    except (tarfile.TarError, EOFError, UnicodeDecodeError) as error:
        raise XbenchError(
            f"{source} is damaged, or was not written by xbench store export: {error}. What came "
            f"before the damage is in the store ({done.stages} stages)."
        ) from error
    finally:
        for folder in arriving.values():
            shutil.rmtree(folder, ignore_errors=True)
    if not done.stages + done.known + done.runs + len(done.refused):
        raise XbenchError(f"{source} holds no results: name a file of xbench store export.")
    return done


def _take(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    store: Store,
    arriving: dict[tuple[str, str], Path],
    done: Transfer,
) -> None:
    if member.name == MARKER:
        return
    parts = PurePosixPath(member.name).parts
    content = archive.extractfile(member) if member.isfile() else None
    if content is None or not _is_ours(parts):
        done.refused[member.name] = "it is no file of a store"
    elif parts[0] == "runs":
        try:
            done.runs += _take_run(store, parts[1], parts[2], content.read())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            done.refused[member.name] = f"it is damaged ({error})"
    else:
        stage = parts[0], parts[1]
        if stage not in arriving:
            final = store.folder(*stage)
            final.parent.mkdir(parents=True, exist_ok=True)
            arriving[stage] = temporary(final)
        path = arriving[stage].joinpath(*parts[2:])
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(content, path)
        if parts[2:] == (STATUS,):
            _settle(store, stage, arriving.pop(stage), done)


def _is_ours(parts: tuple[str, ...]) -> bool:
    """Whether a name is one that a store has: nothing leads out of it."""
    if any(part in ("..", ".") or part.startswith("/") or "\\" in part for part in parts):
        return False
    if parts[:1] == ("runs",):
        return len(parts) == 3 and bool(RUN.fullmatch(parts[1])) and parts[2] in OF_A_RUN
    return len(parts) >= 3 and parts[0] in KINDS and bool(KEY.fullmatch(parts[1]))


def _write(content: IO[bytes], path: Path) -> None:
    with path.open("xb") as file:
        shutil.copyfileobj(content, file, BLOCK)


def _settle(store: Store, stage: tuple[str, str], folder: Path, done: Transfer) -> None:
    """Publish a stage that has arrived whole and intact; drop it otherwise."""
    try:
        with store.lease(stage[1]):
            if store.state(*stage) == "done":
                done.known += 1
            elif problem := store.adopt(*stage, folder):
                done.refused["/".join(stage)] = problem
            else:
                done.stages += 1
    except Busy:  # somebody is computing it
        done.known += 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _take_run(store: Store, run: str, name: str, content: bytes) -> int:
    """Keep what a run asked for; 1 where it is new. What does not say so is left out."""
    folder = store.root / "runs" / run
    if (folder / name).exists():
        return 0
    if name == PLAN:
        loaded: Mapping[str, Any] = parse_json(content)
        RunRecord.from_json(loaded)  # raises where it is none
    if name == SPEC:
        content = _without_launcher(content)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / name, content)
    store.send_run(folder)
    return int(name == PLAN)


def _without_launcher(content: bytes) -> bytes:
    """A spec without the launcher of the machine that it comes from: its settings may hold commands."""
    spec = yaml.safe_load(content)
    if not isinstance(spec, dict):
        raise ValueError("it is no mapping")
    spec.pop("launcher", None)
    return yaml.safe_dump(spec, sort_keys=False, allow_unicode=True).encode("utf-8")

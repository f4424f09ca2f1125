"""The files through which a run and its jobs on other machines know of each other.

STORE/runs/ID/submissions/N/submission.json   the launcher, and the scheduler's names of the jobs
STORE/runs/ID/submissions/N/jobs/JOB.json     what a job computes, and how
STORE/runs/ID/submissions/N/events/JOB.jsonl  what happened to it, a line each; written by the job
STORE/runs/ID/submissions/N/workers/JOB/      what its worker process printed
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xbench.engine.launcher import WorkerSettings
from xbench.errors import XbenchError
from xbench.files import dump_json, parse_json, write_atomic
from xbench.plan import Stage, read_stage
from xbench.store import Store

SUBMISSIONS = "submissions"
RECORD = "submission.json"
PROGRESS_EVERY = 5.0  # seconds between lines about one stage on its way
SURROUNDINGS = "XBENCH_"  # variables of the environment that begin so belong to a job


@dataclass(frozen=True)
class JobFile:
    """What a job computes: keys in order, with the records of their stages and of what these read.

    ``place`` is the working directory, where a user's own plugins and registry may lie.
    """

    store: str
    keys: tuple[str, ...]
    stages: Mapping[str, Any]
    settings: Mapping[str, Any]
    place: str
    environment: Mapping[str, str]

    @classmethod
    def of(
        cls, store: Store, keys: list[str], stages: Mapping[str, Stage], settings: WorkerSettings
    ) -> "JobFile":
        """The file of a job of this process' run."""
        return cls(
            store.address,
            tuple(keys),
            {key: stage.to_json() for key, stage in stages.items()},
            asdict(settings),
            str(Path.cwd()),
            {name: v for name, v in os.environ.items() if name.startswith(SURROUNDINGS)},
        )

    @classmethod
    def read(cls, path: Path) -> "JobFile":
        """Raises :class:`XbenchError` where the file is damaged."""
        try:
            return cls(**parse_json(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise XbenchError(f"{path} cannot be read: {error}") from error

    def write(self, path: Path) -> None:
        """For another machine."""
        write_atomic(path, dump_json(asdict(self)))

    def read_stages(self) -> dict[str, Stage]:
        """The stages by key."""
        return {key: read_stage(content) for key, content in self.stages.items()}


@dataclass(frozen=True)
class SubmittedJob:
    """A job that a scheduler was given: its name there, and the keys that it computes."""

    name: str
    about: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Submitted:
    """One submission of a run. ``jobs``: their names here -> what was submitted."""

    folder: Path
    launcher: str
    config: Mapping[str, Any]
    jobs: Mapping[str, SubmittedJob]

    def write(self) -> None:
        """Keep it in its folder."""
        content = {
            "launcher": self.launcher,
            "config": dict(self.config),
            "jobs": {name: asdict(job) for name, job in self.jobs.items()},
        }
        write_atomic(self.folder / RECORD, dump_json(content))

    def events(self, job: str) -> Path:
        """Where a job says what happens."""
        return self.folder / "events" / f"{job}.jsonl"

    def output(self, job: str) -> Path | None:
        """What the scheduler kept of a job's output; None where it has not begun."""
        found = sorted(self.folder.glob(f"*{self.jobs[job].name}.log"))
        return found[-1] if found else None


def submissions(run: Path) -> list[Submitted]:
    """What a run has submitted so far, in order. A damaged record raises :class:`XbenchError`."""
    folders = (run / SUBMISSIONS).glob("[0-9]*")
    ordered = sorted(folders, key=lambda folder: int(folder.name) if folder.name.isdigit() else 0)
    return [_read(folder) for folder in ordered if (folder / RECORD).is_file()]


def _read(folder: Path) -> Submitted:
    path = folder / RECORD
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        jobs = {
            name: SubmittedJob(job["name"], job["about"], tuple(job["keys"]))
            for name, job in content["jobs"].items()
        }
        return Submitted(folder, content["launcher"], content["config"], jobs)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise XbenchError(
            f"{path} is damaged ({error}): what became of its jobs cannot be told. Look at the "
            f"scheduler's own list of jobs, end those of this run, and delete the file."
        ) from error


def new_submission(run: Path) -> Path:
    """An empty folder for the next submission of a run."""
    place = run / SUBMISSIONS
    place.mkdir(parents=True, exist_ok=True)
    number = 1 + max((int(p.name) for p in place.iterdir() if p.name.isdigit()), default=0)
    folder = place / str(number)
    for part in ("jobs", "events", "workers"):
        (folder / part).mkdir(parents=True)
    return folder


class Diary:
    """Writes what happens to a job; many short lines, each with one write."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._said: dict[str, float] = {}

    def say(self, event: str, **details: Any) -> None:
        """One line. A full disk stops no computation: what is lost is read from the store."""
        with suppress(OSError):
            self._file.write(json.dumps({"event": event, "at": time.time(), **details}) + "\n")
            self._file.flush()

    def stage(self, event: str, stage: Stage, details: Mapping[str, Any]) -> None:
        """An event of a stage; of its progress only some."""
        now = time.monotonic()
        if event == "progress":
            if now - self._said.get(stage.key, now - PROGRESS_EVERY) < PROGRESS_EVERY:
                return
            self._said[stage.key] = now
        self.say(event, key=stage.key, **details)


class DiaryReader:
    """Reads what a job has said since it was last looked at."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self.ended = False

    def news(self) -> Iterator[dict[str, Any]]:
        """New events; of a line that is being written the next look will tell."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                content = file.read()
        except OSError:  # not begun, or a network file system that is away for a moment
            return
        whole, newline, _ = content.rpartition(b"\n")
        self._at += len(whole) + len(newline)
        for line in whole.splitlines():
            with suppress(ValueError):  # a machine that crashed may have left half a line
                event = parse_json(line)
                if isinstance(event, dict) and "event" in event:
                    if event["event"] in ("begun", "ended"):
                        self.ended = event["event"] == "ended"
                    yield event

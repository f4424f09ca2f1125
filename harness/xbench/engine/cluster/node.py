"""The process of one job on some machine: ``python -m xbench.engine.cluster.node FOLDER JOB``.

It computes the job in a worker process of its own, so that one that is killed leaves a record, and
writes what happens into the submission's folder. Told to leave by SIGUSR1, it has the worker save its
training state and ends with the code :data:`xbench.api.launcher.INTERRUPTED`.
"""

import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from xbench.api.launcher import INTERRUPTED
from xbench.engine.cluster.files import Diary, JobFile
from xbench.engine.events import wants_retry
from xbench.engine.launcher import LocalLauncher, WorkerSettings, default_settings
from xbench.engine.todo import Job, Work
from xbench.errors import XbenchError
from xbench.plan import Stage
from xbench.spec.device import resolve_device
from xbench.store import Store, open_store


@dataclass(frozen=True)
class _Staged:
    """What a launcher asks of a plan."""

    stages: Mapping[str, Stage]


class _Watch:
    """Writes the events of the job down; hooks say whether a failure is tried again."""

    def __init__(self, diary: Diary) -> None:
        self._diary = diary

    def event(self, event: str, stage: Stage, details: Mapping[str, Any]) -> None:
        self._diary.stage(event, stage, details)

    def retry(self, stage: Stage, failure: Mapping[str, Any], attempt: int) -> bool:
        return wants_retry(stage, failure, attempt)


def main(arguments: list[str]) -> int:
    """Compute a job of a submission; the exit code."""
    folder, name = Path(arguments[0]).resolve(), arguments[1]
    diary = Diary(folder / "events" / f"{name}.jsonl")
    diary.say("begun", host=socket.gethostname(), pid=os.getpid())
    try:
        content = JobFile.read(folder / "jobs" / f"{name}.json")
        has_left = compute(content, diary, folder / "workers" / name)
    except XbenchError as error:
        print(f"Error: {error}", file=sys.stderr)
        diary.say("ended", error=str(error))
        return 2
    if has_left:
        diary.say("left")
        return INTERRUPTED
    diary.say("ended")
    return 0


def compute(content: JobFile, diary: Diary, logs: Path) -> bool:
    """Compute the stages of a job that can be; whether it left before all were settled."""
    os.environ.update(content.environment)
    os.chdir(content.place)
    stages = content.read_stages()
    store = open_store(content.store)
    asked = WorkerSettings(**content.settings)
    device = stages[content.keys[0]].places.device
    if device != "cpu":
        _check_device(device)
    # The number of threads follows from this machine's processors, not from those of the driver.
    settings = replace(asked, jobs=1, gpus=(), threads=default_settings(device, 1).threads)
    lost = _missing_parents(content.keys, stages, store)
    launcher = LocalLauncher(_Staged(stages), store, settings, _Watch(diary))

    def leave(number: int, frame: FrameType | None) -> None:
        launcher.leave()

    signal.signal(signal.SIGUSR1, leave)
    _end_with_parent()
    logs.mkdir(parents=True, exist_ok=True)
    launcher.run(Work(set(content.keys), [Job([*content.keys], lost)]), logs, lost)
    return launcher.has_left


def _check_device(device: str) -> None:
    """Raises :class:`XbenchError` where this machine lacks the GPU that the run was planned for."""
    try:
        resolve_device(device)
    except XbenchError as error:
        raise XbenchError(f"{socket.gethostname()} cannot compute the job. {error}") from error


def _end_with_parent() -> None:
    """Where standard input is a pipe, end when it is closed: whoever started the process is gone."""
    if not stat.S_ISFIFO(os.fstat(0).st_mode):
        return

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os._exit(143)  # its worker sees its own pipe closed, and ends too

    threading.Thread(target=wait, daemon=True).start()


def _missing_parents(keys: tuple[str, ...], stages: Mapping[str, Stage], store: Store) -> set[str]:
    """What the job reads and no job before it has left."""
    parents = {parent for key in keys for parent in stages[key].parents if parent not in keys}
    return {key for key in parents if store.state(stages[key].kind, key) != "done"}


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1:]))
    sys.exit(130)

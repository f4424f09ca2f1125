"""A scheduler made of files: it runs what it is given when it is asked about it, or when it is told to."""

import json
from collections.abc import Callable
from pathlib import Path

SOURCE = '''
import json
import os
from dataclasses import dataclass
from pathlib import Path

from xbench.api import Launcher, LauncherError
from xbench.engine.cluster import node


class Toy(Launcher):
    """A queue in the file QUEUE: the names of jobs -> their commands."""

    @dataclass(frozen=True)
    class Config:
        place: str = ""
        lose: str = ""  # jobs whose purpose begins so vanish
        refuse: bool = False
        gpus: int = 0

    @property
    def queue(self):
        return Path(self.config.place) / "queue.json"

    @property
    def device(self):
        return "cuda" if self.config.gpus else "cpu"

    def read(self):
        return json.loads(self.queue.read_text()) if self.queue.exists() else {}

    def preview(self, submission):
        return [f"toy: {len(submission.jobs)} jobs, {submission.at_once} at once"]

    def submit(self, submission):
        if self.config.refuse:
            raise LauncherError("the toy says: no such partition")
        names = {job.name: f"toy-{job.name}" for job in submission.jobs}
        lost = self.config.lose
        kept = [j for j in submission.jobs if not (lost and j.about.startswith(lost))]
        waiting = {names[j.name]: list(j.command) for j in sorted(kept, key=lambda j: j.wave)}
        self.queue.write_text(json.dumps(self.read() | waiting))
        return [names]

    def states(self, names):
        if (Path(self.config.place) / "away").exists():
            raise LauncherError("the toy does not answer")
        waiting = self.read()
        if (Path(self.config.place) / "interrupt").exists():
            (Path(self.config.place) / "interrupt").unlink()
            raise KeyboardInterrupt
        if not (Path(self.config.place) / "hold").exists():
            for name in [n for n in names if n in waiting][:1]:
                run(self, name)
        return {name: "waiting" for name in names if name in waiting}

    def cancel(self, names):
        left = {name: command for name, command in self.read().items() if name not in names}
        self.queue.write_text(json.dumps(left))


def run(toy, name):
    waiting = toy.read()
    command = waiting.pop(name)
    here = os.getcwd()
    os.chdir("/")  # a job begins anywhere
    try:
        node.main(command[3:])
    finally:
        os.chdir(here)
    toy.queue.write_text(json.dumps(waiting))
'''


def install_toy(install: Callable[..., Path], place: Path) -> Path:
    """Install the toy; its folder, where a file ``hold`` keeps it from running jobs."""
    install("toys", {"launchers": {"toy": "toy_launcher:Toy"}}, {"toy_launcher.py": SOURCE})
    place.mkdir(exist_ok=True)
    return place


def queued(place: Path) -> list[str]:
    """The names of the jobs that wait."""
    path = place / "queue.json"
    return [*json.loads(path.read_text())] if path.exists() else []

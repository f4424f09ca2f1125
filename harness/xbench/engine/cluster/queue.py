"""What has become of the jobs of a run: waiting, running, or gone without a word."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from xbench.api.launcher import Launcher, LauncherError
from xbench.catalogue.catalogue import Catalogue
from xbench.engine.cluster.files import DiaryReader, Submitted, submissions
from xbench.errors import XbenchError
from xbench.spec.launchers import make_launcher
from xbench.spec.request import LauncherChoice

State = Literal["waiting", "running", "gone"]


@dataclass(frozen=True)
class QueuedJob:
    """A job that has not said that it ended. ``name`` is the scheduler's."""

    name: str
    about: str
    state: State
    output: Path | None


@dataclass(frozen=True)
class Queue:
    """Those of one submission; ``problem`` says why its scheduler cannot be asked, if so."""

    launcher: str
    jobs: tuple[QueuedJob, ...]
    problem: str = ""

    @property
    def answered(self) -> bool:
        return not self.problem


def queue_of(run: Path, catalogue: Catalogue) -> Iterator[Queue]:
    """The jobs of a run that have not ended, by submission; without those that a later one repeats."""
    found = submissions(run)
    for number, submitted in enumerate(found):
        open_jobs = [name for name in submitted.jobs if not _has_ended(submitted, name)]
        again = {
            key for later in found[number + 1 :] for job in later.jobs.values() for key in job.keys
        }
        open_jobs = [name for name in open_jobs if not again.issuperset(submitted.jobs[name].keys)]
        if open_jobs:
            yield _queue(submitted, open_jobs, catalogue)


def cancel(run: Path, catalogue: Catalogue) -> int:
    """End all jobs of a run that are not over; how many they were."""
    count = 0
    for submitted in submissions(run):
        plugin = plugin_of(submitted, catalogue)
        names = [job.name for job in submitted.jobs.values()]
        living = [*plugin.states(names)]
        if living:
            plugin.cancel(living)
        count += len(living)
    return count


def plugin_of(submitted: Submitted, catalogue: Catalogue) -> Launcher:
    """The launcher that has the jobs of a submission."""
    choice = LauncherChoice(name=submitted.launcher, settings=dict(submitted.config))
    return make_launcher(choice, catalogue)


def _queue(submitted: Submitted, names: list[str], catalogue: Catalogue) -> Queue:
    try:
        plugin = plugin_of(submitted, catalogue)
        states = plugin.states([submitted.jobs[name].name for name in names])
    except (LauncherError, XbenchError) as error:
        return Queue(submitted.launcher, (), f"{len(names)} jobs had not ended; {error}")
    jobs = []
    for name in names:
        job = submitted.jobs[name]
        state: State = states.get(job.name, "gone")
        if state != "gone" or not _has_ended(submitted, name):  # it may have ended in between
            jobs.append(QueuedJob(job.name, job.about, state, submitted.output(name)))
    return Queue(submitted.launcher, tuple(jobs))


def _has_ended(submitted: Submitted, name: str) -> bool:
    diary = DiaryReader(submitted.events(name))
    for _ in diary.news():
        pass
    return diary.ended

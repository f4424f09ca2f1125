"""Submits the jobs of a run to a scheduler, and again what is left when they are over."""

import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from xbench.api.launcher import Job as NodeJob
from xbench.api.launcher import LauncherError, Submission
from xbench.engine.cluster.files import (
    JobFile,
    Submitted,
    SubmittedJob,
    new_submission,
    submissions,
)
from xbench.engine.cluster.following import Chosen, ClusterRun, Following
from xbench.engine.launcher import Observer, WorkerSettings, with_parents
from xbench.engine.todo import Job, Work
from xbench.plan import Plan
from xbench.store import Store
from xbench.store.lease import Busy

BUSY_FOR = 1.0  # seconds between attempts while another driver submits


class ClusterLauncher:
    """Computes the jobs of a plan on other machines. At most ``settings.jobs`` at a time; 0: no limit."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        settings: WorkerSettings,
        observer: Observer,
        chosen: Chosen,
    ) -> None:
        self._run = ClusterRun(plan, store, observer, chosen)
        self._plan, self._store, self._chosen = plan, store, chosen
        self._settings = settings

    def run(self, work: Work, folder: Path) -> set[str]:
        """Submit what no job of the run computes yet, and wait; the keys that failed or were blocked."""
        lost: set[str] = set()
        left, before = work, len(work.todo) + 1
        while left.jobs and len(left.todo) < before:
            before = len(left.todo)
            followed = self.submit(left, folder)
            with self._cancelled_with_us(followed):
                following = Following(self._run, followed, left.todo, lost)
                left = _without(left, left.todo - following.until_over())
        for key in left.todo:
            following.settle(key, "blocked", {})
        return lost

    @contextmanager
    def _cancelled_with_us(self, followed: list[Submitted]) -> Iterator[None]:
        """Jobs that do not outlive this process do not outlive an error or Ctrl-C either."""
        try:
            yield
        except BaseException:
            if not self._chosen.plugin.outlives:
                names = [job.name for each in followed for job in each.jobs.values()]
                self._chosen.plugin.cancel(names)
            raise

    def submit(self, work: Work, folder: Path) -> list[Submitted]:
        """Submit what no living job of the run computes; gives all submissions with living jobs."""
        while True:
            try:
                with self._store.lease(f"submit-{folder.name}"):  # two drivers may come at once
                    return self._submit(work, folder)
            except Busy:
                time.sleep(BUSY_FOR)

    def write(self, work: Work, folder: Path) -> tuple[Path, list[str]]:
        """Write what would be submitted (its folder), and the commands that would do so."""
        place = new_submission(folder)
        submission = self.submission(work, place, self._living(folder))
        self._write_jobs(work, submission)
        return place, [*self._chosen.plugin.write(submission)]

    def preview(self, work: Work, folder: Path) -> list[str]:
        """What would be submitted, in lines."""
        return [*self._chosen.plugin.preview(self.submission(work, folder, []))]

    def _submit(self, work: Work, folder: Path) -> list[Submitted]:
        living = self._living(folder)
        covered = {key for each in living for job in each.jobs.values() for key in job.keys}
        rest = _without(work, covered)
        if not rest.jobs:
            return living
        place = new_submission(folder)
        submission = self.submission(rest, place, living)
        self._write_jobs(rest, submission)
        keys = {
            job.name: tuple(b.stages) for job, b in zip(submission.jobs, rest.jobs, strict=True)
        }
        about = {job.name: job.about for job in submission.jobs}
        submitted = Submitted(place, self._chosen.name, self._chosen.config, {})
        try:
            for names in self._chosen.plugin.submit(submission):
                new = {n: SubmittedJob(name, about[n], keys[n]) for n, name in names.items()}
                submitted = replace(submitted, jobs={**submitted.jobs, **new})
                submitted.write()  # at once: a driver that is killed now leaves no job unknown
        except BaseException:
            with suppress(LauncherError):  # what went wrong first is what is to be said
                self._chosen.plugin.cancel([job.name for job in submitted.jobs.values()])
            shutil.rmtree(place, ignore_errors=True)
            raise
        return [*living, submitted]

    def _living(self, folder: Path) -> list[Submitted]:
        """Earlier submissions through this launcher, with those of their jobs that are not over."""
        if not self._chosen.plugin.outlives:
            return []
        found = [each for each in submissions(folder) if each.launcher == self._chosen.name]
        names = [job.name for each in found for job in each.jobs.values()]
        states = self._chosen.plugin.states(names) if names else {}
        living = [
            replace(each, jobs={n: job for n, job in each.jobs.items() if job.name in states})
            for each in found
        ]
        return [each for each in living if each.jobs]

    def submission(self, work: Work, place: Path, living: list[Submitted]) -> Submission:
        """The jobs as processes, with whom they wait for."""
        prefix = f"{place.name}-" if place.name.isdigit() else ""
        names = [f"{prefix}{number:04d}" for number in range(len(work.jobs))]
        earlier = {n: job for each in living for n, job in each.jobs.items()}
        home = {key: name for name, job in earlier.items() for key in job.keys}
        home |= {key: n for n, job in zip(names, work.jobs, strict=True) for key in job.stages}
        found: dict[str, NodeJob] = {}
        for name, job in _parents_first(names, work.jobs, home):
            after = sorted({home[key] for key in job.after if key in home} - {name})
            wave = 1 + max((found[each].wave for each in after if each in found), default=-1)
            command = (
                sys.executable,
                "-m",
                "xbench.engine.cluster.node",
                str(place.resolve()),
                name,
            )
            found[name] = NodeJob(name, command, after, wave, self._about(job))
        living_names = {name: job.name for name, job in earlier.items()}
        jobs = [found[name] for name in names]
        return Submission(jobs, place.resolve(), self._settings.jobs, living_names)

    def _write_jobs(self, work: Work, submission: Submission) -> None:
        order = {key: number for number, key in enumerate(self._plan.stages)}
        for job, bundle in zip(submission.jobs, work.jobs, strict=True):
            keys = {each for key in bundle.stages for each in with_parents(key, self._plan)}
            stages = {key: self._plan.stages[key] for key in sorted(keys, key=order.__getitem__)}
            content = JobFile.of(self._store, bundle.stages, stages, self._settings)
            content.write(submission.folder / "jobs" / f"{job.name}.json")

    def _about(self, job: Job) -> str:
        """``align hictl S1W0M1 qaa-qac, and 3 more stages``."""
        first = self._plan.stages[job.stages[0]]
        more = len(job.stages) - 1
        return f"{first.kind} {first.label}" + (f", and {more} more stages" if more else "")


def _without(work: Work, covered: set[str]) -> Work:
    """The part of the work that is not computed already, in the same jobs."""
    jobs = []
    for job in work.jobs:
        keys = [key for key in job.stages if key not in covered]
        # What the job itself would have computed and another one does now is waited for.
        taken = {key for key in job.stages if key in covered}
        if keys:
            jobs.append(Job(keys, job.after | taken))
    return Work(work.todo - covered, jobs)


def _parents_first(
    names: list[str], jobs: list[Job], home: Mapping[str, str]
) -> list[tuple[str, Job]]:
    """The jobs in an order in which those that others wait for come before them."""
    by_name = dict(zip(names, jobs, strict=True))
    ordered: dict[str, Job] = {}

    def add(name: str) -> None:
        if name in ordered or name not in by_name:
            return
        for key in by_name[name].after:
            if key in home and home[key] != name:
                add(home[key])
        ordered[name] = by_name[name]

    for name in names:
        add(name)
    return [*ordered.items()]

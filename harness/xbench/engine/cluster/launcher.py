"""Submits the jobs of a run to a scheduler, follows them, and settles what becomes of each stage."""

import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xbench.api.launcher import Job as NodeJob
from xbench.api.launcher import Launcher, LauncherError, Submission
from xbench.engine.cluster.files import (
    DiaryReader,
    JobFile,
    Submitted,
    SubmittedJob,
    new_submission,
    submissions,
)
from xbench.engine.hooks import warn
from xbench.engine.launcher import Observer, WorkerSettings, with_parents
from xbench.engine.todo import Job, Work
from xbench.plan import Plan
from xbench.store import Store
from xbench.store.lease import Busy, is_dead

LOOK_EVERY = 1.0  # seconds between looks at what jobs have said
FILES_A_SECOND = 500  # of these looks, so that a network file system has other things to do
ASK_EVERY = 10.0  # seconds between questions to the scheduler
SURELY_GONE = 2  # answers in a row in which a job is missing: it may have been on its way
SAY_AGAIN = 30  # unanswered questions between warnings
LAST_WORDS = 2000  # characters of a job's output that a failure keeps


@dataclass(frozen=True)
class Chosen:
    """A launcher, its name, and its settings as the spec has them."""

    name: str
    config: Mapping[str, Any]
    plugin: Launcher


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
        self._plan = plan
        self._store = store
        self._settings = settings
        self._observer = observer
        self._chosen = chosen

    def run(self, work: Work, folder: Path) -> set[str]:
        """Submit what no job of the run computes yet, and wait; the keys that failed or were blocked."""
        lost: set[str] = set()
        left, before = work, len(work.todo) + 1
        while left.jobs and len(left.todo) < before:
            before = len(left.todo)
            followed = self.submit(left, folder)
            with self._cancelled_with_us(followed):
                following = _Following(self, followed, left.todo, lost)
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
                time.sleep(LOOK_EVERY)

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


class _Following:
    """Waits for jobs: reads what they say, asks the scheduler who is left, and settles each stage."""

    def __init__(
        self,
        launcher: ClusterLauncher,
        followed: list[Submitted],
        todo: set[str],
        lost: set[str],
    ) -> None:
        self._plan = launcher._plan
        self._store = launcher._store
        self._observer = launcher._observer
        self._plugin = launcher._chosen.plugin
        self._title = launcher._chosen.name
        self._pending = set(todo)
        self._lost = lost
        self._blocked: set[str] = set()
        self._jobs = {
            name: (each, DiaryReader(each.events(name))) for each in followed for name in each.jobs
        }
        self._missing: dict[str, int] = {}
        self._unanswered = 0
        self._asked = time.monotonic()

    def until_over(self) -> set[str]:
        """Follow all jobs to their ends; the keys that are to be submitted again.

        Those are of jobs that met with a cancelled one's gap, which a later submission has filled.
        """
        while self._jobs:
            self._listen()
            self._ask()
            if self._jobs:
                time.sleep(max(LOOK_EVERY, len(self._jobs) / FILES_A_SECOND))
        for key in [key for key in self._plan.stages if key in self._pending]:
            parents = self._plan.stages[key].parents
            if not self._lost.isdisjoint(parents):
                self.settle(key, "blocked", {})
            elif key in self._blocked or not self._blocked.isdisjoint(parents):
                self._blocked.add(key)
            else:
                self._settle_by_store(key, "no job computes it")
        return self._blocked & self._pending

    def _listen(self) -> None:
        for name, (submitted, diary) in list(self._jobs.items()):
            error = ""
            for event in diary.news():
                error = str(event.get("error", "")) if event["event"] == "ended" else error
                self._hear(event)
            if diary.ended:
                self._over(name, submitted, error or "it ended without a word about it")

    def _ask(self) -> None:
        """Find out who is gone without a word: cancelled, out of time or memory, a node that failed."""
        if time.monotonic() - self._asked < ASK_EVERY:
            return
        self._asked = time.monotonic()
        names = {job: each.jobs[job].name for job, (each, _) in self._jobs.items()}
        try:
            states = self._plugin.states([*names.values()])
        except (LauncherError, OSError) as error:
            self._complain(error)
            return
        self._unanswered = 0
        for job, name in names.items():
            self._missing[job] = 0 if name in states else self._missing.get(job, 0) + 1
            if self._missing[job] >= SURELY_GONE:
                self._listen()
                if job in self._jobs and not self._is_at_work(job):
                    self._over(job, self._jobs[job][0], self._gone(job, name))

    def _complain(self, error: Exception) -> None:
        """A scheduler does not answer. Jobs that outlive us say themselves how they are; others do not."""
        self._unanswered += 1
        if not self._plugin.outlives and self._unanswered > 1:
            raise LauncherError(str(error)) from error
        if self._unanswered % SAY_AGAIN == 1:
            warn(f"{self._title} does not answer, and the run goes on waiting: {error}")

    def _is_at_work(self, job: str) -> bool:
        """Whether somebody computes a stage of a job, whatever the scheduler says."""
        keys = self._jobs[job][0].jobs[job].keys
        paths = [self._store.lease(key).path for key in keys if key in self._pending]
        return any(path.exists() and not is_dead(path) for path in paths)

    def _gone(self, job: str, name: str) -> str:
        output = self._jobs[job][0].output(job)
        where = f" Its output: {output}" if output else " It never began."
        return (
            f"the job {name} ({self._title}) is over and left no result: it was cancelled, ran out of "
            f"its time or memory, or its machine failed.{where}"
        )

    def _hear(self, event: dict[str, Any]) -> None:
        name, key = event.pop("event"), event.pop("key", None)
        event.pop("at", None)
        if key not in self._plan.stages:  # of the job itself, or of a run that wanted more
            return
        if name == "blocked":
            self._blocked.add(key)  # whether for good is seen when all jobs are over
        elif name in ("done", "failed"):
            if key in self._pending:
                self.settle(key, name, event)
        else:
            self._observer.event(name, self._plan.stages[key], event)

    def _over(self, job: str, submitted: Submitted, why: str) -> None:
        del self._jobs[job]
        for key in submitted.jobs[job].keys:
            if key in self._pending and key not in self._blocked:
                self._settle_by_store(key, why, submitted.output(job))

    def _settle_by_store(self, key: str, why: str, output: Path | None = None) -> None:
        """Nobody has said what became of a stage: what the store has counts."""
        stage = self._plan.stages[key]
        if self._store.state(stage.kind, key) == "done":
            self.settle(key, "done", {})
        elif not self._lost.isdisjoint(stage.parents):
            self.settle(key, "blocked", {})
        else:
            words = output.read_text("utf-8", "replace")[-LAST_WORDS:] if output else ""
            error = f"Not computed: {why}"
            failure = {"error": error, "traceback": words, "cause": "job"}
            with suppress(OSError):  # a full disk has no room for the record either
                self._store.write_failure(stage.kind, key, stage.spec, failure)
            self.settle(key, "failed", failure)

    def settle(self, key: str, event: str, details: Mapping[str, Any]) -> None:
        """A stage is done, has failed, or is blocked; the observer is told."""
        self._pending.discard(key)
        if event != "done":
            self._lost.add(key)
        self._observer.event(event, self._plan.stages[key], details)


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

"""Follows the jobs of a run on other machines, and settles what becomes of each stage."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xbench.api.launcher import Launcher, LauncherError
from xbench.engine.cluster.files import DiaryReader, Submitted
from xbench.engine.hooks import warn
from xbench.engine.launcher import Observer
from xbench.plan import Plan
from xbench.store import Store
from xbench.store.lease import is_dead

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


@dataclass(frozen=True)
class ClusterRun:
    """A run whose jobs are computed elsewhere: its plan and store, who hears of it, and by whom."""

    plan: Plan
    store: Store
    observer: Observer
    chosen: Chosen


class Following:
    """Waits for jobs: reads what they say, asks the scheduler who is left, and settles each stage.

    ``todo`` are the keys that are waited for; those that fail or are blocked are added to ``lost``.
    """

    def __init__(
        self, run: ClusterRun, followed: list[Submitted], todo: set[str], lost: set[str]
    ) -> None:
        self._plan, self._store, self._observer = run.plan, run.store, run.observer
        self._plugin, self._title = run.chosen.plugin, run.chosen.name
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

"""The local launcher: worker processes on this machine, fed with jobs as their parents finish."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from xbench.engine.todo import Job, Work
from xbench.errors import XbenchError
from xbench.plan import Stage
from xbench.spec.device import VISIBLE, visible_gpus
from xbench.store import Store

STACK = 16  # fine-tunings in one program on a GPU: with more of them none is quicker
TERMINATE_AFTER = 5.0  # seconds that a worker gets to end by itself
LEAVE_WITHIN = (
    60.0  # seconds that a worker gets to save its training state when it is told to leave
)


class Staged(Protocol):
    """What has stages by key, parents before children: a plan, or a part of one."""

    @property
    def stages(self) -> Mapping[str, Stage]: ...


class Observer(Protocol):
    """Hears of every event of a run: ``started progress done failed blocked``."""

    def event(self, event: str, stage: Stage, details: Mapping[str, Any]) -> None: ...

    def retry(self, stage: Stage, failure: Mapping[str, Any], attempt: int) -> bool:
        """Whether a stage that failed for the ``attempt``-th time is to be tried again."""
        ...


@dataclass(frozen=True)
class WorkerSettings:
    """How workers compute. ``threads`` is part of what makes CPU results repeatable.

    At most ``stack`` full fine-tunings are trained as one program; 0: each by itself. ``gpus`` are
    those that workers are spread over, by the names that CUDA knows them by; none: all of the
    process' devices are for each. One alignment is shared by ``ranks`` processes.
    """

    jobs: int = 1
    threads: int = 1
    state_interval: float = 60.0
    deterministic: bool = False
    keep: bool = False
    stack: int = 0
    gpus: tuple[str, ...] = ()
    ranks: int = 1


def default_settings(device: str, jobs: int | None) -> WorkerSettings:
    """One worker per core with one thread each on a CPU; one worker on each GPU.

    The number of threads does not depend on the machine, so neither do results on the CPU. ``cuda``
    means all GPUs of this machine, ``cuda:1`` that one.
    """
    if device == "cpu":  # where a stack is no faster: products of small matrices fill a core
        return WorkerSettings(jobs=jobs or _cores(), threads=1)
    gpus = visible_gpus() if device == "cuda" else ()
    workers = jobs or len(gpus) or 1
    threads = max(1, _cores() // workers)
    return WorkerSettings(jobs=workers, threads=threads, stack=STACK, gpus=gpus)


def _cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux alone tells what a scheduler has given us
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


Events: TypeAlias = "queue.SimpleQueue[tuple[_Worker | None, dict[str, Any] | None]]"


class LocalLauncher:
    """Runs the jobs of a plan in worker processes; a worker that dies costs its stage, no more."""

    def __init__(
        self, plan: Staged, store: Store, settings: WorkerSettings, observer: Observer
    ) -> None:
        self._plan = plan
        self._store = store
        self._settings = settings
        self._observer = observer
        # Of its kind the one whose put() may be called by a signal handler. No worker: leave().
        self._events: Events = queue.SimpleQueue()
        self._leaving = False
        self._lost: set[str] = set()
        self._pending: set[str] = set()
        self._attempts: Counter[str] = Counter()
        self._again: set[str] = set()  # failed, to be tried again, with what waits for them
        self._lanes = 1  # what each worker has of the processors

    def run(self, work: Work, logs: Path, lost: Set[str] = frozenset()) -> set[str]:
        """Compute all jobs; returns the keys that failed or were blocked. Ctrl-C stops at once.

        What workers print goes to ``worker-N.log`` in the folder ``logs``. ``lost`` are keys that
        are known to have failed: what needs them is blocked.
        """
        self._lost = set(lost)
        waiting = list(work.jobs)
        self._pending = {key for job in waiting for key in job.stages}
        workers: list[_Worker] = []
        try:
            self._lanes = max(1, _cores() // max(1, min(self._settings.jobs, len(waiting))))
            for number in range(min(self._settings.jobs, len(waiting))):
                workers.append(self._start(logs / f"worker-{number}.log", self._gpu(number)))
            # After its last stage a worker still frees weights: it is done when it says so.
            while workers and (self._pending or any(worker.job for worker in workers)):
                worker, event = self._events.get()
                if worker is None or self._leaving:
                    self._leave(worker, event, workers)
                    continue
                if event is None:
                    workers.remove(worker)
                    waiting += self._bury(worker)
                    if self._pending:
                        workers.append(self._start(worker.log, worker.gpu))
                elif event["event"] == "leaving":
                    worker.leaving = True
                elif event["event"] == "idle":
                    waiting[:0] = self._retried(worker.job)
                    worker.ready, worker.idle, worker.job = True, True, None
                else:
                    self._hear(event)
                self._feed(workers, waiting)
        finally:
            for worker in workers:
                worker.stop()
        return self._lost

    def leave(self) -> None:
        """Have the workers save the training states that they are at, and end; then :meth:`run` ends.

        May be called by a signal handler.
        """
        self._events.put((None, None))

    @property
    def has_left(self) -> bool:
        """Whether :meth:`run` ended because it was told to, with work left."""
        return self._leaving and bool(self._pending)

    def _leave(
        self, worker: "_Worker | None", event: dict[str, Any] | None, workers: "list[_Worker]"
    ) -> None:
        """Pass on the word to leave, and see the workers off."""
        if worker is None and not self._leaving:
            self._leaving = True
            for each in workers:
                each.process.send_signal(signal.SIGUSR1)
            late = threading.Timer(LEAVE_WITHIN, _kill, [workers])
            late.daemon = True
            late.start()
        elif worker is not None and event is None:
            workers.remove(worker)
        elif worker is not None and event is not None and event["event"] == "idle":
            worker.stop()
        elif event is not None and "key" in event:
            self._hear(event)

    def _gpu(self, number: int) -> str | None:
        """The GPU of a worker, or several that it shares alignments over; None: what we see."""
        gpus, ranks = self._settings.gpus, self._settings.ranks
        if not gpus:
            return None
        first = number * ranks
        return ",".join(gpus[(first + n) % len(gpus)] for n in range(min(ranks, len(gpus))))

    def _start(self, log: Path, gpu: str | None) -> "_Worker":
        settings = {
            "store": self._store.address,
            "threads": self._settings.threads,
            "lanes": self._lanes,
            "state_interval": self._settings.state_interval,
            "deterministic": self._settings.deterministic,
            "keep": self._settings.keep,
            "stack": self._settings.stack,
            "ranks": self._settings.ranks,
        }
        return _Worker(settings, log, gpu, self._events)

    def _feed(self, workers: "list[_Worker]", waiting: list[Job]) -> None:
        for worker in workers:
            if not worker.idle:
                continue
            job = self._next(waiting)
            if job is None:
                return
            worker.give(job, self._plan)

    def _next(self, waiting: list[Job]) -> Job | None:
        for job in list(waiting):
            left = job
            if job.after & self._lost:  # those of other encoders go on without it
                place = waiting.index(job)
                waiting[place : place + 1] = rest = self._without_lost(job.stages, job.after)
                if not rest:
                    continue
                left = rest[0]
            if not left.after & self._pending:
                waiting.remove(left)
                return left
        return None

    def _hear(self, event: dict[str, Any]) -> None:
        name, key = event.pop("event"), event.pop("key")
        if self._is_for_another_time(name, key, event):
            return
        if name in ("done", "failed", "blocked"):
            self._settle(key, name, event)
        else:
            self._observer.event(name, self._plan.stages[key], event)

    def _is_for_another_time(self, name: str, key: str, details: Mapping[str, Any]) -> bool:
        """Whether a failure is to be tried again, or a stage waits for one that is."""
        stage = self._plan.stages[key]
        if name == "failed":
            self._attempts[key] += 1
            wanted = self._observer.retry(stage, details, self._attempts[key])
        else:
            wanted = name == "blocked" and not self._again.isdisjoint(stage.parents)
        if wanted:
            self._again.add(key)
        return wanted

    def _retried(self, job: Job | None) -> list[Job]:
        """A job of what is to be tried again of one that is done with."""
        keys = [key for key in job.stages if key in self._again] if job else []
        self._again.difference_update(keys)
        return [Job(keys)] if keys else []

    def _settle(self, key: str, event: str, details: Mapping[str, Any]) -> None:
        self._pending.discard(key)
        if event != "done":
            self._lost.add(key)
        self._observer.event(event, self._plan.stages[key], details)

    def _bury(self, worker: "_Worker") -> list[Job]:
        """A worker died: the stage that it was at failed. Returns what is left of its job."""
        code = worker.process.wait()
        left = [key for key in worker.job.stages if key in self._pending] if worker.job else []
        again = self._again.intersection(left)
        self._again -= again
        if worker.leaving:  # it has said itself which stage failed
            return self._without_lost(left)
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        error = f"The worker process died ({cause})."
        if code == -signal.SIGKILL:
            error += " Something killed it: the system does so when memory runs out."
        if not worker.ready:
            raise XbenchError(f"{error} It could not start: {worker.log}\n{worker.last_words()}")
        if not left:
            return []
        at = next((key for key in left if key not in again), left[0])  # they come in their order
        self._fail(at, error, worker.last_words())
        self._again.discard(at)
        return self._without_lost([key for key in left if key in self._pending])

    def _fail(self, key: str, error: str, log: str) -> None:
        stage = self._plan.stages[key]
        failure = {"error": error, "traceback": log, "cause": "killed"}
        if self._is_for_another_time("failed", key, failure):
            return
        with suppress(OSError):  # a full disk has no room for the record either
            self._store.write_failure(stage.kind, key, stage.spec, failure)
        self._settle(key, "failed", failure)

    def _without_lost(self, keys: list[str], after: Set[str] = frozenset()) -> list[Job]:
        """A job of the stages that can still be computed; the others are blocked."""
        job = Job([], after - self._lost)
        for key in keys:
            if self._lost.isdisjoint(self._plan.stages[key].parents):
                job.stages.append(key)
            else:
                self._settle(key, "blocked", {})
        return [job] if job.stages else []


class _Worker:
    """One worker process and the thread that listens to it."""

    def __init__(
        self, settings: Mapping[str, Any], log: Path, gpu: str | None, events: "Events"
    ) -> None:
        self.log = log
        self.gpu = gpu
        self.ready = False  # it has started, and has asked for its first job
        self.idle = False
        self.leaving = False  # its device is lost: it ends, and what is left is for another
        self.job: Job | None = None
        threads = str(settings["threads"])
        environment = os.environ | {
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            # Idle threads that spin starve the neighbours on a shared machine.
            "OMP_WAIT_POLICY": "PASSIVE",
            "TOKENIZERS_PARALLELISM": "false",
        }
        if gpu is not None:  # before torch starts: whatever it touches later is on that one
            environment[VISIBLE] = gpu
        with log.open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "xbench.engine.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                env=environment,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C is the driver's to handle
            )
        self._send(settings)
        threading.Thread(target=self._listen, args=(events,), daemon=True).start()

    def give(self, job: Job, plan: Staged) -> None:
        """Hand over a job with all stages that it touches or reads."""
        self.idle, self.job = False, job
        stages = {}
        for key in job.stages:
            for related in with_parents(key, plan):
                stages[related] = plan.stages[related].to_json()
        self._send({"keys": job.stages, "stages": stages})

    def stop(self) -> None:
        """End the process; what it was computing stays unwritten."""
        self.process.terminate()
        try:
            self.process.wait(TERMINATE_AFTER)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def last_words(self) -> str:
        """The end of what the process wrote to stderr."""
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        except OSError:
            return ""

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it died; the listener says so

    def _listen(self, events: "Events") -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            # Something may print before the worker has put its stdout away.
            with suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and "event" in event:
                    events.put((self, event))
        events.put((self, None))


def _kill(workers: "list[_Worker]") -> None:
    for worker in list(workers):
        worker.process.kill()


def with_parents(key: str, plan: Staged) -> list[str]:
    """The key of a stage, and of all that it depends on."""
    found = [key]
    for parent in plan.stages[key].parents:
        found += with_parents(parent, plan)
    return found

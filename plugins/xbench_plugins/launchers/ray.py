"""Ray: the jobs of a run as tasks of a cluster that is there, or that grows with them."""

import logging
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from xbench.api import Job, Launcher, LauncherError, Submission
from xbench.api.launcher import INTERRUPTED, JobState

LOOK_EVERY = 0.5  # seconds between looks at which tasks have ended
CONNECT_WITHIN = 10.0  # seconds


class Ray(Launcher):
    """Runs each job as a Ray task, as soon as the jobs that it waits for have ended.

    A task whose machine is lost runs again on another one. Tasks belong to the process that submitted
    them and end with it; the same command goes on from the store. Needs ``pip install 'xbench[ray]'``,
    and on each machine of the cluster the store's folder and this installation at the same places.
    """

    variants: ClassVar[Mapping[str, Any]] = {}
    sources: ClassVar[Mapping[str, str]] = {}
    outlives: ClassVar[bool] = False

    @dataclass(frozen=True)
    class Config:
        """``address`` is the cluster's: ``auto`` finds the one of this machine, ``local`` starts one.

        ``cpus``, ``gpus``, ``memory`` (bytes) and ``resources`` (by name) are what a job gets;
        ``gpus: 0.25`` puts four jobs on one GPU. ``retries`` is how often a job begins again whose
        machine was lost.
        """

        address: str = "auto"
        cpus: float = 1.0
        gpus: float = 0.0
        memory: int = 0
        resources: Mapping[str, float] = field(default_factory=dict)
        retries: int = 3

        def __post_init__(self) -> None:
            for name in ("cpus", "gpus", "memory", "retries"):
                if getattr(self, name) < 0:
                    raise ValueError(f"{name} is at least 0")

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self._dispatchers: list[_Dispatcher] = []

    @property
    def device(self) -> str:
        """A GPU, or a part of one, where the settings ask for it."""
        return "cuda" if self.config.gpus else "cpu"

    def preview(self, submission: Submission) -> list[str]:
        """How many tasks, and what each gets."""
        asked = ", ".join(f"{name} {value}" for name, value in self._options().items())
        waves = 1 + max((job.wave for job in submission.jobs), default=-1)
        return [
            f"ray: {len(submission.jobs)} tasks, of which the longest chain is {waves} long; each with "
            f"{asked} on the cluster at {self.config.address!r}"
        ]

    def submit(self, submission: Submission) -> list[dict[str, str]]:
        """Connect, and begin with what waits for nothing."""
        ray = _connected(self.config.address)
        dispatcher = _Dispatcher(ray, submission, self._options())
        self._dispatchers.append(dispatcher)
        dispatcher.start()
        return [{job.name: job.name for job in submission.jobs}]

    def states(self, names: Sequence[str]) -> dict[str, JobState]:
        """As this process has seen them: no other one has its tasks."""
        wanted = set(names)
        return {
            name: state
            for dispatcher in self._dispatchers
            for name, state in dispatcher.states().items()
            if name in wanted
        }

    def cancel(self, names: Sequence[str]) -> None:
        """End tasks, and start no others."""
        for dispatcher in self._dispatchers:
            dispatcher.cancel(set(names))

    def _options(self) -> dict[str, Any]:
        config = self.config
        options: dict[str, Any] = {
            "num_cpus": config.cpus,
            "num_gpus": config.gpus,
            "max_retries": config.retries,
        }
        if config.memory:
            options["memory"] = config.memory
        if config.resources:
            options["resources"] = dict(config.resources)
        return options


class _Dispatcher(threading.Thread):
    """Starts tasks when those that they wait for have ended, whether or not these succeeded.

    Ray itself would not start a task whose argument was lost.
    """

    def __init__(self, ray: Any, submission: Submission, options: Mapping[str, Any]) -> None:
        super().__init__(daemon=True)
        self._ray = ray
        self._folder = submission.folder
        self._at_once = submission.at_once or len(submission.jobs)
        self._task = ray.remote(_run).options(**options)
        self._lock = threading.Lock()
        self._waiting: dict[str, Job] = {job.name: job for job in submission.jobs}
        self._running: dict[Any, Job] = {}
        self._problem = ""

    def run(self) -> None:
        """Until all tasks have ended."""
        try:
            while self._waiting or self._running:
                self._start_ready()
                refs = [*self._running]
                ended, _ = self._ray.wait(refs, num_returns=1, timeout=LOOK_EVERY)
                for ref in ended:
                    self._over(ref)
        except Exception as error:
            self._problem = f"ray: {type(error).__name__}: {error}"

    def states(self) -> dict[str, JobState]:
        """Of the tasks that have not ended. Raises :class:`LauncherError` where the cluster is lost."""
        if self._problem:
            raise LauncherError(self._problem)
        with self._lock:
            waiting: dict[str, JobState] = dict.fromkeys(self._waiting, "waiting")
            return waiting | {job.name: "running" for job in self._running.values()}

    def cancel(self, names: set[str]) -> None:
        with self._lock:
            for name in names & set(self._waiting):
                del self._waiting[name]
            refs = [ref for ref, job in self._running.items() if job.name in names]
        for ref in refs:
            self._ray.cancel(ref, force=True)

    def _start_ready(self) -> None:
        with self._lock:
            busy = {*self._waiting, *(job.name for job in self._running.values())}
            for job in list(self._waiting.values()):
                if len(self._running) < self._at_once and busy.isdisjoint(job.after):
                    del self._waiting[job.name]
                    output = str(self._folder / f"ray-{job.name}.log")
                    self._running[self._task.remote([*job.command], output)] = job

    def _over(self, ref: Any) -> None:
        try:
            code = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:  # killed, cancelled, or out of retries
            code = None
            with (self._folder / f"ray-{self._running[ref].name}.log").open("a") as log:
                log.write(f"Ray: {type(error).__name__}: {error}\n")
        with self._lock:
            job = self._running.pop(ref)
            if code == INTERRUPTED:
                self._waiting[job.name] = job


def _run(command: list[str], output: str) -> int:
    """In a worker of Ray's: the job's process, which ends with the worker; its exit code."""
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    with open(output, "ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        return process.wait()


def _connected(address: str) -> Any:
    """Ray, connected to the cluster. Raises :class:`LauncherError` saying what to do."""
    try:
        import ray
    except ImportError as error:
        raise LauncherError(
            f"Ray is not installed: pip install 'xbench[ray]', here and on the cluster ({error})"
        ) from error
    if ray.is_initialized():
        return ray
    try:
        _reach(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise LauncherError(
            f"no Ray cluster at {address!r}: {str(error).splitlines()[0]}. Start one with "
            f"`ray start --head`, name another one (-O launcher.address=HOST:PORT), or have one "
            f"started on this machine for the run (-O launcher.address=local)."
        ) from error
    return ray


def _reach(address: str) -> None:
    """Raises ``OSError`` where nothing listens: Ray itself would go on trying for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_WITHIN).close()

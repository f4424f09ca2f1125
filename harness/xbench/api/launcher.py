"""A launcher: gets the jobs of a run computed on other machines, by a scheduler that is there already."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

JobState = Literal["waiting", "running"]


@dataclass(frozen=True)
class Job:
    """One process to be started on some machine: it computes stages of a run, one after the other.

    ``command`` is its command line; it needs the store's folder and this installation, at the same
    places as here. ``after`` are the names of jobs that must have ended before it begins, whether
    they succeeded or not: a job finds out by itself what it can compute. ``wave`` is 1 more than the
    highest of those, from 0 on. ``about`` says for a person what it computes.

    Where its standard input is a pipe, the process ends when that is closed. It exits with
    :data:`INTERRUPTED` where it was told to leave (by SIGUSR1) and has saved what it was at: it is to
    be started again. Any other code means that it has ended.
    """

    name: str
    command: Sequence[str]
    after: Sequence[str]
    wave: int
    about: str


INTERRUPTED = 75  # EX_TEMPFAIL of sysexits.h: try again


class LauncherError(Exception):
    """The scheduler cannot do what it was asked for; the user is shown the message."""


@dataclass(frozen=True)
class Submission:
    """Jobs that are submitted together, parents before children.

    ``folder`` is one of its own in the store, for scripts and for what the jobs print: a file whose
    name holds the scheduler's name of the job. At most ``at_once`` jobs run at a time; 0: as many as
    the scheduler likes. ``living`` are jobs of earlier submissions, which may stand in ``after``:
    their names -> the scheduler's names.
    """

    jobs: Sequence[Job]
    folder: Path
    at_once: int = 0
    living: Mapping[str, str] = field(default_factory=dict)


class Launcher:
    """What a scheduler is asked for. ``Config`` are its settings, those of ``launcher:`` in a spec.

    ``outlives`` says whether jobs go on when the process that submitted them has ended. Any method
    may raise :class:`LauncherError`.
    """

    version: ClassVar[int] = 1
    variants: ClassVar[Mapping[str, Any]] = {}
    outlives: ClassVar[bool] = True

    @dataclass(frozen=True)
    class Config:
        """No settings."""

    def __init__(self, config: Any = None) -> None:
        self.config: Any = config if config is not None else self.Config()

    @property
    def device(self) -> str:
        """``cuda`` where its jobs have a GPU, else ``cpu``: what ``--device auto`` means with it."""
        return "cpu"

    def preview(self, submission: Submission) -> Sequence[str]:
        """What would be submitted, a line each, for a person; nothing is written."""
        raise NotImplementedError

    def write(self, submission: Submission) -> Sequence[str]:
        """Write the scripts and submit nothing; the commands that would, a line each."""
        return self.preview(submission)

    def submit(self, submission: Submission) -> Iterable[Mapping[str, str]]:
        """Submit the jobs; gives the scheduler's names by the jobs', some at a time, as they are known.

        Where it raises, what it has named before is cancelled.
        """
        raise NotImplementedError

    def states(self, names: Sequence[str]) -> Mapping[str, JobState]:
        """Of jobs, by the scheduler's names, those that are not over yet, as far as is known here."""
        raise NotImplementedError

    def cancel(self, names: Sequence[str]) -> None:
        """End jobs, by the scheduler's names. Those that are over already are no error."""
        raise NotImplementedError

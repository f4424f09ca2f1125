"""Slurm: the jobs of a run as arrays of ``sbatch``, each waiting for those of the wave before."""

import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from xbench.api import Job, Launcher, LauncherError, Submission
from xbench.api.launcher import INTERRUPTED, JobState

ARRAY_SIZE = 1000  # elements of an array where the cluster does not say; Slurm's own limit is 1001
NAMES_AT_ONCE = 500  # of jobs in one command line
WITHIN = 120  # seconds that a command of Slurm's gets
# What a setting that becomes a line of #SBATCH may hold: names, sizes, times, lists of features.
PLAIN = re.compile(r"[\w.:,+\-/@=\[\]*&|()%]+", re.ASCII)

BODY = """\
"$@" & process=$!
# A signal ends bash's wait, not the process; what it ended with is remembered.
trap 'kill -USR1 "$process" 2>/dev/null' USR1
trap 'kill -TERM "$process" 2>/dev/null' TERM
while kill -0 "$process" 2>/dev/null; do wait "$process"; done
wait "$process"
code=$?
if [ "$code" = {interrupted} ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {requeues} ]; then
  # An element has the id of its whole array in SLURM_JOB_ID, if it is the last one.
  scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID" && sleep 60
fi
exit "$code"
"""


class Slurm(Launcher):
    """Submits jobs to Slurm with ``sbatch``: an array for each wave of jobs that wait for one another.

    Nothing but Slurm's own commands is needed where a run is submitted. A wave begins when all jobs
    of the one before have ended, failed ones too (``afterany``): each job finds out by itself what it
    can compute. Before the time limit a job is told (``--signal``), saves its training state and is
    put into the queue again.
    """

    variants: ClassVar[Mapping[str, Any]] = {}
    sources: ClassVar[Mapping[str, str]] = {}

    @dataclass(frozen=True)
    class Config:
        """Options of ``sbatch`` for each job; what is empty or 0 is left to the cluster.

        ``gpus`` is 1 for a GPU; ``gpu_type`` one of the cluster's names. ``time`` as Slurm writes it,
        ``memory`` as ``16G``. ``options`` are further ones, as ``--constraint=a100``; ``setup`` are
        lines of a shell before the job, as ``module load cuda``. ``warning`` is how many seconds
        before its time limit a job saves its state, and ``requeues`` how often it may go on after.
        """

        partition: str = ""
        account: str = ""
        qos: str = ""
        time: str = ""
        memory: str = ""
        cpus: int = 1
        gpus: int = 0
        gpu_type: str = ""
        options: tuple[str, ...] = ()
        setup: tuple[str, ...] = ()
        warning: int = 120
        requeues: int = 50

        def __post_init__(self) -> None:
            for name in ("partition", "account", "qos", "time", "memory", "gpu_type"):
                _check_plain(name, getattr(self, name))
            for option in self.options:
                if not option.startswith("--"):
                    raise ValueError(f"{option!r}: an option of sbatch begins with --")
                _check_plain("options", option)
            for name, least in (("cpus", 1), ("gpus", 0), ("warning", 0), ("requeues", 0)):
                if getattr(self, name) < least:
                    raise ValueError(f"{name} is at least {least}")

    @property
    def device(self) -> str:
        """A GPU where the settings ask for one."""
        return "cuda" if self.config.gpus else "cpu"

    def preview(self, submission: Submission) -> list[str]:
        """A line for each array, and what its jobs ask for."""
        waves = _waves(submission.jobs)
        lines = [f"slurm: {len(submission.jobs)} jobs in {len(waves)} waves, each job with"]
        lines += [f"  {option}" for option in self._resources()]
        for number, jobs in enumerate(waves):
            after = f" after wave {number - 1}" if number else ""
            lines.append(f"  wave {number}: {len(jobs)} jobs{after}: {jobs[0].about}, ...")
        return lines

    def write(self, submission: Submission) -> list[str]:
        """A script for each array, and ``submit.sh``, which submits them."""
        lines, before = ["#!/bin/bash", "set -e"], list[str]()
        for wave in self._arrays(submission, ARRAY_SIZE):
            for array in wave:
                self._write(array, submission)
                after = [*before, *self._living(array.jobs, submission)]
                wait = f' "{_dependency(after)}"' if after else ""
                first, *rest = self._command(array, submission)
                lines.append(f"{array.variable}=$({first}{wait} {shlex.join(rest)})")
            before = [f"${array.variable}" for array in wave]
        script = submission.folder / "submit.sh"
        script.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return [f"bash {shlex.quote(str(script))}"]

    def submit(self, submission: Submission) -> Iterator[dict[str, str]]:
        """Submit wave after wave, array after array."""
        before: list[str] = []
        for wave in self._arrays(submission, _array_size()):
            ids = []
            for array in wave:
                after = [*before, *self._living(array.jobs, submission)]
                self._write(array, submission)
                first, *rest = self._command(array, submission)
                wait = [_dependency(after)] if after else []
                printed = _call([first, *wait, *rest])
                ids.append(printed.strip().split(";")[0])
                yield {job.name: f"{ids[-1]}_{n}" for n, job in enumerate(array.jobs)}
            before = ids

    def states(self, names: Sequence[str]) -> dict[str, JobState]:
        """Those that ``squeue`` still lists."""
        wanted = set(names)
        listed = _call(["squeue", "--me", "--noheader", "--array", "--format=%i %T"])
        found = (line.split() for line in listed.splitlines() if line.strip())
        return {
            name: "waiting" if state in _WAITING else "running"
            for name, state in found
            if name in wanted and state not in _OVER
        }

    def cancel(self, names: Sequence[str]) -> None:
        """``scancel``; a job that is over already is none of its errors."""
        for start in range(0, len(names), NAMES_AT_ONCE):
            _call(["scancel", "--quiet", *names[start : start + NAMES_AT_ONCE]])

    def _resources(self) -> Iterator[str]:
        config = self.config
        plain = ("partition", "account", "qos", "time")
        yield from (f"--{name}={getattr(config, name)}" for name in plain if getattr(config, name))
        yield f"--cpus-per-task={config.cpus}"
        if config.memory:
            yield f"--mem={config.memory}"
        if config.gpus:
            kind = f"{config.gpu_type}:" if config.gpu_type else ""
            yield f"--gres=gpu:{kind}{config.gpus}"
        yield from config.options

    def _arrays(self, submission: Submission, most: int) -> Iterator[list["_Array"]]:
        """The arrays of each wave; more than one where there are too many jobs for one."""
        for number, jobs in enumerate(_waves(submission.jobs)):
            parts = [jobs[start : start + most] for start in range(0, len(jobs), most)]
            yield [_Array(number, part, each) for part, each in enumerate(parts)]

    def _living(self, jobs: Sequence[Job], submission: Submission) -> list[str]:
        """What jobs wait for of earlier submissions."""
        after = {name for job in jobs for name in job.after if name in submission.living}
        return [submission.living[name] for name in sorted(after)]

    def _command(self, array: "_Array", submission: Submission) -> list[str]:
        output = str(submission.folder).replace("%", "%%") + "/slurm-%A_%a.log"
        script = str(array.script(submission.folder))
        return ["sbatch", "--parsable", f"--output={output}", script]

    def _write(self, array: "_Array", submission: Submission) -> None:
        """The script of an array; whatever a name holds is quoted, and nothing of it interpreted."""
        at_once = f"%{submission.at_once}" if submission.at_once else ""
        lines = ["#!/bin/bash"]
        options = [
            f"--job-name=xbench-{re.sub(r'[^0-9A-Za-z]+', '-', submission.folder.parent.parent.name)}",
            f"--array=0-{len(array.jobs) - 1}{at_once}",
            *self._resources(),
            f"--signal=B:USR1@{self.config.warning}",
            "--requeue",
            "--open-mode=append",
        ]
        lines += [f"#SBATCH {option}" for option in options]
        lines += [*self.config.setup, 'case "$SLURM_ARRAY_TASK_ID" in']
        lines += [f"{n}) set -- {shlex.join(job.command)} ;;" for n, job in enumerate(array.jobs)]
        lines += ["esac", BODY.format(interrupted=INTERRUPTED, requeues=self.config.requeues)]
        array.script(submission.folder).write_text("\n".join(lines), encoding="utf-8")


@dataclass(frozen=True)
class _Array:
    """One array of a wave."""

    wave: int
    part: int
    jobs: Sequence[Job]

    @property
    def variable(self) -> str:
        """The shell's name for its id in ``submit.sh``."""
        return f"wave{self.wave}_{self.part}"

    def script(self, folder: Path) -> Path:
        return folder / f"wave-{self.wave}-{self.part}.sh"


_WAITING = {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
_OVER = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
}


def _waves(jobs: Sequence[Job]) -> list[list[Job]]:
    found: list[list[Job]] = [[] for _ in range(1 + max((job.wave for job in jobs), default=-1))]
    for job in jobs:
        found[job.wave].append(job)
    return found


def _dependency(after: Sequence[str]) -> str:
    return "--dependency=" + ":".join(["afterany", *after])


def _check_plain(name: str, value: str) -> None:
    if value and not PLAIN.fullmatch(value):
        raise ValueError(
            f"{name} {value!r}: only letters, digits and . : , + - / @ = [ ] * & | ( ) % go into a "
            f"job script"
        )


def _array_size() -> int:
    """The elements that an array may have on this cluster."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", _call(["scontrol", "show", "config"]), re.M)
    return max(1, int(found[1]) - 1) if found else ARRAY_SIZE


def _call(command: Sequence[str]) -> str:
    """What a command of Slurm's prints. Raises :class:`LauncherError` with what it says of a failure."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=WITHIN, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise LauncherError(
            f"{command[0]} is not on this machine: submit from a login node of the Slurm cluster"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise LauncherError(f"{command[0]} did not answer within {WITHIN} seconds") from error
    if done.returncode:
        raise LauncherError(f"{command[0]} says: {(done.stderr or done.stdout).strip()}")
    return done.stdout

"""Running xbench in tests: the command line in this process, plans without one, fake distributions."""

import io
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch

from xbench.catalogue.catalogue import Catalogue
from xbench.cli import main
from xbench.cli.session import Session, open_session
from xbench.engine.job import JobRunner
from xbench.engine.launcher import WorkerSettings
from xbench.engine.todo import Job, Work
from xbench.plan import Plan, Stage, build_plan
from xbench.report.figures.gallery import Gallery
from xbench.spec.request import RunSpec, make_spec
from xbench.spec.resolve import resolve
from xbench.stages.resources import Resources
from xbench.store import Store

# Four steps of everything: a cell takes a fraction of a second.
QUICK = {
    "align.steps": 4,
    "align.batch_size": 4,
    "align.fit_sentences": 64,
    "finetune.steps": 4,
    "finetune.batch_size": 4,
    "finetune.max_train": 24,
    "evaluate.max_items": 8,
}
QUICK_OPTIONS = [part for name, value in QUICK.items() for part in ("-O", f"{name}={value}")]
SMALL = {
    "objective": ["hictl:S1W0M0"],
    "task": ["pos"],
    "arm": ["none", "aligned"],
    "mode": ["full", "linear"],
    "seed": [15],
    "language": ["qaa", "qac"],
    "device": "cpu",
}
SMALL_OPTIONS = [
    part
    for name, value in SMALL.items()
    for part in (f"--{name}", value if isinstance(value, str) else ",".join(map(str, value)))
]
Role = tuple[Any, ...]
# The coordinates of a cell: the first five tell alignments apart, the first nine fine-tunings.
NAMES = ("arm", "objective", "variant", "pair", "align_seed")
NAMES += ("align_step", "task", "mode", "seed", "language")
TUNED = ("finetune", "evaluate", "score")
Facts = Mapping[str, Any]
Test = Callable[[Facts], bool]


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


def in_order(work: Work) -> Iterator[Job]:
    """The jobs, each after those that it waits for."""
    waiting = list(work.jobs)
    while waiting:
        pending = {key for job in waiting for key in job.stages}
        job = next(job for job in waiting if not job.after & pending)
        waiting.remove(job)
        yield job


class InThisProcess:
    """A launcher (``xbench.engine.launcher.LocalLauncher``) without workers, which take seconds to start.

    What concerns workers themselves is tested with real ones (:func:`with_workers`).
    """

    def __init__(self, plan: Plan, store: Store, settings: WorkerSettings, observer: Any) -> None:
        self._plan, self._store, self._settings = plan, store, settings
        self._observer = observer
        self._current: list[Stage] = []
        self._lost: set[str] = set()

    def run(self, work: Work, logs: Path) -> set[str]:
        """Compute all jobs, one after the other; returns the keys that failed or were blocked."""
        torch.set_num_threads(1)
        store, settings = self._store, self._settings
        resources = Resources(store, Catalogue.installed(), self._progress, settings.state_interval)
        runner = JobRunner(
            self._plan.stages, resources, self._report, settings.keep, settings.stack
        )
        for job in in_order(work):
            left = []
            for key in job.stages:
                if self._lost.isdisjoint(self._plan.stages[key].parents):
                    left.append(key)
                else:
                    self._report("blocked", self._plan.stages[key], {})
            runner.run(left)
        return self._lost

    def _report(self, event: str, stage: Stage, details: Mapping[str, Any]) -> None:
        self._current = [stage]
        if event in ("failed", "blocked"):
            self._lost.add(stage.key)
        self._observer.event(event, stage, details)

    def _progress(self, step: int, steps: int, values: Mapping[str, float]) -> None:
        details = {"step": step, "steps": steps, "values": dict(values)}
        self._observer.event("progress", self._current[0], details)


def xbench(*arguments: str | Path) -> Outcome:
    """The command line, with all that it computes, in this process; reports have no figures."""
    with without_workers():
        return with_figures(*arguments)


def with_workers(*arguments: str | Path) -> Outcome:
    """The command line in this process; workers are processes of their own. There are no figures.

    They are forked from one that has imported torch, where a launcher starts each from nothing.
    """
    from .program import Worker  # it imports this module

    given = ("PIPE", "TimeoutExpired")
    stand_in = SimpleNamespace(Popen=Worker, **{name: getattr(subprocess, name) for name in given})
    with patch("xbench.engine.launcher.subprocess", stand_in), without_figures():
        return with_figures(*arguments)


def with_new_workers(*arguments: str | Path) -> Outcome:
    """As :func:`with_workers`, where it matters how a worker starts: each is a new interpreter."""
    with without_figures():
        return with_figures(*arguments)


@contextmanager
def without_workers() -> Iterator[None]:
    """Within it runs compute in this process and their reports have no figures."""
    with patch("xbench.engine.launcher.LocalLauncher", InThisProcess), without_figures():
        yield


def without_figures() -> AbstractContextManager[object]:
    """Within it reports have no figures, which take longer than a small run."""
    place = "xbench.report.run.extras.build_gallery"
    return patch(place, lambda material, formats: Gallery())


def with_figures(*arguments: str | Path) -> Outcome:
    """The command line in this process, as it is: with workers and figures."""
    out, err = io.StringIO(), io.StringIO()
    code: Any = 0
    with (
        redirect_stdout(out),
        redirect_stderr(err),
        patch.object(sys, "argv", ["xbench", *map(str, arguments)]),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    return Outcome(code, out.getvalue(), err.getvalue())


def request(**changes: Any) -> RunSpec:
    """The small, quick matrix with changes; ``options`` are added to the quick ones."""
    options = QUICK | changes.pop("options", {})
    return make_spec({**SMALL, **changes, "options": options}, "the test")


def plan_of(spec: RunSpec, place: Any = None) -> Plan:
    """The plan of a request."""
    here = place or Catalogue.installed()
    return build_plan(resolve(spec, here), here, offline=True)


def compute(spec: RunSpec, store: Store) -> Session:
    """Compute what the store lacks, in this process. Returns the session: what was to do."""
    session = open_session(spec, store, offline=True)
    store.prepare()
    work_off(session, store)
    return session


def work_off(session: Session, store: Store) -> None:
    """Compute all jobs of a session, in this process and, as workers do, with one thread."""
    torch.set_num_threads(1)
    resources = Resources(store, Catalogue.installed())
    for job in in_order(session.work):
        runner = JobRunner(
            session.plan.stages, resources, lambda event, stage, details: None, False
        )
        runner.run(job.stages)


def kinds(session: Session) -> dict[str, int]:
    """How many stages of each kind a session had to compute."""
    return {kind: n["todo"] for kind, n in session.work.counts(session.plan).items() if n["todo"]}


def roles(plan: Plan) -> dict[Role, str]:
    """What each key of a plan is for: (kind, coordinates) -> key."""
    found: dict[Role, str] = {}
    for cell in plan.cells:
        for kind, count in {"align": 5, "finetune": 9, "evaluate": 10, "score": 10}.items():
            key = getattr(cell, kind)
            if key is not None:
                found[(kind, *(cell.coordinates.get(name) for name in NAMES[:count]))] = key
    return found


def changed(before: Plan, after: Plan) -> set[Role]:
    """The roles that both plans have and whose keys differ."""
    old, new = roles(before), roles(after)
    assert set(old) & set(new), "the plans have no role in common"
    return {role for role in set(old) & set(new) if old[role] != new[role]}


def where(plan: Plan, test: Test) -> set[Role]:
    """The roles of a plan that a test on kind and coordinates holds for."""
    return {role for role in roles(plan) if test(facts_of(role))}


def facts_of(role: Role) -> dict[str, Any]:
    """A role's kind and coordinates by name; None for those that its kind has not."""
    return {"kind": role[0], **dict(zip_longest(NAMES, role[1:]))}


def everything(facts: Facts) -> bool:
    return True


def nothing(facts: Facts) -> bool:
    return False


def below(*kinds: str, **facts_wanted: Any) -> Test:
    """Roles of some kinds at some coordinates."""
    return lambda facts: (
        facts["kind"] in kinds and all(facts[name] == value for name, value in facts_wanted.items())
    )


def fake_distribution(
    folder: Path,
    name: str,
    entry_points: Mapping[str, Mapping[str, str]],
    modules: Mapping[str, str],
    editable: bool = False,
) -> Path:
    """A distribution as ``pip install --target`` leaves it, for a folder on ``sys.path``."""
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    lines = []
    for kind, targets in entry_points.items():
        lines += [f"[xbench.{kind}]", *(f"{n} = {target}" for n, target in targets.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    if editable:
        (info / "direct_url.json").write_text('{"dir_info": {"editable": true}, "url": "file:"}')
    for path, source in modules.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(source)
    return folder

"""Hooks: what xbench tells everybody, and asks everybody, in the process that drives a run.

A module that is named in the entry-point group ``xbench``, or an ``xbenchfile.py`` in the working
directory, may implement any of them::

    from xbench.api import hookimpl

    @hookimpl
    def xbench_stage_finished(stage, details): ...

Take only the arguments that you need. Observers (started, progress, finished, run finished) are
called one event after the other, in a thread of their own: one that raises is reported and not
called again, one that is slow delays nobody.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pluggy import HookspecMarker

from xbench.api.registration import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    import click
    import pandas as pd

    from xbench.plan import Plan, Stage
    from xbench.spec.request import ResolvedSpec

hookspec = HookspecMarker(PROJECT)


@hookspec
def xbench_configure(spec: "ResolvedSpec", store: "Path") -> None:
    """A run was asked for and resolved; nothing is planned yet. Raise to refuse it."""


@hookspec
def xbench_modify_plan(plan: "Plan") -> None:
    """The plan is complete, and nothing is computed yet: cells may be taken out of ``plan.cells``."""


@hookspec
def xbench_run_started(plan: "Plan", folder: "Path") -> None:
    """Stages are about to be computed; ``folder`` holds the run's spec and, later, its report."""


@hookspec
def xbench_stage_started(stage: "Stage") -> None:
    """A stage begins: ``stage.kind``, ``stage.key``, ``stage.spec``, ``stage.label``."""


@hookspec
def xbench_stage_progress(
    stage: "Stage", step: int, steps: int, values: Mapping[str, float]
) -> None:
    """A stage is under way; ``values`` are its losses by name."""


@hookspec
def xbench_stage_finished(stage: "Stage", details: Mapping[str, Any]) -> None:
    """A stage is in the store; ``details['seconds']`` is what it took.

    ``details['computed']`` is false where another run had computed it in the meantime.
    """


@hookspec(firstresult=True)
def xbench_stage_failed(stage: "Stage", failure: Mapping[str, Any], attempt: int) -> bool | None:
    """A stage failed for the ``attempt``-th time (from 1): true asks for another attempt.

    ``failure`` has ``error``, ``cause`` (memory, disk, diverged, killed, device, job, error) and
    ``traceback``. The first answer that is not None counts; after three attempts none is asked.
    """


@hookspec
def xbench_run_finished(folder: "Path", frame: "pd.DataFrame") -> None:
    """A run has ended; ``frame`` is its tidy results table, failed cells included."""


@hookspec
def xbench_commands() -> "Mapping[str, click.Command]":  # type: ignore[empty-body]
    """Commands to add to the command line, by name."""


@hookspec
def xbench_report_sections(  # type: ignore[empty-body]
    frame: "pd.DataFrame", spec: "ResolvedSpec"
) -> Sequence[Any]:
    """Tables (``xbench.report.table.Table``) to add to a run's report."""


@hookspec(firstresult=True)
def xbench_make_launcher(plan: "Plan", store: Any, settings: Any, observer: Any) -> Any:
    """What computes a run's jobs, in place of worker processes on this machine.

    An object with ``run(work, logs) -> set[str]``: the keys of stages that failed or were blocked.
    """

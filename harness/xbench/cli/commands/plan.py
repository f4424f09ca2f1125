"""``xbench plan``: what a run would compute, and what it would take."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from xbench.cli.options import STORE, Jobs, spec_from, spec_options
from xbench.cli.words import duration, size
from xbench.store import Store

if TYPE_CHECKING:
    from xbench.cli.session import Session
    from xbench.engine.estimate import CostEstimate
    from xbench.engine.launcher import WorkerSettings
    from xbench.engine.todo import Work


@click.command("plan")
@spec_options
@STORE
@click.option("--offline", is_flag=True, help="Never touch the network.")
@click.option("--jobs", type=Jobs(), help="Workers to estimate for.")
@click.option(
    "--keep",
    type=click.Choice(["none", "align", "all"]),
    default="align",
    show_default=True,
    help="Which weights the run would keep, for the estimate of disk.",
)
@click.option("--calibrate", is_flag=True, help="Measure a few steps first, for the estimate.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def command(
    store: Store,
    offline: bool,
    jobs: int | None,
    keep: str,
    calibrate: bool,
    form: str,
    **values: Any,
) -> int:
    """Show what a run would compute, what is cached, and what it will take. Writes nothing.

    A model or data that is not on this machine is counted all the same, and named.
    """
    from xbench.cli.calibrate import calibration
    from xbench.cli.missing import lacking
    from xbench.cli.session import open_session
    from xbench.engine.estimate import estimate
    from xbench.engine.launcher import default_settings
    from xbench.engine.preflight import check_models
    from xbench.engine.todo import stack_sizes, stacked

    session = open_session(spec_from(values), store, offline, tentative=True)
    plan, work = session.plan, session.work
    check_models(plan, work, store)
    settings = default_settings(plan.device, jobs)
    if session.spec.launcher is not None:  # as many at once as the scheduler likes
        settings = replace(settings, jobs=jobs or len(work.jobs) or 1)
    workers = settings.jobs
    most = settings.stack
    bundled = stacked(work, plan, most, workers)
    stacks = stack_sizes(bundled, plan)
    with calibration(session.spec, workers, calibrate and not plan.unresolved) as measured:
        guess = estimate(plan, work, [store, *measured], workers, keep)
    counts = work.counts(plan, store)
    if form == "json":
        content = {
            "stages": counts,
            "cells": len(plan.cells),
            "gaps": plan.gaps,
            "unresolved": plan.unresolved,
            "unguarded": plan.unguarded,
            "stacks": stacks,
            "estimate": asdict(guess),
        }
        click.echo(json.dumps(content, indent=1))
        return 0
    click.echo(f"{'stage':<10}{'total':>7}{'cached':>8}{'to do':>7}{'blocked':>9}")
    for kind, count in counts.items():
        if not count["total"]:
            continue
        numbers = (count["total"], count["cached"], count["todo"], count["blocked"])
        click.echo("{:<10}{:>7}{:>8}{:>7}{:>9}".format(kind, *numbers))
    click.echo(f"{len(plan.cells)} cells, {len(bundled.jobs)} jobs to do")
    if sum(stacks) > 1:
        click.echo(_stacks(stacks, most))
    for line in _takes(guess, keep):
        click.echo(line)
    for line in lacking(plan, session.catalogue):
        click.echo(line)
    for line in _submission(session, bundled, store, settings):
        click.echo(line)
    return 0


def _submission(
    session: "Session", work: "Work", store: Store, settings: "WorkerSettings"
) -> Sequence[str]:
    """What a launcher would submit."""
    from xbench.cli.cluster import cluster_launcher
    from xbench.store.runs import run_folder

    given = {"plan": session.plan, "store": store, "settings": settings, "observer": None}
    launcher = cluster_launcher(session, **given)
    if launcher is None or not work.jobs:
        return []
    return launcher.preview(work, run_folder(session.plan, store))


def _stacks(sizes: list[int], most: int) -> str:
    if not most:
        return f"stacks: none on a CPU; {sum(sizes)} full fine-tunings are trained one by one"
    together = f"up to {max(sizes)} of them as one program, fewer where memory is short"
    return f"stacks: {sum(sizes)} full fine-tunings, {together}"


def _takes(guess: "CostEstimate", keep: str) -> list[str]:
    if guess.seconds is None and guess.disk_peak is None:
        return ["time, memory, disk: unknown until the model is here; then --calibrate measures"]
    if guess.seconds is None and guess.unmeasured:
        kinds = ", ".join(dict.fromkeys(guess.unmeasured[:4]))
        time = f"time: unknown (nothing like it was measured here: {kinds}); --calibrate measures"
    else:
        time = (
            f"time: about {duration(guess.seconds or 0)} with {guess.jobs} workers, from "
            f"{guess.measured} measured stages"
        )
    disk = "disk: unknown, the model is not here"
    if guess.disk_peak is not None and guess.disk_kept is not None:
        peak, kept = size(guess.disk_peak), size(guess.disk_kept)
        disk = f"disk: up to {peak} while it runs, {kept} of weights kept (--keep {keep})"
    memory = "memory: unknown" if guess.memory is None else f"memory: {size(guess.memory)} a worker"
    return [time, disk, memory]

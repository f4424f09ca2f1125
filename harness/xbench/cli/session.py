"""From a request to a plan: the steps that run and plan have in common."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from xbench.catalogue.catalogue import Catalogue
from xbench.engine import hooks
from xbench.engine.todo import Work, find_work
from xbench.plan import Plan, build_plan
from xbench.spec.device import assumes_bf16
from xbench.spec.request import ResolvedSpec, RunSpec
from xbench.spec.resolve import reads_pairs, resolve
from xbench.store import Store

if TYPE_CHECKING:
    from xbench.report.run.stored import StoredRun
    from xbench.report.table import Table

UNREAD = (
    "Note: the pairs that were asked for change nothing, since nothing in this run is aligned on "
    "pairs; --objective NAME asks for an objective that is (xbench list objectives)."
)
ASSUMED = (
    "Note: precision is auto and this machine has no GPU: {}'s jobs compute in bf16, as GPUs since 2020 "
    "do. For older ones: -O align.precision=fp32 -O finetune.precision=fp32."
)


@dataclass(frozen=True)
class Session:
    """A resolved spec, its plan, what the store lacks of it, and where its names were looked up."""

    catalogue: Catalogue
    spec: ResolvedSpec
    plan: Plan
    work: Work


def open_session(request: RunSpec, store: Store, offline: bool, tentative: bool = False) -> Session:
    """Resolve and plan; raises with advice before anything is computed or written.

    Hooks are told, and may take cells out of the plan.
    """
    catalogue = Catalogue.installed()
    spec = resolve(request, catalogue)
    if request.pair and not reads_pairs(spec, catalogue):
        click.echo(UNREAD, err=True)
    hooks.call("xbench_configure", spec=spec, store=store.root)
    plan = build_plan(spec, catalogue, offline, tentative)
    if spec.launcher is not None and assumes_bf16(spec, plan.device):
        click.echo(ASSUMED.format(spec.launcher.name), err=True)
    hooks.call("xbench_modify_plan", plan=plan)
    plan.prune()
    store.check_format()
    return Session(catalogue, spec, plan, find_work(plan, store))


def plugin_tables(run: "StoredRun") -> "list[Table]":
    """The tables that hooks add to a run's report; a hook that raises is left out, with a warning."""
    sections = hooks.ask("xbench_report_sections", [], frame=run.rows.copy(), spec=run.spec)
    return [table for section in sections for table in section]

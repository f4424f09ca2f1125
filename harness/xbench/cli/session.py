"""From a request to a plan: the steps that run and plan have in common."""

from dataclasses import dataclass

import click

from xbench import hooks
from xbench.context import Context
from xbench.discovery import discovery
from xbench.engine.work import Work, find_work
from xbench.plan import Plan, build_plan
from xbench.registry import load_registry
from xbench.resolve import reads_pairs, resolve
from xbench.spec import RunSpec
from xbench.store import Store

UNREAD = (
    "Note: the pairs that were asked for change nothing, since nothing in this run is aligned on "
    "pairs; --objective NAME asks for an objective that is (xbench list objectives)."
)


@dataclass(frozen=True)
class Session:
    """A resolved spec, its plan, and what the store lacks of it."""

    spec: RunSpec
    plan: Plan
    work: Work


def context() -> Context:
    """The registry and the plugins of this installation."""
    return Context(load_registry(), discovery)


def open_session(request: RunSpec, store: Store, offline: bool, tentative: bool = False) -> Session:
    """Resolve and plan; raises with advice before anything is computed or written.

    Hooks are told, and may take cells out of the plan.
    """
    here = context()
    spec = resolve(request, here)
    if request.pair and not reads_pairs(spec, here):
        click.echo(UNREAD, err=True)
    hooks.call("xbench_configure", spec=spec, store=store.root)
    plan = build_plan(spec, here, offline, tentative)
    hooks.call("xbench_modify_plan", plan=plan)
    plan.prune()
    store.check_format()
    return Session(spec, plan, find_work(plan, store))

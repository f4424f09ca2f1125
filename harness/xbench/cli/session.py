"""From a request to a plan: the steps that run and plan have in common."""

from dataclasses import dataclass

from xbench.context import Context
from xbench.discovery import discovery
from xbench.engine.work import Work, find_work
from xbench.plan import Plan, build_plan
from xbench.registry import load_registry
from xbench.resolve import resolve
from xbench.spec import RunSpec
from xbench.store import Store


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
    """Resolve and plan; raises with advice before anything is computed or written."""
    here = context()
    spec = resolve(request, here)
    plan = build_plan(spec, here, offline, tentative)
    store.check_format()
    return Session(spec, plan, find_work(plan, store))

"""How a module says that something in it is xbench's: a plugin of an ``xbenchfile.py``, or a hook."""

from collections.abc import Callable
from typing import TypeVar

from pluggy import HookimplMarker

PROJECT = "xbench"
hookimpl = HookimplMarker(PROJECT)
"""``@hookimpl`` above a function that implements the hook of its name."""

Thing = TypeVar("Thing")


def register(kind: str, name: str) -> Callable[[Thing], Thing]:
    """``@register("objective", "mine")`` above a class, or ``X = register("language", "xyz")(...)``.

    Kinds are objective, aligner, task, language, metric, probe, claim and source. The file is read for
    these lines and imported only where one of its plugins is used, so both arguments must be
    written out.
    """

    def keep(thing: Thing) -> Thing:
        return thing

    return keep

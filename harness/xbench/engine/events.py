"""Passes the events of a run on to its display and to hooks."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from xbench.engine.hooks import ATTEMPTS, Observers, ask
from xbench.plan import Stage

_NAMES = {
    "started": "xbench_stage_started",
    "progress": "xbench_stage_progress",
    "done": "xbench_stage_finished",
}


class Display(Protocol):
    """What shows a person how far a run is."""

    def event(self, event: str, stage: Stage, details: Mapping[str, Any]) -> None: ...


class Telling:
    """An observer of the engine that tells the display at once, and observers when they are ready."""

    def __init__(self, display: Display, observers: Observers) -> None:
        self._display = display
        self._observers = observers
        self.tell = observers.tell

    def event(self, event: str, stage: Stage, details: Mapping[str, Any]) -> None:
        """One event of the engine."""
        self._display.event(event, stage, details)
        if event not in _NAMES:
            return
        given: dict[str, Any] = {"stage": stage}
        if event == "progress":
            given |= {name: details[name] for name in ("step", "steps", "values")}
        elif event == "done":
            given["details"] = details
        self.tell(_NAMES[event], **given)

    def retry(self, stage: Stage, failure: Mapping[str, Any], attempt: int) -> bool:
        """Whether a hook wants a stage that failed to be tried again."""
        return wants_retry(stage, failure, attempt)


def wants_retry(stage: Stage, failure: Mapping[str, Any], attempt: int) -> bool:
    """Whether a hook wants a stage that failed for the ``attempt``-th time to be tried again."""
    if attempt >= ATTEMPTS:
        return False
    asked = {"stage": stage, "failure": failure, "attempt": attempt}
    return bool(ask("xbench_stage_failed", None, **asked))


@contextmanager
def telling(display: Display) -> Iterator[Telling]:
    """Observers of a run, until it ends."""
    observers = Observers()
    try:
        yield Telling(display, observers)
    finally:
        observers.close()

"""Live progress of a run: bars on a terminal, plain lines in a log."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from xbench.engine.todo import Work
from xbench.plan import KINDS, Plan, Stage

LINE_EVERY = 10.0  # seconds between plain lines


@contextmanager
def observer(plan: Plan, work: Work) -> Iterator["PlainProgress"]:
    """The display that fits where stderr goes."""
    counts = {kind: counts["todo"] for kind, counts in work.counts(plan).items()}
    if sys.stderr.isatty():
        with _bars(counts) as watch:
            yield watch
        return
    watch = PlainProgress(counts)
    yield watch
    watch.line()


class PlainProgress:
    """Counts per kind of stage; says so now and then, and every failure at once."""

    def __init__(self, todo: Mapping[str, int]) -> None:
        self.todo = {kind: todo[kind] for kind in KINDS}
        self.settled = dict.fromkeys(KINDS, 0)
        self._began = time.monotonic()
        self._said = self._began
        self.say(
            f"To compute: {', '.join(f'{n} {KINDS[k].title}' for k, n in self.todo.items() if n)}"
        )

    def event(self, event: str, stage: Stage, details: Mapping[str, Any]) -> None:
        """One event of the engine."""
        if event in ("done", "failed", "blocked"):
            self.settled[stage.kind] += 1
            self.update(stage)
        if event == "failed":
            self.say(f"FAILED {KINDS[stage.kind].title} {stage.label}: {details['error']}")
        if event == "progress":
            self.activity(stage, details)

    def update(self, stage: Stage) -> None:
        """A stage was settled."""
        if time.monotonic() - self._said >= LINE_EVERY:
            self.line()

    def activity(self, stage: Stage, details: Mapping[str, Any]) -> None:
        """A stage is on its way; long ones show their loss."""
        if time.monotonic() - self._said >= LINE_EVERY:
            self.line(f"{stage.label}: {describe(details)}")

    def line(self, note: str = "") -> None:
        """How far the run is."""
        self._said = time.monotonic()
        parts = [f"{KINDS[k].title} {self.settled[k]}/{n}" for k, n in self.todo.items() if n]
        self.say(
            f"[{self._said - self._began:5.0f} s] {'  '.join(parts)}{'  ' + note if note else ''}"
        )

    def say(self, text: str) -> None:
        """Print a line to stderr."""
        print(text, file=sys.stderr, flush=True)


def describe(details: Mapping[str, Any]) -> str:
    """``step 40/100 loss 2.31``."""
    loss = details["values"].get("loss")
    return f"step {details['step']}/{details['steps']}" + (
        f" loss {loss:.3f}" if loss is not None else ""
    )


@contextmanager
def _bars(todo: Mapping[str, int]) -> Iterator[PlainProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks = {
            kind: progress.add_task(KINDS[kind].title, total=count, note="")
            for kind, count in todo.items()
            if count
        }

        class Bars(PlainProgress):
            def update(self, stage: Stage) -> None:
                progress.update(tasks[stage.kind], completed=self.settled[stage.kind], note="")

            def activity(self, stage: Stage, details: Mapping[str, Any]) -> None:
                progress.update(tasks[stage.kind], note=f"{stage.label}: {describe(details)}")

            def say(self, text: str) -> None:
                progress.console.print(text, markup=False, highlight=False)

        yield Bars(todo)

"""Live progress of a run: bars on a terminal, plain lines in a log."""

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from xbench.cli.words import duration
from xbench.engine.remaining import Remaining
from xbench.engine.todo import Work
from xbench.plan import KINDS, Plan, Stage

LINE_EVERY = 10.0  # seconds between plain lines


@contextmanager
def observer(plan: Plan, work: Work, remaining: Remaining) -> Iterator["PlainProgress"]:
    """The display that fits where stderr goes."""
    counts = {kind: counts["todo"] for kind, counts in work.counts(plan).items()}
    if sys.stderr.isatty():
        with _bars(counts, remaining) as watch:
            yield watch
        return
    watch = PlainProgress(counts, remaining)
    yield watch
    watch.line()


class PlainProgress:
    """Counts per kind of stage; says so now and then, and every failure at once."""

    def __init__(self, todo: Mapping[str, int], remaining: Remaining) -> None:
        self._remaining = remaining
        self._speeds: dict[str, Speed] = {}
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
            # What another run computed took this one no work, only waiting.
            took = details.get("seconds") if details.get("computed", True) else None
            self._remaining.settle(stage, took)
            self._speeds.pop(stage.key, None)
            self.update(stage)
        if event == "failed":
            self.say(f"FAILED {KINDS[stage.kind].title} {stage.label}: {details['error']}")
        if event == "progress":
            self._remaining.progress(stage, details["step"] / details["steps"])
            speed = self._speeds.setdefault(stage.key, Speed(stage))
            self.activity(stage, f"{stage.label}: {describe(details, speed.at(details['step']))}")

    def update(self, stage: Stage) -> None:
        """A stage was settled."""
        if time.monotonic() - self._said >= LINE_EVERY:
            self.line()

    def activity(self, stage: Stage, note: str) -> None:
        """A stage is on its way; long ones show their loss."""
        if time.monotonic() - self._said >= LINE_EVERY:
            self.line(note)

    def line(self, note: str = "") -> None:
        """How far the run is."""
        self._said = time.monotonic()
        parts = [f"{KINDS[k].title} {self.settled[k]}/{n}" for k, n in self.todo.items() if n]
        passed = f"{self._said - self._began:5.0f} s{self.left()}"
        self.say(f"[{passed}] {'  '.join(parts)}{'  ' + note if note else ''}")

    def left(self) -> str:
        """``, about 5 min left``; nothing where that cannot be told, or nothing is left."""
        seconds = self._remaining.seconds()
        return f", about {duration(seconds)} left" if seconds else ""

    def say(self, text: str) -> None:
        """Print a line to stderr."""
        print(text, file=sys.stderr, flush=True)


class Speed:
    """Items a second of one stage, since it was first heard of."""

    def __init__(self, stage: Stage) -> None:
        self._size = int(stage.batch_size() or 0)
        self._first: tuple[int, float] | None = None

    def at(self, step: int) -> float | None:
        """After so many steps; None where nothing can be told yet."""
        now = time.monotonic()
        if self._first is None:
            self._first = step, now
        steps, seconds = step - self._first[0], now - self._first[1]
        return steps * self._size / seconds if steps > 0 and seconds > 0 and self._size else None


def describe(details: Mapping[str, Any], speed: float | None = None) -> str:
    """``step 40/100 loss 2.31, 420 items/s``."""
    loss = details["values"].get("loss")
    return (
        f"step {details['step']}/{details['steps']}"
        + (f" loss {loss:.3f}" if loss is not None else "")
        + (f", {speed:.{0 if speed >= 10 else 1}f} items/s" if speed is not None else "")
    )


@contextmanager
def _bars(todo: Mapping[str, int], remaining: Remaining) -> Iterator[PlainProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks = {
            kind: progress.add_task(KINDS[kind].title, total=count, note="", left="")
            for kind, count in todo.items()
            if count
        }

        class Bars(PlainProgress):
            def update(self, stage: Stage) -> None:
                progress.update(tasks[stage.kind], completed=self.settled[stage.kind], note="")
                self._tell_left()

            def activity(self, stage: Stage, note: str) -> None:
                progress.update(tasks[stage.kind], note=note)
                self._tell_left()

            def _tell_left(self) -> None:
                """Beside the first bar: what is left is of the whole run."""
                progress.update(next(iter(tasks.values())), left=self.left().removeprefix(", "))

            def say(self, text: str) -> None:
                progress.console.print(text, markup=False, highlight=False)

        yield Bars(todo, remaining)

"""A check that tasks share."""

from collections.abc import Iterable, Iterator
from typing import Any

from xbench.api.task import Task


def known_labels(task: Task, examples: Iterable[Any]) -> Iterator[Any]:
    """The examples as they are. Raises ``ValueError`` at a label outside ``task.labels``."""
    for example in examples:
        unknown = sorted(set(task.gold(example)) - set(task.labels))
        if unknown:
            raise ValueError(
                f"sentence {example.id!r} has the label {', '.join(map(repr, unknown))}, which "
                f"{type(task).__name__} does not know; it knows {', '.join(task.labels)}"
            )
        yield example

"""Waiting for another process."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 900  # seconds until a test that waits for a process gives up, on a busy machine too
Found = TypeVar("Found")


def wait(until: Callable[[], Found]) -> Found:
    """What it gives, once it gives something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := until()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found

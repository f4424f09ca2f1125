"""Finds the modules that implement hooks, and calls them so that none can harm a run."""

import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pluggy

from xbench.api.registration import PROJECT
from xbench.catalogue.discovery import PluginError, discovery
from xbench.engine import hookspecs
from xbench.errors import XbenchError

WAIT = 10.0  # seconds that observers get to catch up at the end of a run
ATTEMPTS = 3


@cache
def manager() -> pluggy.PluginManager:
    """All hook implementations of this process.

    Raises :class:`XbenchError` naming the distribution where one cannot be imported, or has a hook
    that there is not.
    """
    found = pluggy.PluginManager(PROJECT)
    found.add_hookspecs(hookspecs)
    for plugin in discovery.hooks():
        try:
            found.register(plugin.load(), plugin.name)
            found.check_pending()
        except pluggy.PluginValidationError as error:
            raise PluginError(f"{plugin}: {error}") from error
    return found


def call(name: str, **arguments: Any) -> Any:
    """Ask all implementations of a hook; one that raises stops the command, and is named."""
    try:
        return getattr(manager().hook, name)(**arguments)
    except XbenchError:
        raise
    except Exception as error:
        raise PluginError(f"{_culprit(error)} raised {type(error).__name__}: {error}") from error


def ask(name: str, default: Any, **arguments: Any) -> Any:
    """As :func:`call`, where a failure is reported and ``default`` is the answer."""
    try:
        return getattr(manager().hook, name)(**arguments)
    except Exception as error:
        warn(f"{_culprit(error)} raised {type(error).__name__}: {error}; it is left out")
        return default


def warn(text: str) -> None:
    """A line on stderr."""
    print(f"Warning: {text}", file=sys.stderr, flush=True)


def _culprit(error: BaseException) -> str:
    """The function that raised, and its file."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"The hook {frame.name} ({frame.filename}, line {frame.lineno})"


class Observers:
    """Tells observers of events, in order, in a thread of their own."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, Mapping[str, Any]]] = deque()
        self._news = threading.Condition()
        self._closed = False
        self._silenced: set[Any] = set()
        self._thread: threading.Thread | None = None

    def tell(self, name: str, **arguments: Any) -> None:
        """Queue an event; returns at once."""
        if not getattr(manager().hook, name).get_hookimpls():
            return
        with self._news:
            self._waiting.append((name, arguments))
            self._news.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait for observers to catch up, but not for long."""
        if self._thread is None:
            return
        with self._news:
            self._closed = True
            self._news.notify()
        self._thread.join(WAIT)
        if self._thread.is_alive():
            warn(f"observers of the run are behind by {len(self._waiting)} events; not waiting")

    def _work(self) -> None:
        while True:
            with self._news:
                while not self._waiting and not self._closed:
                    self._news.wait()
                if not self._waiting:
                    return
                name, arguments = self._waiting.popleft()
            for implementation in getattr(manager().hook, name).get_hookimpls():
                self._call(name, implementation, arguments)

    def _call(self, name: str, implementation: Any, arguments: Mapping[str, Any]) -> None:
        if implementation.function in self._silenced:
            return
        function: Callable[..., Any] = implementation.function
        try:
            function(**{each: arguments[each] for each in implementation.argnames})
        except BaseException as error:
            self._silenced.add(implementation.function)
            who = f"{implementation.plugin_name}.{name}"
            warn(f"the observer {who} raised {type(error).__name__}: {error}; it is told no more")

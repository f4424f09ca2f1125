"""Import plugins in processes of their own and say what is wrong with each.

A plugin that crashes or hangs its process is found out like one that raises: the process says which
plugin it begins, and another one goes on with the rest.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any

from xbench.catalogue.discovery import Plugin, PluginError, discovery

TIMEOUT = 60.0  # seconds that one process gets for one distribution
_ABSTRACT = {
    "aligners": ("align",),
    "metrics": ("items", "aggregate"),
    "probes": ("measure",),
    "claims": ("check",),
    "sources": ("fingerprint", "read"),
    "launchers": ("submit", "states", "cancel"),
}


@dataclass(frozen=True)
class Checked:
    """A plugin and what is wrong with it; the empty string where nothing is."""

    plugin: Plugin
    problem: str


def check(plugins: Iterable[Plugin], timeout: float = TIMEOUT) -> list[Checked]:
    """The state of each plugin, in their order. Name clashes are found without importing."""
    plugins = list(plugins)
    clashes = {plugin: _clash(plugin) for plugin in plugins}
    by_distribution: dict[str, list[Plugin]] = {}
    for plugin in plugins:
        if not clashes[plugin]:
            by_distribution.setdefault(plugin.distribution, []).append(plugin)
    problems = {plugin: problem for plugin, problem in clashes.items() if problem}
    for members in by_distribution.values():
        problems |= dict(_in_processes(members, timeout))
    return [Checked(plugin, problems[plugin]) for plugin in plugins]


def _clash(plugin: Plugin) -> str:
    try:
        discovery.table.get(plugin.kind, plugin.name)
    except PluginError as error:
        return str(error)
    return ""


def _in_processes(plugins: Sequence[Plugin], timeout: float) -> Iterator[tuple[Plugin, str]]:
    left = list(plugins)
    while left:
        said, how = _process(left, timeout)
        yield from ((plugin, said[number]) for number, plugin in enumerate(left[: len(said)]))
        if len(said) < len(left):
            yield left[len(said)], how
        left = left[len(said) + 1 :]


def _process(plugins: Sequence[Plugin], timeout: float) -> tuple[list[str], str]:
    """(the problem of each plugin that was got through, why it ended before the others)."""
    asked = json.dumps([[plugin.kind, plugin.name] for plugin in plugins])
    command = [sys.executable, "-m", "xbench.catalogue.check_imports", asked]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            cwd=Path.cwd(),
        )
        out, how = done.stdout, f"its import ends the process (exit code {done.returncode})"
    except subprocess.TimeoutExpired as late:
        printed = late.stdout or b""
        out = printed.decode("utf-8", "replace") if isinstance(printed, bytes) else printed
        how = f"its import takes longer than {timeout:g} seconds"
    lines = [line for line in out.splitlines() if line.startswith(_MARK)]
    return [json.loads(line.removeprefix(_MARK)) for line in lines], how


_MARK = "xbench-check "


def problem_of(plugin: Plugin) -> str:
    """What is wrong with a plugin, imported here: import, kind, methods, ``Config``."""
    try:
        loaded = plugin.load()
    except PluginError as error:
        return str(error)
    if not isinstance(loaded, type):
        return ""
    for method in _wanted(plugin.kind, loaded):
        if _is_missing(loaded, method):
            return f"{plugin} does not define {method}()"
    return _bad_config(plugin, loaded)


def _wanted(kind: str, loaded: type) -> tuple[str, ...]:
    """The methods that a plugin of that kind has to define; at an objective's place there are three."""
    if kind != "objectives":
        return _ABSTRACT.get(kind, ())
    places = (("terms",), ("forward", "fit"), ("steps", "combine"))
    return next((wanted for wanted in places if hasattr(loaded, wanted[-1])), places[0])


def _is_missing(loaded: type, method: str) -> bool:
    """Whether a method is that of the contract itself, which does nothing but raise."""
    home = next((base for base in loaded.__mro__ if method in vars(base)), None)
    return home is None or home.__module__.startswith("xbench.api")


def _bad_config(plugin: Plugin, loaded: Any) -> str:
    config: Any = getattr(loaded, "Config", None)
    if config is None:
        return ""
    if not (isinstance(config, type) and is_dataclass(config)):
        return f"{plugin}: its Config is no dataclass"
    try:
        config()
    except Exception as error:  # a plugin's own validation may raise anything
        return f"{plugin}: Config() needs a default for every field ({error})"
    for name, variant in getattr(loaded, "variants", {}).items():
        if not isinstance(variant, config):
            return f"{plugin}: the variant {name!r} is no Config"
    return ""


def main() -> None:
    """Check the plugins named in the argument, a line for each."""
    for kind, name in json.loads(sys.argv[1]):
        problem = problem_of(discovery.table.get(kind, name))
        print(_MARK + json.dumps(problem), flush=True)


if __name__ == "__main__":
    main()

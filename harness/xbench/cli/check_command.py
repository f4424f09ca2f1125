"""``xbench check``: does a plugin keep the contract of its kind?"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from xbench.discovery import KINDS, Plugin, PluginError, discovery
from xbench.errors import UnknownName, XbenchError

if TYPE_CHECKING:
    from xbench.testing import Result

WORDS = {"ok": "ok", "failed": "FAILED", "skipped": "-"}


@click.command("check")
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--all", "every", is_flag=True, help="Check all plugins that are installed.")
def command(names: Sequence[str], every: bool) -> int:
    """Check that plugins keep the contract of their kind.

    NAME is a plugin's name, or objective:NAME where several kinds have it. Each check is a line: ok,
    FAILED with the reason and what to do, or - where it does not apply. The same checks are classes
    for tests (xbench.testing). They need no data and no GPU, take seconds, and leave nothing behind.
    The exit code is 1 where one failed.
    """
    if bool(names) == every:
        raise click.UsageError("Name the plugins to check, or ask for --all.")
    plugins = list(discovery.table) if every else [_find(name) for name in names]
    failed = [plugin for plugin in plugins if not _check(plugin)]
    if len(plugins) > 1:
        broken = f"; not so: {', '.join(plugin.name for plugin in failed)}" if failed else ""
        click.echo(
            f"{len(plugins) - len(failed)} of {len(plugins)} plugins keep their contracts{broken}."
        )
    return 1 if failed else 0


def _find(asked: str) -> Plugin:
    """The plugin that a user means. Raises on an unknown name, or one that several kinds have."""
    kind, colon, name = asked.rpartition(":")
    if colon and f"{kind}s" not in KINDS:
        raise UnknownName("kind", kind, [known[:-1] for known in KINDS])
    kinds = [f"{kind}s"] if colon else list(KINDS)
    having = [each for each in kinds if discovery.table.claims(each, name)]
    if not having:
        known = {plugin.name for plugin in discovery.table if plugin.kind in kinds}
        raise UnknownName(kind or "plugin", name, known)
    if len(having) > 1:
        forms = " or ".join(f"{each[:-1]}:{name}" for each in having)
        raise XbenchError(f"Several plugins are called {name!r}. Say which one: {forms}")
    return discovery.table.get(having[0], name)


def _check(plugin: Plugin) -> bool:
    """Print a line for each check; whether none failed."""
    click.echo(f"{plugin.kind[:-1]} {plugin.name}  {plugin.distribution} {plugin.version}")
    given: set[str] = set()
    failures = 0
    for result in _results(plugin):
        failures += result.state == "failed"
        reason = result.reason
        if reason and reason in given:
            reason = "as above"
        given.add(result.reason)
        click.echo(f"  {WORDS[result.state]:<7} {result.about}{': ' * bool(reason)}{reason}")
    return not failures


def _results(plugin: Plugin) -> Iterator["Result"]:
    from xbench.testing import Result, contract_of, examine

    try:
        contract = contract_of(plugin)
    except PluginError as error:
        yield Result("It can be imported", "failed", str(error))
        return
    yield from examine(contract)

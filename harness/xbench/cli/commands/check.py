"""``xbench check``: does a plugin keep the contract of its kind?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from xbench.catalogue.discovery import KINDS, Plugin, discovery
from xbench.catalogue.registry import load_registry
from xbench.errors import UnknownName, XbenchError

if TYPE_CHECKING:
    from xbench.testing import Contract, Result

WORDS = {"ok": "ok", "failed": "FAILED", "skipped": "-"}


@dataclass(frozen=True)
class _Asked:
    """What is to be checked: a plugin or, without one, a composition of the registry."""

    name: str
    plugin: Plugin | None = None

    @property
    def title(self) -> str:
        if self.plugin is None:
            return f"composition {self.name}  registry"
        kind = self.plugin.kind[:-1]
        return f"{kind} {self.name}  {self.plugin.distribution} {self.plugin.version}"

    def contract(self) -> type["Contract"]:
        from xbench.testing import contract_of, contract_of_composition

        return contract_of(self.plugin) if self.plugin else contract_of_composition(self.name)


@click.command("check")
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--all", "every", is_flag=True, help="Check all plugins that are installed.")
def command(names: Sequence[str], every: bool) -> int:
    """Check that plugins keep the contract of their kind.

    NAME is a plugin's name, or objective:NAME where several kinds have it; a composition of
    objectives has the checks of an objective. Each check is a line: ok, FAILED with the reason and
    what to do, or - where it does not apply. The same checks are classes for tests (xbench.testing).
    They need no data and no GPU, take seconds, and leave nothing behind. The exit code is 1 where
    one failed.
    """
    if bool(names) == every:
        raise click.UsageError("Name the plugins to check, or ask for --all.")
    asked = list(_all()) if every else [_find(name) for name in names]
    failed = [each for each in asked if not _check(each)]
    if len(asked) > 1:
        broken = f"; not so: {', '.join(each.name for each in failed)}" if failed else ""
        click.echo(f"{len(asked) - len(failed)} of {len(asked)} keep their contracts{broken}.")
    return 1 if failed else 0


def _all() -> Iterator[_Asked]:
    """All plugins, and the compositions of which no part is switched off."""
    for plugin in discovery.table:
        yield _Asked(plugin.name, plugin)
    off = discovery.table.switched_off("objectives")
    for name, composition in load_registry().compositions.items():
        if not off & set(composition.parts):
            yield _Asked(name)


def _find(asked: str) -> _Asked:
    """What a user means. Raises on an unknown name, or one that several kinds have."""
    kind, colon, name = asked.rpartition(":")
    if colon and f"{kind}s" not in KINDS:
        raise UnknownName("kind", kind, [known[:-1] for known in KINDS])
    kinds = [f"{kind}s"] if colon else list(KINDS)
    compositions = load_registry().compositions if "objectives" in kinds else {}
    if name in compositions:
        return _Asked(name)
    having = [each for each in kinds if discovery.table.claims(each, name)]
    if not having:
        known = {plugin.name for plugin in discovery.table if plugin.kind in kinds}
        raise UnknownName(kind or "plugin", name, known.union(compositions))
    if len(having) > 1:
        forms = " or ".join(f"{each[:-1]}:{name}" for each in having)
        raise XbenchError(f"Several plugins are called {name!r}. Say which one: {forms}")
    return _Asked(name, discovery.table.get(having[0], name))


def _check(asked: _Asked) -> bool:
    """Print a line for each check; whether none failed."""
    click.echo(asked.title)
    given: set[str] = set()
    failures = 0
    for result in _results(asked):
        failures += result.state == "failed"
        reason = result.reason
        if reason and reason in given:
            reason = "as above"
        given.add(result.reason)
        click.echo(f"  {WORDS[result.state]:<7} {result.about}{': ' * bool(reason)}{reason}")
    return not failures


def _results(asked: _Asked) -> Iterator["Result"]:
    from xbench.testing import Result, examine

    try:
        contract = asked.contract()
    except XbenchError as error:
        yield Result("It can be imported", "failed", str(error))
        return
    yield from examine(contract)

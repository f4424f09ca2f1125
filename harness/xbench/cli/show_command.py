"""``xbench show``: one plugin, suite or model in full."""

import inspect
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import click

from xbench.discovery import KINDS, Plugin, discovery
from xbench.errors import UnknownName


@click.command("show")
@click.argument("name")
def command(name: str) -> int:
    """Show a plugin, suite or model: what it does, its settings, where it comes from."""
    from xbench.registry import load_registry

    registry = load_registry()
    found = [plugin for kind in KINDS for plugin in discovery.table.claims(kind, name)]
    for plugin in found:
        click.echo("\n".join(_plugin(plugin)))
    if found:
        return 0
    for catalogue in (registry.suites, registry.models, registry.languages):
        if name in catalogue:
            _entry(name, catalogue[name])
            return 0
    aliases = {alias: real for group in registry.aliases.values() for alias, real in group.items()}
    if name in aliases:
        return int(command.main([aliases[name]], standalone_mode=False) or 0)
    plugins = [plugin.name for plugin in discovery.table]
    raise UnknownName(
        "name", name, [*plugins, *registry.suites, *registry.models, *registry.languages]
    )


def _entry(name: str, entry: Any) -> None:
    import yaml

    shown = yaml.safe_dump(entry.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    click.echo(f"{name}\n\n{shown}", nl=False)


def _plugin(plugin: Plugin) -> Iterator[str]:
    loaded = plugin.load()
    yield f"{plugin.name} - {plugin.kind[:-1]} of {plugin.distribution} {plugin.version} ({plugin.target})"
    yield ""
    yield inspect.getdoc(loaded) or "(no documentation)"
    for title in ("needs", "phases", "coupled", "level", "labels", "metrics"):
        value = getattr(loaded, title, None)
        if isinstance(value, (str, tuple, frozenset, set)) and value:
            yield f"\n{title}: {value if isinstance(value, str) else ', '.join(sorted(value))}"
    config = getattr(loaded, "Config", None)
    if is_dataclass(config) and fields(config):
        yield "\nSettings (-O objective.NAME=VALUE):"
        yield from _settings(config, getattr(loaded, "sources", {}))
    if getattr(loaded, "variants", None):
        yield f"\nVariants: {', '.join(loaded.variants)}"
    if is_dataclass(loaded) and not isinstance(loaded, type):
        yield ""
        yield from (f"{f.name}: {getattr(loaded, f.name)}" for f in fields(loaded))


def _settings(config: Any, sources: Any) -> Iterator[str]:
    width = max(len(f.name) for f in fields(config))
    for f in fields(config):
        default = f.default if f.default is not MISSING else "(required)"
        # a Field(default=...) of pydantic holds its default one level down
        default = getattr(default, "default", default)
        source = sources.get(f.name, "")
        yield f"  {f.name:<{width}}  {default!s:<16}{source}"

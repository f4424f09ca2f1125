"""``xbench show``: one plugin, suite or model in full."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import click

from xbench.catalogue.discovery import KINDS, Plugin, discovery
from xbench.errors import UnknownName

if TYPE_CHECKING:
    from xbench.catalogue.registry import Composition, Registry


@click.command("show")
@click.argument("name")
def command(name: str) -> int:
    """Show a plugin, suite, model or data set: what it does, its settings, where it comes from."""
    from xbench.catalogue.registry import load_registry

    registry = load_registry()
    catalogues: dict[str, Mapping[str, Any]] = {
        "suite": registry.suites,
        "model": registry.models,
        "language": registry.languages,
    }
    pages = ["\n".join(_plugin(p)) for kind in KINDS for p in discovery.table.claims(kind, name)]
    pages += [
        _entry(f"{name} - {kind}", entries[name])
        for kind, entries in catalogues.items()
        if name in entries
    ]
    if name in registry.compositions:
        pages.append("\n".join(_composition(name, registry.compositions[name])))
    if name in registry.datasets:
        pages.append("\n".join(_dataset(name, registry)))
    for kind, aliases in registry.aliases.items():
        if name in aliases:
            meant = discovery.table.claims(kind, aliases[name])
            pages += [f"{name} - alias of\n" + "\n".join(_plugin(p)) for p in meant]
    if not pages:
        plugins = [plugin.name for plugin in discovery.table]
        entries = [*catalogues.values(), registry.compositions, registry.datasets]
        raise UnknownName("name", name, [*plugins, *(each for names in entries for each in names)])
    click.echo("\n\n".join(pages))
    return 0


def _entry(title: str, entry: Any) -> str:
    import yaml

    values = yaml.safe_dump(entry.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return f"{title}\n\n{values.rstrip()}"


def _composition(name: str, entry: "Composition") -> Iterator[str]:
    """The parts, each with its weight and what differs from its defaults."""
    yield f"{name} - composition of objectives (registry)"
    yield ""
    yield entry.description
    if entry.source:
        yield f"\nsource: {entry.source}"
    yield f"\nParts (-O objective.{name}.PART.SETTING=VALUE, and .weight=):"
    width = max(map(len, entry.parts))
    for part, how in entry.parts.items():
        changes = [f"{field}={value}" for field, value in how.config.items()]
        variant = [how.variant] if how.variant else []
        yield f"  {part:<{width}}  weight {how.weight:g}  {' '.join([*variant, *changes])}".rstrip()
    yield f"\nxbench show PART has the settings: {', '.join(entry.parts)}"


def _dataset(name: str, registry: "Registry") -> Iterator[str]:
    """Home, licence, how it lies below a data folder, and whether it is read from the hub."""
    entry = registry.datasets[name]
    readers = discovery.table.claims("sources", name)
    reads_hub = bool(entry.hub_id and entry.files and readers and readers[0].load().reads_hub)
    codes = [code for code, language in registry.languages.items() if name in language.resources]
    facts = {
        "home": entry.homepage,
        "licence": entry.licence,
        "below --data": entry.layout,
        "on the hub": f"{entry.hub_id} ({entry.files})" if reads_hub else "not read from there",
        "note": entry.note,
        "languages": f"{len(codes)}: {', '.join(codes)}" if codes else "",
    }
    yield f"{name} - data set"
    yield ""
    yield from (f"{fact}: {value}" for fact, value in facts.items() if value)


def _plugin(plugin: Plugin) -> Iterator[str]:
    loaded = plugin.load()
    yield f"{plugin.name} - {plugin.kind[:-1]} of {plugin.distribution} {plugin.version} ({plugin.target})"
    yield ""
    yield inspect.getdoc(loaded) or "(no documentation)"
    for title in ("needs", "phases", "coupled", "level", "labels", "metrics"):
        value = getattr(loaded, title, None)
        if isinstance(value, (set, frozenset)):
            value = sorted(value)
        if (
            isinstance(value, (str, tuple, list)) and value
        ):  # the order of labels and metrics counts
            yield f"\n{title}: {value if isinstance(value, str) else ', '.join(value)}"
    config = getattr(loaded, "Config", None)
    if is_dataclass(config) and fields(config):
        yield f"\nSettings (-O {_prefix(plugin)}.NAME=VALUE):"
        yield from _settings(config, getattr(loaded, "sources", {}))
        if plugin.kind == "launchers":  # of which no paper says what they are
            yield f"\n{inspect.getdoc(config)}"
    if getattr(loaded, "variants", None):
        yield f"\nVariants: {', '.join(loaded.variants)}"
    if is_dataclass(loaded) and not isinstance(loaded, type):
        yield ""
        yield from (f"{f.name}: {getattr(loaded, f.name)}" for f in fields(loaded))


def _prefix(plugin: Plugin) -> str:
    """What stands before the name of a setting on the command line."""
    if plugin.kind == "aligners":
        return "align.aligner_options"
    if plugin.kind == "launchers":
        return "launcher"
    return f"probe.{plugin.name}" if plugin.kind == "probes" else "objective"


def _settings(config: Any, sources: Any) -> Iterator[str]:
    width = max(len(f.name) for f in fields(config))
    for f in fields(config):
        default = f.default if f.default is not MISSING else "(required)"
        if f.default_factory is not MISSING:
            default = f.default_factory()
        # a Field(default=...) of pydantic holds its default one level down
        default = getattr(default, "default", default)
        source = sources.get(f.name, "")
        shown = f"{default:.4g}" if isinstance(default, float) else str(default)
        yield f"  {f.name:<{width}}  {shown:<15} {source}".rstrip()

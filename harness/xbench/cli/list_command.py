"""``xbench list``: what there is, from metadata alone."""

import json
from typing import Any

import click

from xbench.discovery import KINDS, discovery
from xbench.errors import UnknownName

CATALOGUE = ("suites", "models")


@click.command("list")
@click.argument("kind", required=False)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def command(kind: str | None, form: str) -> int:
    """List plugins of a KIND: objectives, tasks, languages, metrics, probes, sources; suites or models.

    Nothing is imported: names and origins come from the metadata of installed distributions.
    """
    known = (*KINDS, *CATALOGUE)
    if kind is not None and kind not in known:
        raise UnknownName("kind", kind, known)
    rows = [row for wanted in ([kind] if kind else known) for row in _rows(wanted)]
    if form == "json":
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        prefix = "" if kind else f"{row['kind']:<12}"
        click.echo(f"{prefix}{row['name']:<{width}}  {row['about']}")
    if not rows:
        click.echo(f"No {kind} are installed.")
    return 0


def _rows(kind: str) -> list[dict[str, Any]]:
    if kind in CATALOGUE:
        from xbench.registry import load_registry

        entries = getattr(load_registry(), kind)
        return [{"kind": kind, "name": n, "about": e.description} for n, e in entries.items()]
    rows = [_plugin_row(plugin) for plugin in discovery.table if plugin.kind == kind]
    if kind == "languages":
        rows += _registry_languages({row["name"] for row in rows})
    return rows


def _plugin_row(plugin: Any) -> dict[str, Any]:
    clash = len(discovery.table.claims(plugin.kind, plugin.name)) > 1
    return {
        "kind": plugin.kind,
        "name": plugin.name,
        "about": f"{plugin.distribution} {plugin.version}"
        + ("  (name claimed twice)" if clash else ""),
        "distribution": plugin.distribution,
        "version": plugin.version,
        "target": plugin.target,
        "clash": clash,
    }


def _registry_languages(taken: set[str]) -> list[dict[str, Any]]:
    from xbench.registry import load_registry

    return [
        {"kind": "languages", "name": code, "about": f"{entry.name} ({entry.script})"}
        for code, entry in load_registry().languages.items()
        if code not in taken
    ]

"""``xbench list``: what there is, from metadata alone."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import click

from xbench.catalogue.discovery import KINDS, discovery
from xbench.cli.output import write_data
from xbench.errors import UnknownName

Content = Callable[[], Mapping[str, Any]]
"""Reads the registry, once for a command and only if it is needed."""

CATALOGUE = ("suites", "models", "datasets")


@click.command("list")
@click.argument("kind", required=False)
@click.option("--check", is_flag=True, help="Import each plugin and say what is wrong with it.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
def command(kind: str | None, check: bool, form: str) -> int:
    """List plugins of a KIND (objectives, tasks, ...), or suites, models, datasets.

    Names and origins come from the metadata of installed distributions: nothing is imported. With
    --check each distribution's plugins are imported in a process of their own; the exit code is 1
    where one is broken.
    """
    known = (*KINDS, *CATALOGUE)
    if kind is not None and kind not in known:
        raise UnknownName("kind", kind, known)
    if check:
        return _check(kind, form)
    registry = cache(_content)
    rows = [row for wanted in ([kind] if kind else known) for row in _rows(wanted, registry)]
    if form == "json":
        write_data(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
        return 0
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        prefix = "" if kind else f"{row['kind']:<12}"
        click.echo(f"{prefix}{row['name']:<{width}}  {row['about']}")
    if not rows:
        click.echo(f"No {kind} are installed.")
    return 0


def _rows(kind: str, registry: Content) -> list[dict[str, Any]]:
    if kind in CATALOGUE:
        return [
            {"kind": kind, "name": n, "about": _about(kind, e)}
            for n, e in _entries(registry, kind).items()
        ]
    rows = [_plugin_row(plugin) for plugin in discovery.table if plugin.kind == kind]
    if kind == "languages":
        rows += _registry_languages(registry, {row["name"] for row in rows})
    if kind == "objectives":
        rows += _compositions(registry)
    return rows


def _check(kind: str | None, form: str) -> int:
    from xbench.catalogue.check_imports import check

    checked = check(plugin for plugin in discovery.table if kind in (None, plugin.kind))
    rows = [{**_plugin_row(one.plugin), "problem": one.problem} for one in checked]
    if form == "json":
        write_data(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    else:
        width = max((len(row["name"]) for row in rows), default=0)
        for row in rows:
            state = f"BROKEN  {row['problem']}" if row["problem"] else "ok"
            maker = f"{row['distribution']} {row['version']}"
            click.echo(f"{row['kind']:<12}{row['name']:<{width}}  {maker}  {state}")
    return 1 if any(row["problem"] for row in rows) else 0


def _content() -> dict[str, Any]:
    from xbench.catalogue.registry_files import read_documents, registry_files

    return read_documents(registry_files())[1]


def _entries(registry: Content, kind: str, *needed: str) -> Mapping[str, Mapping[str, Any]]:
    """What the registry has of a kind, by name: read unchecked, since checking takes as long again.

    Where a record lacks what a line of the list needs, the checked reading says what is wrong.
    """
    entries = registry().get(kind) or {}
    if not isinstance(entries, Mapping) or not all(
        isinstance(entry, Mapping) and set(needed) <= set(entry) for entry in entries.values()
    ):
        from xbench.catalogue.registry import load_registry

        load_registry()
    return entries


def _about(kind: str, entry: Mapping[str, Any]) -> str:
    """What a record of the registry is, in a line; of a data set its licence.

    A model's hub id is where it comes from. Not so a data set's: only some are read from there.
    """
    if kind == "datasets":
        return str(entry.get("licence", ""))
    hub_id, description = entry.get("hub_id"), entry.get("description", "")
    return f"{hub_id}: {description}" if hub_id else str(description)


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


def _compositions(registry: Content) -> list[dict[str, Any]]:
    """Objectives that the registry puts together from others."""
    return [
        {
            "kind": "objectives",
            "name": name,
            "about": f"composition of {', '.join(entry['parts'])}: {entry.get('description', '')}",
            "parts": list(entry["parts"]),
        }
        for name, entry in _entries(registry, "compositions", "parts").items()
    ]


def _written_in(name: str, script: str) -> str:
    """``German (Latn)``; where the name has brackets of its own, the script goes into them."""
    return f"{name[:-1]}, {script})" if name.endswith(")") else f"{name} ({script})"


def _registry_languages(registry: Content, taken: set[str]) -> list[dict[str, Any]]:
    return [
        {"kind": "languages", "name": code, "about": _written_in(entry["name"], entry["script"])}
        for code, entry in _entries(registry, "languages", "name", "script").items()
        if code not in taken
    ]

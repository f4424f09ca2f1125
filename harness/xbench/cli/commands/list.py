"""``xbench list``: what there is, from metadata alone."""

import json
from typing import Any

import click

from xbench.catalogue.discovery import KINDS, discovery
from xbench.cli.output import write_data
from xbench.errors import UnknownName

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
    rows = [row for wanted in ([kind] if kind else known) for row in _rows(wanted)]
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


def _rows(kind: str) -> list[dict[str, Any]]:
    if kind in CATALOGUE:
        from xbench.catalogue.registry import load_registry

        entries = getattr(load_registry(), kind)
        return [{"kind": kind, "name": n, "about": _about(e)} for n, e in entries.items()]
    rows = [_plugin_row(plugin) for plugin in discovery.table if plugin.kind == kind]
    if kind == "languages":
        rows += _registry_languages({row["name"] for row in rows})
    if kind == "objectives":
        rows += _compositions()
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


def _about(entry: Any) -> str:
    """What a record of the registry is, in a line; of a data set its licence.

    A model's hub id is where it comes from. Not so a data set's: only some are read from there.
    """
    if not hasattr(entry, "description"):
        return str(entry.licence)
    hub_id = getattr(entry, "hub_id", None)
    return f"{hub_id}: {entry.description}" if hub_id else str(entry.description)


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


def _compositions() -> list[dict[str, Any]]:
    """Objectives that the registry puts together from others."""
    from xbench.catalogue.registry import load_registry

    return [
        {
            "kind": "objectives",
            "name": name,
            "about": f"composition of {', '.join(entry.parts)}: {entry.description}",
            "parts": list(entry.parts),
        }
        for name, entry in load_registry().compositions.items()
    ]


def _written_in(name: str, script: str) -> str:
    """``German (Latn)``; where the name has brackets of its own, the script goes into them."""
    return f"{name[:-1]}, {script})" if name.endswith(")") else f"{name} ({script})"


def _registry_languages(taken: set[str]) -> list[dict[str, Any]]:
    from xbench.catalogue.registry import load_registry

    return [
        {"kind": "languages", "name": code, "about": _written_in(entry.name, entry.script)}
        for code, entry in load_registry().languages.items()
        if code not in taken
    ]

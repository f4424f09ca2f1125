"""New plugins as distributions of their own: templates, filled in and written to a folder."""

import re
from collections.abc import Iterable, Iterator
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from xbench.catalogue.discovery import discovery
from xbench.catalogue.registry import load_registry
from xbench.cli.scaffold.kinds import KINDS, Kind
from xbench.errors import UnknownName, XbenchError

__all__ = ["KINDS", "commands", "write_distribution"]

NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
LANGUAGE = re.compile(r"[a-z]{3}(_[A-Z][a-z]{3})?")


def write_distribution(kind: str, name: str, place: Path) -> Path:
    """Write the distribution of a new plugin below ``place``; returns its folder.

    Raises :class:`XbenchError` for an unknown kind, a name that is invalid or taken, and a folder
    that is there already. Nothing is overwritten.
    """
    if kind not in KINDS:
        raise UnknownName("kind", kind, KINDS)
    _check_name(kind, name)
    values = _values(kind, name)
    folder = place / values["distribution"]
    if folder.exists():
        raise XbenchError(
            f"{folder} is there already. Take another name, or another place: --dir DIR"
        )
    texts = {path: _fill(template, values) for path, template in _paths(kind, values)}
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def commands(kind: str, name: str) -> list[str]:
    """What is typed in the folder of a new plugin: lines of a shell that install, check and use it."""
    about = KINDS[kind]
    lines = ("pip install -e .", about.check, about.use)
    return [Template(line).substitute(name=name) for line in lines]


def _check_name(kind: str, name: str) -> None:
    pattern, example = (LANGUAGE, "fao or kas_Deva") if kind == "language" else (NAME, "my_loss")
    if not pattern.fullmatch(name):
        words = "an ISO 639-3 code" if kind == "language" else "small letters, digits and _"
        raise XbenchError(f"The name {name!r} cannot be used: take {words}, as in {example}.")
    registry, group = load_registry(), KINDS[kind].group
    claims = discovery.table.claims(group, name)
    if claims:
        raise XbenchError(f"The name {name!r} is taken: {claims[0]}. Take another one.")
    also: dict[str, Iterable[str]] = {
        "objectives": registry.compositions,
        "languages": registry.languages,
    }
    if name in also.get(group, ()) or name in registry.aliases.get(group, {}):
        raise XbenchError(
            f"The name {name!r} is taken: xbench's registry has it (xbench show {name}). Take "
            f"another one."
        )
    module = _module(name)
    if find_spec(module):
        raise XbenchError(f"A module {module} is installed already. Take another name.")


def _module(name: str) -> str:
    return "xbench_" + name.replace("-", "_").lower()


def _values(kind: str, name: str) -> dict[str, str]:
    about = KINDS[kind]
    parts = re.split("[-_]", name)
    class_name = "".join(part.capitalize() for part in parts)
    if re.search(rf"\b{class_name}\b", _template(about.template)):
        class_name += kind.capitalize()  # or it would hide a name that the module imports
    return {
        "attribute": kind,
        "class_name": class_name,
        "commands": "\n".join(commands(kind, name)),
        "contract": about.contract,
        "distribution": "xbench-" + "-".join(parts).lower(),
        "group": about.group,
        "kind": about.words,
        "module": _module(name),
        "name": name,
        "purpose": f"{about.article} {about.words}",
        "script": parts[1] if kind == "language" and len(parts) > 1 else "Latn",
        "target": name.upper() if kind == "language" else class_name,
    }


def _paths(kind: str, values: dict[str, str]) -> Iterator[tuple[str, str]]:
    """(file of the distribution, template)."""
    about: Kind = KINDS[kind]
    yield "pyproject.toml", "pyproject.toml"
    yield "README.md", "README.md"
    yield f"{values['module']}.py", about.template
    yield f"tests/test_{values['module']}.py", about.test
    for path, template in about.more.items():
        yield Template(path).substitute(values), template


def _fill(template: str, values: dict[str, str]) -> str:
    return Template(_template(template)).substitute(values)


def _template(name: str) -> str:
    return (files(__package__) / "templates" / f"{name}.tmpl").read_text(encoding="utf-8")

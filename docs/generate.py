"""Write the parts of the documentation that the code knows best: between markers, in place.

Usage: ``python docs/generate.py`` (or ``make docs``). A part lies between
``<!-- generated: NAME -->`` and ``<!-- end of NAME -->``; tests fail where one is out of date.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from xbench.discovery import discovery
from xbench.registry import load_registry, plain, sources
from xbench.settings import PHASES

ROOT = Path(__file__).parents[1]
DISTRIBUTION = "xbench"


def plugins() -> str:
    """What comes with xbench itself: a line for each plugin, suite and model, two for languages."""
    rows = [row for row in _listed() if row.get("distribution", DISTRIBUTION) == DISTRIBUTION]
    table = [
        (row["kind"].removesuffix("s"), f"`{row['name']}`", _about(row))
        for row in rows
        if row["kind"] != "languages"
    ]
    languages = [row for row in rows if row["kind"] == "languages"]
    clones = [row["name"] for row in languages if "target" in row]
    natural = [row["name"] for row in languages if "target" not in row]
    for names, about in ((clones, "generated clone languages"), (natural, "natural languages")):
        table.append(("language", f"{len(names)} {about}", ", ".join(names)))
    return markdown(("kind", "name", "what it is"), table)


def _listed() -> list[dict[str, Any]]:
    command = [sys.executable, "-c", "from xbench.cli import main; main()"]
    command += ["list", "--format", "json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def _about(row: Mapping[str, Any]) -> str:
    if "target" not in row:
        return str(row["about"])
    return discovery.table.get(row["kind"], row["name"]).summary().replace("``", "`")


def settings(phase: str) -> str:
    """A phase's settings: the default, what each suite sets, and who states the paper's value."""
    suites = load_registry().suites
    values = {name: _flat(plain(getattr(suite, phase))) for name, suite in suites.items()}
    stated = sources(suites["paper"].model_dump()[phase])
    defaults = {
        field.name: "required" if field.default is MISSING else _default(field.default)
        for field in fields(PHASES[phase])
    }
    names = dict.fromkeys([*defaults, *(name for given in values.values() for name in given)])
    rows = [
        (
            f"`{phase}.{name}`",
            _shown(defaults.get(name, "")),
            *(_shown(given.get(name, "")) for given in values.values()),
            stated.get(name, ""),
        )
        for name in names
    ]
    return markdown(("setting", "default", *values, "who states the value of `paper`"), rows)


def _default(value: Any) -> Any:
    # pydantic's Field(default=...) holds the default one level down, and a marker where it has none
    value = getattr(value, "default", value)
    return "required" if type(value).__name__ == "PydanticUndefinedType" else value


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def markdown(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.rstrip(".:").replace("|", "\\|") for cell in line) + " |"
        for line in lines
    )


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "plugins": ("README.md", plugins),
    "align": ("docs/settings.md", lambda: settings("align")),
    "finetune": ("docs/settings.md", lambda: settings("finetune")),
    "evaluate": ("docs/settings.md", lambda: settings("evaluate")),
}


def with_part(text: str, name: str, content: str) -> str:
    """The text with a part replaced. Raises ``ValueError`` where its markers are missing."""
    begin, end = f"<!-- generated: {name} -->", f"<!-- end of {name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the markers {begin} and {end} are missing")
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def main() -> None:
    """Write every part into its file."""
    for name, (file, make) in PARTS.items():
        path = ROOT / file
        path.write_text(with_part(path.read_text(encoding="utf-8"), name, make()), encoding="utf-8")


if __name__ == "__main__":
    main()

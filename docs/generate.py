"""Write the parts of the documentation that the code knows best: between markers, in place.

Usage: ``python docs/generate.py`` (or ``make docs``). A part lies between
``<!-- generated: NAME -->`` and ``<!-- end of NAME -->``; tests fail where one is out of date.
"""

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.discovery import KINDS, Plugin, discovery
from xbench.catalogue.registry import load_registry, plain, sources
from xbench.catalogue.settings import PHASES
from xbench.engine import hookspecs
from xbench.spec.methods import find_method

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
        return ", ".join(map(_shown, value)) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def markdown(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.rstrip(".:").replace("|", "\\|") for cell in line) + " |"
        for line in lines
    )


def hooks() -> str:
    """Every hook with its arguments, and what its documentation says."""
    rows = []
    for name, hook in inspect.getmembers(hookspecs, inspect.isfunction):
        if name.startswith("xbench_"):
            arguments = ", ".join(f"`{each}`" for each in inspect.signature(hook).parameters)
            about = " ".join((inspect.getdoc(hook) or "").split()).replace("``", "`")
            rows.append((f"`{name}`", arguments, about))
    in_order = sorted(rows, key=lambda row: _line_of(row[0].strip("`")))
    return markdown(("hook", "arguments", "when it is called, and what it may answer"), in_order)


def _line_of(hook: str) -> int:
    return inspect.getsourcelines(getattr(hookspecs, hook))[1]


FACTS = ("needs", "phases", "level", "labels", "metrics")


def catalogue() -> str:
    """Every plugin of this distribution: what it is, whose formula, its settings and variants."""
    parts = []
    for kind in KINDS:
        found = [p for p in discovery.table if (p.kind, p.distribution) == (kind, DISTRIBUTION)]
        if kind == "languages":
            parts += ["## Languages", _languages()]
        elif found:
            parts += [f"## {kind.capitalize()}", *(_entry(plugin) for plugin in found)]
        if kind == "objectives":
            parts += ["## Compositions of objectives", *_compositions()]
    return "\n\n".join(parts)


def _entry(plugin: Plugin) -> str:
    loaded = plugin.load()
    kind = plugin.kind.removesuffix("s")
    if kind == "objective":
        kind = find_method(plugin.name, Catalogue(load_registry(), discovery)).kind
    lines = [f"### `{plugin.name}`", "", _about_in_markdown(loaded), ""]
    lines += (
        [f"- A {kind}; {_home(loaded)}"] if kind != plugin.kind[:-1] else [f"- {_home(loaded)}"]
    )
    source = _reference(loaded)
    lines += [f"- Source: {source}"] if source else []
    lines += [f"- {name}: {value}" for name, value in _facts(loaded)]
    variants = getattr(loaded, "variants", {})
    lines += [f"- Variants: {_code(variants)}"] if variants else []
    table = _settings_of(loaded)
    if plugin.kind == "launchers":  # of their settings no paper says what they are
        lines += ["", *map(_inline, (inspect.getdoc(loaded.Config) or "").splitlines())]
    return "\n".join([*lines, "", table] if table else lines)


def _about_in_markdown(loaded: Any) -> str:
    return _inline((inspect.getdoc(loaded) or "").strip().partition("\n")[0])


def _home(loaded: Any) -> str:
    return f"`{Path(inspect.getfile(loaded)).relative_to(ROOT).as_posix()}`"


def _reference(loaded: Any) -> str:
    """The paragraph of the documentation that begins with ``Source:`` or ``Sources:``."""
    for paragraph in (inspect.getdoc(loaded) or "").split("\n\n"):
        found = re.match(r"Sources?: (.*)", paragraph, re.DOTALL)
        if found:
            return _inline(" ".join(found[1].split()))
    return ""


def _facts(loaded: Any) -> list[tuple[str, str]]:
    found = []
    for name in FACTS:
        value = getattr(loaded, name, None)
        if isinstance(value, (set, frozenset)):
            value = sorted(value)
        if value:
            shown = f"`{value}`" if isinstance(value, str) else _code(value)
            found.append((name.capitalize(), shown))
    return found


def _settings_of(loaded: Any) -> str:
    """A table of the settings, of the defaults of the first variant where there are variants."""
    config = getattr(loaded, "Config", None)
    options = getattr(loaded, "defaults", getattr(loaded, "sizes", {}))
    if is_dataclass(config) and fields(config):
        stated = getattr(loaded, "sources", {})
        rows = [(f.name, _value(config, f.name), stated.get(f.name, "")) for f in fields(config)]
    elif options:
        rows = [(name, value, "") for name, value in options.items()]
    else:
        return ""
    table = [(f"`{name}`", _shown(value), origin) for name, value, origin in rows]
    if not any(origin for *_, origin in table):
        return markdown(("setting", "default"), [row[:2] for row in table])
    return markdown(("setting", "default", "who states the default"), table)


def _value(config: Any, name: str) -> Any:
    return getattr(config(), name)


def _compositions() -> list[str]:
    return [
        "\n".join(
            [
                f"### `{name}`",
                "",
                entry.description,
                "",
                f"- Source: {entry.source}",
                f"- Parts: {_code(entry.parts)}",
            ]
        )
        for name, entry in load_registry().compositions.items()
    ]


def _languages() -> str:
    catalogue = Catalogue(load_registry(), discovery)
    own = [name for name in catalogue.languages.codes() if _is_own_language(name)]
    rows = []
    for code in own:
        each = catalogue.languages.get(code)
        rows.append((f"`{code}`", each.name, each.script, each.family, each.word_order))
    return markdown(("code", "name", "script", "family", "word order"), rows)


def _is_own_language(code: str) -> bool:
    claims = discovery.table.claims("languages", code)
    return all(plugin.distribution == DISTRIBUTION for plugin in claims)


def _code(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _inline(text: str) -> str:
    """reStructuredText of one paragraph as Markdown."""
    plain_roles = re.sub(r":\w+:`~?([^`]*)`", r"`\1`", text)
    return plain_roles.replace("``", "`").rstrip(":")


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "plugins": ("README.md", plugins),
    "align": ("docs/settings.md", lambda: settings("align")),
    "finetune": ("docs/settings.md", lambda: settings("finetune")),
    "evaluate": ("docs/settings.md", lambda: settings("evaluate")),
    "probing": ("docs/settings.md", lambda: settings("probing")),
    "hooks": ("docs/hooks.md", hooks),
    "catalogue": ("docs/catalogue.md", catalogue),
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

"""The harness knows no plugin by name, and plugins reach the harness through the API alone.

The import contracts in pyproject.toml hold the second rule too; here it is read from the source, so
that it holds for a module that the import graph does not see, and the first rule covers strings.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("xbench_plugins", "xbench_tasks")
OPEN_TO_PLUGINS = ("xbench.api", "xbench.data")

# A plugin's name may stand as a string literal in these places only.
EXCEPTIONS = {
    ("harness/xbench/api/task.py", "accuracy"),  # API default: the metric of a task that names none
    (
        "harness/xbench/report/results/results.py",
        "accuracy",
    ),  # the metric shown where a run names none
    (
        "harness/xbench/catalogue/settings.py",
        "argmax",
    ),  # API default: the aligner of a suite that names none
    # control arm: what --arm mlm is called in options and notes
    ("harness/xbench/cli/options.py", "mlm"),
    ("harness/xbench/report/run/style.py", "mlm"),
    ("harness/xbench/report/tables/notes.py", "mlm"),
    # a task in the example of an option's help, and in the commands that `xbench new` prints
    ("harness/xbench/cli/commands/results.py", "pos"),
    ("harness/xbench/cli/scaffold/kinds.py", "pos"),
    ("harness/xbench/testing/language.py", "flores200"),  # an example in a message
    ("harness/xbench/testing/claim.py", "accuracy"),  # the metric of made-up results
}


# Words of the contracts that happen to be names too: what an aligner may need, a task's level, what a
# probe may be shown, and what a language states.
CONTRACT_WORDS = {"dictionary", "retrieval", "gradients", "distances"}
# Words of plain English, or of LaTeX, that happen to be names of probes and aligners too.
PLAIN_WORDS = {"geometry", "maps", "given"}


def plugin_names() -> set[str]:
    entry_points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    names = {name for group in entry_points.values() for name in group} | set(PACKAGES)
    return names - CONTRACT_WORDS - PLAIN_WORDS


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def names_in_strings(source: str, names: set[str]) -> Iterator[tuple[int, str]]:
    """Line and name wherever a string other than documentation holds a name as a whole word."""
    tree = ast.parse(source)
    bodies = [node.body for node in ast.walk(tree) if isinstance(getattr(node, "body", None), list)]
    # Documentation is a string that stands on a line of its own.
    documentation = {
        id(statement.value)
        for body in bodies
        for statement in body
        if isinstance(statement, ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) in documentation:
                continue
            words = set(re.findall(r"[\w-]+", node.value))
            yield from ((node.lineno, name) for name in sorted(words & names))


def imported_modules(source: str) -> Iterator[tuple[int, str]]:
    """Line and module of every import, wherever it stands; relative ones are left out."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module == "xbench":  # from xbench import engine
                yield from ((node.lineno, f"xbench.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module


def is_below(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def test_there_are_names_and_files_to_check() -> None:
    assert {"hictl", "pos", "accuracy", "qaa", "xbench_plugins"} <= plugin_names()
    for folder in ("harness", "plugins", "tasks"):
        assert len(python_files(folder)) > 1


def test_the_scan_finds_names_in_code_and_not_in_documentation() -> None:
    source = '"""About hictl."""\nif name == "hictl": print(f"a {x} hictl-like hictl.")\n'
    assert list(names_in_strings(source, {"hictl"})) == [(2, "hictl"), (2, "hictl")]


def test_the_harness_holds_no_plugin_name() -> None:
    names = plugin_names()
    found = {
        (path.relative_to(ROOT).as_posix(), name, line)
        for path in python_files("harness")
        for line, name in names_in_strings(path.read_text(encoding="utf-8"), names)
    }
    forbidden = sorted(place for place in found if place[:2] not in EXCEPTIONS)
    assert not forbidden, "\n".join(f"{file}:{line}: {name!r}" for file, name, line in forbidden)
    unused = EXCEPTIONS - {place[:2] for place in found}
    assert not unused, f"exceptions that nothing needs any more: {sorted(unused)}"


def test_the_harness_imports_no_plugin() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {module}"
        for path in python_files("harness")
        for line, module in imported_modules(path.read_text(encoding="utf-8"))
        if is_below(module, PACKAGES)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("folder", ["plugins", "tasks"])
def test_plugins_import_the_api_and_the_readers_alone(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {module}"
        for path in python_files(folder)
        for line, module in imported_modules(path.read_text(encoding="utf-8"))
        if is_below(module, ("xbench",)) and not is_below(module, OPEN_TO_PLUGINS)
    ]
    assert not found, "\n".join(found)

"""``xbenchfile.py`` in the working directory: plugins and hooks before they are packaged."""

import ast
import os
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from xbench.errors import XbenchError

NAME = "xbenchfile.py"
MODULE = "xbenchfile"
PLACE = "XBENCH_FILE"  # set for workers, which may start elsewhere


def find() -> Path | None:
    """The file that counts: ``XBENCH_FILE``, or the one in the working directory."""
    asked = os.environ.get(PLACE)
    path = Path(asked or NAME).resolve()
    if asked and not path.is_file():
        raise XbenchError(f"{PLACE} names {path}, which is no file.")
    return path if path.is_file() else None


def registered(path: Path) -> Iterator[tuple[str, str, str]]:
    """(kind, name, attribute) of what the file registers; it is parsed, not run."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise XbenchError(f"{path} cannot be read as Python: {error}") from error
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            for decorator in node.decorator_list:
                yield from _call(decorator, node.name, path)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            target = node.targets[0]
            if isinstance(target, ast.Name):
                yield from _call(node.value.func, target.id, path)


def _call(node: ast.expr, attribute: str, path: Path) -> Iterator[tuple[str, str, str]]:
    if not isinstance(node, ast.Call):
        return
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name != "register":
        return
    given = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    if len(given) != 2 or node.keywords:
        raise XbenchError(
            f'{path}, line {node.lineno}: write both out, as in register("objective", "mine")'
        )
    yield given[0], given[1], attribute


def load() -> None:
    """Import the file as the module ``xbenchfile``, once."""
    path = find()
    if MODULE in sys.modules or path is None:
        return
    spec = spec_from_file_location(MODULE, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[MODULE] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[MODULE]
        raise

"""YAML files: their content, the lines of their fields, and nothing in them that is there twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from xbench.errors import XbenchError

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """One file: its content, and the line on which each field stands."""

    path: Path
    content: dict[str, Any]
    node: yaml.Node | None

    def line(self, place: Sequence[str | int]) -> int | None:
        """The line, from 1, of a field or of the nearest thing around it; None if it is not here."""
        node, found = self.node, None
        for part in place:
            step = below(node, part)
            if step is None:
                return found
            line, node = step
            found = line
        return found


def read_document(path: Path, what: str) -> Document:
    """Read a file that is a mapping; ``what`` names it in messages (``spec``, ``registry``).

    Raises :class:`XbenchError` where it is none, or names a field twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise XbenchError(f"The {what} {path} cannot be read: {reason}.") from error
    # libyaml is ten times faster where PyYAML was built with it.
    loader_class = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        loader = loader_class(text)
        try:
            node = loader.get_single_node()
            if node is not None:
                _refuse_duplicates(node, path)
            content = loader.construct_document(node) if node is not None else {}
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise XbenchError(f"{path}{line}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise XbenchError(f"{path}: not valid YAML: {error}") from error
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise XbenchError(f"{path}:1: a {what} is a mapping, as `name: value`")
    return Document(path, content, node)


def below(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    """The line and the node of what stands under a name or a number."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item.start_mark.line + 1, item
    return None


def about_booleans(value: object) -> str:
    """What to say where a name was expected and YAML has read a truth value; else nothing."""
    if not isinstance(value, bool):
        return ""
    words = "yes, on and y as true" if value else "no, off and n as false"
    return f'; YAML reads {words}: put the name in quotes, as "{"on" if value else "no"}"'


def _refuse_duplicates(node: yaml.Node, path: Path) -> None:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_duplicates(item, path)
    if not isinstance(node, yaml.MappingNode):
        return
    first: dict[Any, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.value in first:
            raise XbenchError(
                f"{path}:{line}: {key.value!r} is there twice, first on line {first[key.value]}; "
                f"one of them would be lost"
            )
        first[key.value] = line
        _refuse_duplicates(value, path)

"""YAML files -> one checked catalogue; errors name file, line and field."""

import types
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from xbench.catalogue.registry.entries import Registry
from xbench.catalogue.registry_files import read_documents
from xbench.catalogue.yamlfile import Document, Place, about_booleans, below
from xbench.errors import XbenchError


def read_registry(base: Path, overlays: Sequence[Path]) -> Registry:
    """The catalogue in ``base``, extended and changed by the overlays in their order."""
    files = (base, *overlays)
    documents, content = read_documents(files)
    try:
        return Registry.model_validate({**content, "files": files})
    except ValidationError as error:
        lines = [_message(item, documents) for item in error.errors()]
        raise XbenchError("\n".join(lines)) from error


def _message(item: Any, documents: Sequence[Document]) -> str:
    place: Place = item["loc"]
    # The file that was read last and says anything about the field is the one to mend.
    reached = [(document, _depth(document, place)) for document in documents]
    deepest = max(depth for _, depth in reached)
    document = [document for document, depth in reached if depth == deepest][-1]
    line = document.line(place) or 1
    what = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        what = "unknown field" + _suggestion(place)
    elif item["type"] == "missing":
        what = "this field is missing"
    what += about_booleans(item.get("input"))
    field = ".".join(map(str, place))
    return f"{document.path}:{line}: {field}: {what}"


def _depth(document: Document, place: Place) -> int:
    node: yaml.Node | None = document.node
    for depth, part in enumerate(place):
        step = below(node, part)
        if step is None:
            return depth
        node = step[1]
    return len(place)


def _suggestion(place: Place) -> str:
    known = _fields_around(place)
    close = get_close_matches(str(place[-1]), known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known are {', '.join(known)}" if known else ""


def _fields_around(place: Place) -> list[str]:
    kind: Any = Registry
    for part in place[:-1]:
        kind = _step(kind, part)
    is_record = isinstance(kind, type) and issubclass(kind, BaseModel)
    return sorted(kind.model_fields) if is_record else []


def _step(kind: Any, part: str | int) -> Any:
    """The type of what lies under a name or number in a value of the type ``kind``."""
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(one for one in get_args(kind) if one is not type(None))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(str(part))
        return field.annotation if field else None
    arguments = get_args(kind)
    if not arguments:
        return None
    return arguments[1] if get_origin(kind) is dict else arguments[0]

"""Keys: sha256 over canonical JSON; and records that write themselves to JSON and read themselves back.

Values that JSON cannot hold raise; nothing is stringified.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

Record = TypeVar("Record")
_ABSENT = "absent where it is None"


def absent() -> Any:
    """The default of a record's field that is left out of its JSON where it is None.

    A field that came with a later version so leaves the keys of earlier ones as they were.
    """
    return dataclasses.field(default=None, metadata={_ABSENT: True})


def to_json(value: Any) -> Any:
    """A record (a dataclass) and all within it as mappings and lists.

    A record with a method ``to_json`` says itself what it is.
    """
    own = getattr(value, "to_json", None)
    return plain(value) if own is None else own()


def plain(value: Any) -> Any:
    """As :func:`to_json`, without asking the record itself."""
    if value is None or type(value) in (str, int, float, bool):  # nearly everything is
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((name, getattr(value, name), whole) for name, whole in _fields(type(value)))
        return {name: to_json(each) for name, each, whole in pairs if whole or each is not None}
    if isinstance(value, Mapping):
        return {name: to_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(each) for each in value]
    return value


@cache
def _fields(kind: Any) -> tuple[tuple[str, bool], ...]:
    """The fields of a record, and whether each is written where it is None too."""
    return tuple((f.name, _ABSENT not in f.metadata) for f in dataclasses.fields(kind))


def from_json(kind: type[Record], content: Any) -> Record:
    """The record of a kind that wrote ``content``, checked. Raises ``ValueError`` where it is none."""
    found: Record = _reader(kind).validate_python(content)  # type: ignore[arg-type]
    return found


@cache
def _reader(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no blanks, floats by their shortest repr.

    Raises ``TypeError`` for anything but JSON's own types and ``ValueError`` for NaN and infinities.
    """
    if not _is_json(value):
        _check(value, "$")
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def key_of(value: Any) -> str:
    """sha256 (hexadecimal) of the canonical JSON of a value, or of a record."""
    return digest_of(to_json(value))


def digest_of(value: Any) -> str:
    """The same of what is JSON already."""
    return hashlib.sha256(canonical(value).encode("utf-8")).hexdigest()


def _is_json(value: Any) -> bool:
    """Whether it is of JSON's own types throughout, nearly always so: no path is written down for it."""
    kind = type(value)
    if kind is dict:
        return all(type(name) is str and _is_json(item) for name, item in value.items())
    if kind is list or kind is tuple:
        return all(map(_is_json, value))
    return value is None or kind in (str, int, bool) or (kind is float and math.isfinite(value))


def _check(value: Any, where: str) -> None:
    """Raises where it is not, with the place; what derives from these types passes too."""
    if value is None or isinstance(value, (bool, str, int)):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}, which JSON cannot hold")
        return
    if isinstance(value, Mapping):
        for name, item in value.items():
            if not isinstance(name, str):
                raise TypeError(f"{where} has the key {name!r}; keys must be strings")
            _check(item, f"{where}.{name}")
        return
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check(item, f"{where}[{index}]")
        return
    raise TypeError(f"{where} is a {type(value).__name__}, which JSON cannot hold")

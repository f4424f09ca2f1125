"""Keys: sha256 over canonical JSON. Values that JSON cannot hold raise; nothing is stringified."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no blanks, floats by their shortest repr.

    Raises ``TypeError`` for anything but JSON's own types and ``ValueError`` for NaN and infinities.
    """
    _check(value, "$")
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def key_of(value: Any) -> str:
    """sha256 (hexadecimal) of the canonical JSON."""
    return hashlib.sha256(canonical(value).encode("utf-8")).hexdigest()


def _check(value: Any, where: str) -> None:
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

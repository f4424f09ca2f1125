"""What is wrong with a user's settings, in lines that name file, line and field as they were written."""

from collections.abc import Mapping

from pydantic import ValidationError

from xbench.catalogue.yamlfile import Document, about_booleans


def explain(error: ValidationError, where: str, document: Document | None = None) -> str:
    """A pydantic error as short lines: which field as the user wrote it, what is wrong, what it was.

    Of a field that may be a list or a mapping, what is wrong with the kind that was given.
    """
    found: dict[str, str] = {}
    for item in error.errors():
        place = [part for part in item["loc"] if not _is_internal(part)]
        field = ".".join(map(str, place))
        got = item.get("input")
        shown = f" (got {got!r})" if isinstance(got, (str, int, float, bool)) else ""
        message = item["msg"].removeprefix("Value error, ")
        if message == "Input should be a valid dictionary":
            message = "expected a mapping, as `name: value`"
        elif message in ("Input should be a valid tuple", "Input should be a valid list"):
            message = "expected a list"
        kind = next((str(part) for part in item["loc"] if _is_internal(part)), "")
        if kind and len(item["loc"]) == 2 and kind.startswith("dict[") != isinstance(got, Mapping):
            continue  # it was given as the other kind, and what is wrong with that is said
        line = document.line(place) if document else None
        begin = f"{where}:{line}" if line else where
        text = f"{begin}{': ' + field if field else ''}: {message}{shown}{about_booleans(got)}"
        found.setdefault(field, text)
    return "\n".join(found.values())


def _is_internal(part: str | int) -> bool:
    """Whether a part of a place is pydantic's name of a type, and no field."""
    return isinstance(part, str) and ("[" in part or "(" in part)

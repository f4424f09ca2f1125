"""HTML made of elements: whatever is not an element already is escaped, by construction."""

from collections.abc import Iterable
from html import escape

from xbench.report.render.escape import clean

VOID = frozenset({"br", "img", "input", "link", "meta"})
"""Elements that have no content and no end tag."""


class Html(str):
    """Text that is HTML: put into an element as it is."""

    __slots__ = ()


Attribute = str | int | bool | None


def text(value: str) -> Html:
    """A person's text as HTML, on one line and without control characters."""
    return Html(escape(clean(value)))


def join(parts: Iterable[str]) -> Html:
    """Several pieces one after the other; those that are not HTML are escaped."""
    return Html("".join(part if isinstance(part, Html) else text(part) for part in parts))


def element(tag: str, *children: str, **attributes: Attribute) -> Html:
    """An element; ``class_`` is written ``class``, and ``data_value`` is written ``data-value``.

    An attribute that is None or False is left out, one that is True has no value.
    """
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{join(children)}</{tag}>")


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{text(str(value))}"'

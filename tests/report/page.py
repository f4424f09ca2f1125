"""Pages read as a browser reads them: a tree of elements, and the data that the script is given."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from xbench.report.render.html import render
from xbench.report.table import Table

VOID = {"br", "img", "input", "link", "meta"}


@dataclass
class Element:
    """An element with its attributes and what it holds, texts among it."""

    tag: str
    attributes: dict[str, str | None] = field(default_factory=dict)
    children: list["Element | str"] = field(default_factory=list)

    def __iter__(self) -> Iterator["Element"]:
        """The element and everything below it, in order."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child

    def all(self, tag: str, kind: str | None = None) -> list["Element"]:
        """The elements of a tag, and of a class where one is given."""
        return [e for e in self if e.tag == tag and (kind is None or kind in e.classes)]

    @property
    def classes(self) -> list[str]:
        return (self.attributes.get("class") or "").split()

    @property
    def text(self) -> str:
        return "".join(c if isinstance(c, str) else c.text for c in self.children)

    def number(self, name: str) -> int:
        """A whole number that an attribute states; 1 where there is none."""
        return int(self.attributes.get(name) or 1)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Element("document")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} states an attribute twice"
        made = Element(tag, dict(attrs))
        self.open[-1].children.append(made)
        if tag not in VOID:
            self.open.append(made)

    def handle_endtag(self, tag: str) -> None:
        closed = self.open.pop()
        assert closed.tag == tag, f"</{tag}> closes <{closed.tag}>"

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def read_page(text: str) -> Element:
    """The tree of a page; every element that has an end is closed, and in order."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert len(reader.open) == 1, f"left open: {[e.tag for e in reader.open[1:]]}"
    return reader.open[0]


def sections(tables: Iterable[Table]) -> str:
    """The tables of a page alone, without what stands around them."""
    found = re.search(r'<p class="help"[^>]*>.*?</p>\n(.*\n)</main>', render(tables), re.DOTALL)
    assert found is not None
    return found[1]


def data_of(page: Element) -> dict[str, Any]:
    """The data of a page's cells."""
    (script,) = [e for e in page.all("script") if e.attributes.get("id") == "data"]
    content: dict[str, Any] = json.loads(script.text)
    return content

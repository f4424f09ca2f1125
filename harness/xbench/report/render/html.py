"""One self-contained page: tables that sort and filter, and every number opens where it is from.

Nothing is fetched: style, script, data and figures lie in the file. Whatever comes from a run is
escaped by construction (:mod:`xbench.report.render.element`), and the page's policy allows no other script.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from xbench.report.render.element import Html, element, join, text
from xbench.report.render.html_table import table_section
from xbench.report.render.page_data import PageData
from xbench.report.results.provenance import Provenance
from xbench.report.table import Table

MOST_LINES = 3
"""So many lines behind a claim are shown at once."""
Figure = tuple[str, str, str]
"""(title, SVG, caption)."""


@dataclass(frozen=True)
class ClaimFinding:
    """A claim about a run as a reader sees it.

    ``verdict`` is supported, contradicted or undecided; ``lines`` say with which effect, interval
    and n, and what would be needed to decide.
    """

    statement: str
    verdict: str
    lines: tuple[str, ...] = ()


def render(
    tables: Iterable[Table],
    figures: Sequence[Figure] = (),
    claims: Sequence[ClaimFinding] = (),
    provenance: Provenance | None = None,
    remarks: Sequence[str] = (),
) -> str:
    """The page. Without ``provenance`` a cell opens what the table itself knows of it.

    ``remarks`` say which figures there are not, and why.
    """
    provenance = provenance or Provenance()
    data = PageData(provenance)
    sections = list(_sections(list(tables), figures, claims, data))
    if remarks:
        sections.append(("left-out", "Figures left out", _remarks(remarks)))
    contents = [element("li", element("a", title, href=f"#{id}")) for id, title, _ in sections]
    style, script = _asset("report.css"), _asset("report.js")
    parts = {
        "title": text(_title(provenance)),
        "style": style,
        "style_hash": _hash(style),
        "script": script,
        "script_hash": _hash(script),
        "about": _about(provenance),
        "contents": element("ol", *contents),
        "body": join(section for _, _, section in sections),
        "data": data.json(),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], _asset("report.html"))


def _sections(
    tables: Sequence[Table],
    figures: Sequence[Figure],
    claims: Sequence[ClaimFinding],
    data: PageData,
) -> Iterable[tuple[str, str, Html]]:
    """(identifier, title, section) for everything that the contents list."""
    if claims:
        yield "claims", "Claims", _claims(claims)
    taken: set[str] = {"claims", "content", "help", "theme", "provenance", "data", "left-out"}
    for table in tables:
        id = _unique(table.label, taken)
        yield id, table.title, table_section(table, id, data)
    for figure in figures:
        id = _unique(f"fig:{figure[0]}", taken)
        yield id, figure[0], _figure(figure, id)


def _unique(label: str, taken: set[str]) -> str:
    """A label as an identifier that no other section of the page has."""
    plain = re.sub(r"[^A-Za-z0-9:_-]+", "-", label).strip("-") or "section"
    number = 1
    name = plain
    while name in taken:
        number += 1
        name = f"{plain}-{number}"
    taken.add(name)
    return name


def _title(provenance: Provenance) -> str:
    runs = [text for name, text in provenance.about if name == "run"]
    if len(runs) > 1:
        return f"xbench comparison: {' and '.join(runs)}"
    about = dict(provenance.about)
    names = [about[name] for name in ("suite", "encoder") if name in about]
    return f"xbench report: {', '.join(names)}" if names else "xbench report"


def _about(provenance: Provenance) -> Html:
    lines = [
        element("div", element("dt", name), element("dd", value))
        for name, value in provenance.about
    ]
    return element("dl", *lines, class_="about") if lines else Html()


def _claims(claims: Sequence[ClaimFinding]) -> Html:
    items = [
        element(
            "li",
            element(
                "p", element("span", claim.verdict, class_="verdict"), Html(": "), claim.statement
            ),
            _behind(claim.lines),
            class_=claim.verdict,
        )
        for claim in claims
    ]
    return element(
        "section", element("h2", "Claims"), element("ul", *items, class_="claims"), id="claims"
    )


def _remarks(remarks: Sequence[str]) -> Html:
    items = element("ul", *(element("li", line) for line in remarks), class_="caption")
    return element("section", element("h2", "Figures left out"), items, id="left-out")


def _behind(lines: Sequence[str]) -> Html:
    """What a verdict rests on, folded where it is much."""
    if len(lines) <= MOST_LINES:
        return join(element("p", line, class_="caption") for line in lines)
    summary = element("summary", f"What it rests on ({len(lines)} lines)")
    items = element("ul", *(element("li", line) for line in lines), class_="caption")
    return element("details", summary, items)


def _figure(figure: Figure, id: str) -> Html:
    """An image, not elements of the page: what an SVG may hold of scripts and links is inert."""
    title, svg, caption = figure
    source = base64.b64encode(svg.encode("utf-8")).decode("ascii")
    image = element("img", src=f"data:image/svg+xml;base64,{source}", alt=f"{title}. {caption}")
    return element(
        "section",
        element("h2", title),
        element("figure", image, element("figcaption", caption)),
        id=id,
    )


@cache
def _asset(name: str) -> Html:
    """A file of the page, without the line end that would follow it there."""
    found = files("xbench.report") / "assets" / name
    return Html(found.read_text(encoding="utf-8").rstrip("\n"))


def _hash(content: str) -> str:
    """The digest by which a content security policy knows an element's text."""
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"

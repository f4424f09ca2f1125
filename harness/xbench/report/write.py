"""Writes the files of a report: tables, figures and claims in each format, every file in one step."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from xbench.files import write_atomic
from xbench.report.figures.gallery import FOLDER, Gallery
from xbench.report.render import csv_tables, html, latex, markdown, terminal
from xbench.report.results.provenance import Provenance
from xbench.report.table import Table

if TYPE_CHECKING:
    pass

RENDERERS: dict[str, Callable[[Iterable[Table]], str]] = {
    "markdown": markdown.render,
    "latex": latex.render,
    "latex-document": latex.render_document,
    "terminal": terminal.render,
    "html": html.render,
    "csv": csv_tables.render,
}


@dataclass(frozen=True)
class Files:
    """The files of a format: ``each`` renders those of one name of tables, ``whole`` that of all."""

    suffix: str
    each: str | None
    whole: str | None


FILES = {
    "markdown": Files("md", "markdown", "markdown"),
    "latex": Files("tex", "latex", "latex-document"),
    "html": Files("html", None, "html"),
    "csv": Files("csv", "csv", None),
}

PICTURES = {"markdown": "svg", "html": "svg", "latex": "pdf"}
"""The format of pictures that goes with a report's."""


@dataclass(frozen=True)
class Extras:
    """What a report shows beside tables (see :func:`xbench.report.render.html.render`)."""

    figures: Gallery = field(default_factory=Gallery)
    claims: Sequence[html.ClaimFinding] = ()
    provenance: Provenance | None = None


def render(tables: Sequence[Table], format: str) -> str:
    """Tables as text: ``markdown``, ``latex``, ``latex-document``, ``html``, ``csv``, ``terminal``."""
    if format not in RENDERERS:
        raise ValueError(f"unknown format {format!r}; choose from {', '.join(RENDERERS)}")
    return RENDERERS[format](tables)


def write_report(
    tables: Sequence[Table], folder: Path, formats: Sequence[str], extras: Extras | None = None
) -> list[Path]:
    r"""Writes one file per table name and one with all of them, for each format.

    ``markdown`` gives ``table1.md``, ``per_language.md`` and ``report.md``; ``latex`` gives
    ``table1.tex`` and ``per_language.tex`` for ``\input``, and the document ``report.tex``;
    ``csv`` gives ``table1.csv`` and ``per_language.csv``; ``html`` gives the page ``report.html``.
    Figures are in the page; ``markdown`` and ``latex`` have theirs in ``figures/``, and LaTeX's floats
    for ``\input`` in ``figures.tex``.
    Each file is replaced in one step, so that a reader never sees half of one.
    """
    unknown = [name for name in formats if name not in FILES]
    if unknown:
        raise ValueError(f"cannot write {', '.join(unknown)}; choose from {', '.join(FILES)}")
    by_name: dict[str, list[Table]] = {}
    for table in tables:
        by_name.setdefault(table.name, []).append(table)
    if taken := {"report", FOLDER} & set(by_name):
        raise ValueError(f"no table may be named {min(taken)!r}: that file holds something else")
    texts: dict[Path, str] = {}
    for name in formats:
        of_format = FILES[name]
        for stem, members in by_name.items() if of_format.each else ():
            texts[folder / f"{stem}.{of_format.suffix}"] = render(members, str(of_format.each))
        if of_format.whole:
            texts[folder / f"report.{of_format.suffix}"] = _whole(tables, of_format.whole, extras)
    figures = extras.figures if extras else Gallery()
    if "latex" in formats and figures.pictures:
        texts[folder / f"{FOLDER}.tex"] = figures.latex()
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        write_atomic(path, text)
    suffixes = [PICTURES[name] for name in formats if name in PICTURES and name != "html"]
    return [*texts, *figures.write(folder / FOLDER, suffixes)]


def _whole(tables: Sequence[Table], format: str, extras: Extras | None) -> str:
    if extras and format == "html":
        figures = extras.figures
        return html.render(tables, figures.page, extras.claims, extras.provenance, figures.left_out)
    text = render(tables, format)
    if extras and format == "markdown" and extras.figures:
        return f"{text}\n{extras.figures.markdown()}"
    return text

"""All figures of a report: draws those that the run has data for, and says why others are left out."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from xbench.files import write_atomic
from xbench.report.figures.canvas import render
from xbench.report.figures.curves import curve_figures
from xbench.report.figures.heatmap import heat_figures
from xbench.report.figures.layers import layer_figures
from xbench.report.figures.maps import map_figures
from xbench.report.figures.material import Drawing, Lacking, Material
from xbench.report.figures.scatter import scatter_figures
from xbench.report.render import escape

FIGURES: tuple[Callable[[Material], Iterator[Drawing | Lacking]], ...] = (
    heat_figures,
    scatter_figures,
    layer_figures,
    map_figures,
    curve_figures,
)
"""In the order in which a report shows them. Each yields what it can draw, and what it cannot."""

FOLDER = "figures"
SIZE = r"width=\linewidth,height=0.75\textheight,keepaspectratio"


@dataclass(frozen=True)
class Picture:
    """A drawn figure: its bytes in each format, and what stands around it."""

    name: str
    title: str
    caption: str
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Gallery:
    """The figures of a report, and those that it has not."""

    pictures: tuple[Picture, ...] = ()
    lacking: tuple[Lacking, ...] = ()

    @property
    def page(self) -> list[tuple[str, str, str]]:
        """(title, SVG, caption) of each, as a page shows them."""
        return [(p.title, p.files["svg"].decode("utf-8"), p.caption) for p in self.pictures]

    @cached_property
    def left_out(self) -> list[str]:
        """A sentence for each figure that there is not."""
        return [f"{each.title}: left out, since {each.reason}." for each in self.lacking]

    def markdown(self, folder: str = FOLDER) -> str:
        """A section with all figures, for a page beside their ``folder``."""
        parts = ["## Figures"]
        for picture in self.pictures:
            title, caption = (
                escape.markdown(picture.title),
                escape.markdown_paragraph(picture.caption),
            )
            parts += [f"### {title}", f"![{title}]({folder}/{picture.name}.svg)", caption]
        if self.left_out:
            parts.append(
                "\n".join(f"- {escape.markdown_paragraph(line)}" for line in self.left_out)
            )
        return "\n\n".join(parts) + "\n"

    def latex(self, folder: str = FOLDER) -> str:
        r"""A float for each figure, for ``\input`` into a document that loads graphicx.

        The document is compiled beside ``folder``, or names the place with ``\graphicspath``.
        """
        return "\n".join(_float(picture, folder) for picture in self.pictures)

    def __bool__(self) -> bool:
        return bool(self.pictures or self.lacking)

    def write(self, folder: Path, formats: Collection[str]) -> list[Path]:
        """Writes ``NAME.pdf`` and the like into ``folder``, each in one step; returns the paths."""
        written = []
        for picture in self.pictures:
            for suffix, content in picture.files.items():
                if suffix in formats:
                    folder.mkdir(parents=True, exist_ok=True)
                    path = folder / f"{picture.name}.{suffix}"
                    write_atomic(path, content)
                    written.append(path)
        return written


def build_gallery(material: Material, formats: Sequence[str] = ("svg", "pdf")) -> Gallery:
    """Draws every figure that the material has data for, in all ``formats``."""
    found = [each for figure in FIGURES for each in figure(material)]
    pictures: list[Picture] = []
    taken: set[str] = set()
    for each in found:
        if isinstance(each, Drawing):
            name = _file_name(each.name, taken)
            files = render(each.draw, tuple(formats))
            title, caption = escape.clean(each.title), escape.clean(each.caption)
            pictures.append(Picture(name, title, caption, files))
    return Gallery(tuple(pictures), tuple(each for each in found if isinstance(each, Lacking)))


def _file_name(name: str, taken: set[str]) -> str:
    """Letters, digits and hyphens, as LaTeX and every file system take; no two alike."""
    plain = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lower()[:80] or "figure"
    number, found = 1, plain
    while found in taken:
        number += 1
        found = f"{plain}-{number}"
    taken.add(found)
    return found


def _float(picture: Picture, folder: str) -> str:
    lines = [
        r"\begin{figure}[htbp]",
        r"  \centering",
        rf"  \includegraphics[{SIZE}]{{{folder}/{picture.name}.pdf}}",
        rf"  \caption[{escape.latex(picture.title)}]{{{escape.latex(picture.caption)}}}",
        rf"  \label{{fig:{picture.name}}}",
        r"\end{figure}",
    ]
    return "\n".join(lines) + "\n"

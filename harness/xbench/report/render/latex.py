r"""LaTeX with booktabs and nothing else: one ``table`` per table, ready for ``\input``."""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from xbench.report.render.escape import latex
from xbench.report.table import Table, TableCell, TableRow

WIDE_FROM = 5
"""Tables of so many columns span both columns of a two-column page."""

_PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage{iftex}
\ifpdftex
  \usepackage[utf8]{inputenc}
\else
  \usepackage{fontspec}% for other scripts: lualatex or xelatex, and a \setmainfont that has them
\fi
\usepackage[a4paper, margin=15mm]{geometry}
\usepackage{booktabs}
\begin{document}
"""


def render(tables: Iterable[Table]) -> str:
    r"""The tables one after the other; the document needs ``\usepackage{booktabs}``."""
    return "% Needs \\usepackage{booktabs}.\n" + "\n".join(map(render_table, tables))


def render_document(tables: Iterable[Table]) -> str:
    """A document of its own with all tables."""
    body = "\n\\clearpage\n".join(map(render_table, tables))
    return f"{_PREAMBLE}{body}\n\\end{{document}}\n"


def render_table(table: Table) -> str:
    """One floating table: caption above, booktabs rules, notes below in small print."""
    environment = "table*" if len(table.columns) >= WIDE_FROM else "table"
    lines = [
        rf"\begin{{{environment}}}",
        r"\centering",
        rf"\caption{{{latex(table.caption)}}}",
        rf"\label{{{_label(table.label)}}}",
        r"\par\smallskip\scriptsize",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{l{'c' * len(table.columns)}}}",
        r"\toprule",
        *_head(table),
        *_body(table),
        r"\bottomrule",
        r"\end{tabular}",
        *_notes(table.notes),
        rf"\end{{{environment}}}",
    ]
    return "\n".join(lines) + "\n"


def _label(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9:.-]", "-", label)


def _head(table: Table) -> list[str]:
    lines: list[str] = []
    depth = len(table.columns[0].group) if table.columns else 0
    for level in range(depth):
        lines += _spanning_level([column.group[: level + 1] for column in table.columns])
    labels = [latex(column.label) for column in table.columns]
    return [*lines, _line([latex(table.stub), *labels])]


def _spanning_level(groups: Sequence[tuple[str, ...]]) -> list[str]:
    """One header level: equal neighbours (outer levels included) share a cell with a rule below."""
    cells, rules, start = [""], [], 2
    for group, members in groupby(groups):
        width = len(list(members))
        name = latex(group[-1])
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{name}}}")
        if name:
            rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    return [_line(cells), "".join(rules)] if rules else []


def _body(table: Table) -> list[str]:
    lines: list[str] = []
    previous: tuple[str, ...] | None = None
    for row, cells in zip(table.rows, table.cells, strict=True):
        if row.group != previous:
            lines.append(r"\midrule")
            if row.group:
                name = latex(", ".join(row.group))
                lines.append(_line([rf"\multicolumn{{{len(table.columns) + 1}}}{{l}}{{{name}}}"]))
                lines.append(r"\addlinespace[1pt]")
            previous = row.group
        lines += _row(row, cells)
    return lines


def _row(row: TableRow, cells: Sequence[TableCell]) -> list[str]:
    """The main line of a row, and one further line for each line of details."""
    label = latex(row.label)
    lines = [_line([rf"\emph{{{label}}}" if row.control and label else label, *_texts(cells)])]
    depth = max((len(cell.details) for cell in cells), default=0)
    lines += [_line(["", *_details(cells, number)]) for number in range(depth)]
    return [*lines, r"\addlinespace[2pt]"]


def _texts(cells: Sequence[TableCell]) -> list[str]:
    texts = []
    for cell in _visible(cells):
        text = latex(cell.text)
        texts.append(_spanned(rf"\textbf{{{text}}}" if cell.best and text else text, cell))
    return texts


def _details(cells: Sequence[TableCell], number: int) -> list[str]:
    return [
        _spanned(latex(cell.details[number]) if number < len(cell.details) else "", cell)
        for cell in _visible(cells)
    ]


def _visible(cells: Sequence[TableCell]) -> list[TableCell]:
    return [cell for cell in cells if cell.status != "covered"]


def _spanned(text: str, cell: TableCell) -> str:
    return text if cell.span == 1 else rf"\multicolumn{{{cell.span}}}{{c}}{{{text}}}"


def _line(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def _notes(notes: Sequence[str]) -> list[str]:
    if not notes:
        return []
    return [
        r"\par\smallskip",
        r"\begin{minipage}{0.97\linewidth}\raggedright",
        *map(latex, notes),
        r"\end{minipage}",
    ]

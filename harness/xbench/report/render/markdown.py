"""GitHub's Markdown: one table per group of rows, because Markdown has no spanning cells."""

from collections.abc import Iterable, Sequence

from xbench.report.render.escape import markdown, markdown_paragraph
from xbench.report.table import Table, TableCell, TableRow, row_panels, stub_text, varying_labels


def render(tables: Iterable[Table]) -> str:
    """The tables under each other, each with its title, caption and notes."""
    return "\n".join(render_table(table) for table in tables)


def render_table(table: Table) -> str:
    """One table as a section."""
    parts = [f"## {markdown(table.title)}", markdown_paragraph(table.caption)]
    for panel in row_panels(table):
        if panel.title != table.title:
            parts.append(f"**{markdown(panel.title)}**")
        parts.append(_grid(panel))
    if table.notes:
        parts.append("\n".join(f"- {markdown_paragraph(note)}" for note in table.notes))
    return "\n\n".join(part for part in parts if part) + "\n"


def _grid(table: Table) -> str:
    _, labels = varying_labels(table.columns)
    lines = [
        _line([markdown(stub_text(table)), *map(markdown, labels)]),
        _line(["---", *["---:"] * len(labels)]),
    ]
    for row, cells in zip(table.rows, table.cells, strict=True):
        lines.append(_line([_row_label(row), *map(_cell, cells)]))
    return "\n".join(lines)


def _row_label(row: TableRow) -> str:
    label = markdown(row.label)
    return f"*{label}*" if row.control and label else label


def _cell(cell: TableCell) -> str:
    text = markdown(cell.text)
    if cell.best and text:
        text = f"**{text}**"
    return "<br>".join(part for part in (text, markdown(" ".join(cell.details))) if part)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

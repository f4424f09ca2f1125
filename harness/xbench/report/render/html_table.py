"""A table as HTML: headers in levels, a body for each group of rows, a button for each number."""

from itertools import groupby

from xbench.report.render.element import Html, element, join
from xbench.report.render.page_data import PageData
from xbench.report.table import Column, Table, TableCell, TableRow, column_of

GAPS = ("failed", "blocked", "missing", "incomplete", "absent")


def table_section(table: Table, id: str, data: PageData) -> Html:
    """Heading, caption, filter, the table itself, and its notes; cells are added to ``data``."""
    heading = f"{id}-title"
    bodies = groupby(zip(table.rows, table.cells, strict=True), key=lambda line: line[0].group)
    grid = element(
        "table",
        element("thead", *_head(table)),
        *(_body(table, group, list(lines), data) for group, lines in bodies),
        role="grid",
        aria_labelledby=heading,
        aria_describedby="help",
        class_=None if _has_numbers(table) else "words",
    )
    return element(
        "section",
        element("h2", table.title, id=heading),
        element("p", table.caption, class_="caption") if table.caption else Html(),
        _tools(table, id),
        element("div", grid, class_="scroll"),
        _notes(table),
        class_="table",
        id=id,
    )


def _has_numbers(table: Table) -> bool:
    return any(cell.value is not None for cells in table.cells for cell in cells)


def _tools(table: Table, id: str) -> Html:
    count = len(table.rows)
    return element(
        "div",
        element(
            "label",
            "Filter rows",
            element("input", type="search", id=f"{id}-filter", autocomplete="off"),
        ),
        element("output", f"{count} of {count} rows", for_=f"{id}-filter"),
        class_="tools",
    )


def _head(table: Table) -> list[Html]:
    depth = len(table.columns[0].group) if table.columns else 0
    levels = [_level(table, level) for level in range(depth)]
    labels = [_sortable(column.label) for column in table.columns]
    return [
        *(level for level in levels if level),
        element("tr", _sortable(table.stub, "corner"), *labels),
    ]


def _level(table: Table, level: int) -> Html:
    """One level above the labels: equal neighbours (outer levels included) share a header."""
    runs = groupby(column.group[: level + 1] for column in table.columns)
    spans = [(group[-1], len(list(members))) for group, members in runs]
    if not any(name for name, _ in spans):
        return Html()
    headers = [
        element("th", name, scope="colgroup", colspan=width)
        if name
        else element("td", colspan=width)
        for name, width in spans
    ]
    return element("tr", element("td", class_="corner"), *headers)


def _sortable(label: str, kind: str | None = None) -> Html:
    button = element("button", label, type="button", class_="sort")
    return element("th", button, scope="col", aria_sort="none", class_=kind)


def _body(
    table: Table,
    group: tuple[str, ...],
    lines: list[tuple[TableRow, tuple[TableCell, ...]]],
    data: PageData,
) -> Html:
    rows = [_row(table, row, cells, data) for row, cells in lines]
    if any(group):
        name = element("span", ", ".join(name for name in group if name))
        header = element("th", name, scope="rowgroup", colspan=len(table.columns) + 1)
        rows.insert(0, element("tr", header, class_="group"))
    return element("tbody", *rows)


def _row(table: Table, row: TableRow, cells: tuple[TableCell, ...], data: PageData) -> Html:
    shown = [
        _cell(table, row, column_of(table, place, cell), cell, data)
        for place, cell in enumerate(cells)
        if cell.status != "covered"
    ]
    header = element("th", row.label, scope="row")
    return element("tr", header, *shown, class_="control" if row.control else None)


def _cell(table: Table, row: TableRow, column: Column, cell: TableCell, data: PageData) -> Html:
    kinds = [
        *([cell.status] if cell.status != "done" else []),
        *(["best"] if cell.best else []),
        *(["spanning"] if cell.span > 1 else []),
    ]
    attributes: dict[str, str | int | bool | None] = {
        "class_": " ".join(kinds) or None,
        "colspan": cell.span if cell.span > 1 else None,
        "data_value": None if cell.value is None else repr(cell.value),
        "data_gap": cell.status in GAPS,
    }
    if not (cell.text or cell.details):
        return element("td", **attributes)
    number = data.add(table, row, column, cell)
    details = element("small", " ".join(cell.details)) if cell.details else Html()
    button = element("button", cell.text, details, type="button", class_="cell", data_cell=number)
    return element("td", button, **attributes)


def _notes(table: Table) -> Html:
    if not table.notes:
        return Html()
    summary = element("summary", f"Notes ({len(table.notes)})")
    items = join(element("li", note) for note in table.notes)
    return element("details", summary, element("ul", items), class_="notes", open=True)

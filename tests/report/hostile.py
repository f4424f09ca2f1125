"""Names that a plugin may give itself, and a table that has one everywhere."""

from xbench.report.table import COVERED, Column, Table, TableCell, TableRow

SCRIPT = "<script>alert(1)</script>"
NAMES = (
    SCRIPT,
    "</script><img src=x onerror=alert(1)>",
    "_ & % # < > \" ' \\ $ ~ ^ | ` { } [ ] * -- ± − †",
    "שלום עולם",
    "مرحبا بالعالم",
    "日本語 漢字 한국어",
    "қазақ тілі",
    "e\u0301 \U0001f600",
)


def hostile_table(name: str) -> Table:
    """Two groups of rows and of columns, a spanning cell, a gap, details and notes."""
    columns = (Column(name, (name,)), Column("b", (name,)), Column("c", ("",)))
    rows = (TableRow(name, (name,), control=True), TableRow("r", (name,)), TableRow("s", ("",)))
    cells = (
        (
            TableCell(name, best=True, value=0.25, details=(name, "2"), span=2),
            COVERED,
            TableCell(""),
        ),
        (
            TableCell("failed", "failed", gaps=(name,)),
            TableCell(name, value=0.5, keys=(name,)),
            TableCell("x"),
        ),
        (TableCell("1", value=1.0), TableCell("2", value=2.0, n=3, spread=0.1), TableCell(name)),
    )
    return Table(
        name="t",
        label=f"tab:{name}",
        title=name,
        caption=name,
        columns=columns,
        rows=rows,
        cells=cells,
        stub=name,
        notes=(name,),
    )

"""Names of every kind, through every renderer: what is shown is the name, and nothing else happens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbench.report.render import terminal
from xbench.report.render.escape import clean, latex
from xbench.report.table import Column, Table, TableCell, TableRow
from xbench.report.write import RENDERERS, render

from .hostile import NAMES, hostile_table
from .page import read_page

texts = st.one_of(st.text(max_size=40), st.sampled_from(NAMES), st.text(alphabet="[]\\/*_`<>&|~-#"))


def one_cell(label: str, inside: str) -> Table:
    columns, rows = (Column(label, ("",)),), (TableRow(label, ("",)),)
    return Table(
        "t", "t", label, label, columns, rows, ((TableCell(inside, value=1.0),),), stub=label
    )


@pytest.mark.parametrize("form", RENDERERS)
@pytest.mark.parametrize("name", NAMES)
def test_every_renderer_takes_every_name_everywhere(name: str, form: str) -> None:
    text = render([hostile_table(name)], form)
    assert text
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("form", RENDERERS)
def test_every_renderer_keeps_the_direction_of_writing_and_the_line(form: str) -> None:
    evil = "a\u202eb\x1b[31mc\nd\x00e"
    text = render([one_cell(evil, evil)], form)
    for char in "\u202e\x1b\x00":
        assert char not in text


def shown_in_markdown(text: str) -> list[list[str]]:
    """The cells of the only table, as a renderer of GitHub's kind shows them."""
    markdown_it = pytest.importorskip("markdown_it")
    parser = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])
    page = read_page(parser.render(text))
    assert not [e for e in page if e.tag in ("script", "img", "a", "em", "code", "del")]
    (table,) = page.all("table")
    return [[cell.text for cell in row.all("th") + row.all("td")] for row in table.all("tr")]


@pytest.mark.parametrize("name", NAMES)
def test_markdown_shows_names_to_a_reader(name: str) -> None:
    label = clean(name)
    assert shown_in_markdown(render([one_cell(name, name)], "markdown")) == [
        [label, label],
        [label, label],
    ]


@given(texts, texts)
def test_markdown_shows_any_text_to_a_reader(label: str, inside: str) -> None:
    cells = shown_in_markdown(render([one_cell(label, inside)], "markdown"))
    expected = [[clean(label)] * 2, [clean(label), clean(inside)]]
    assert cells == [[text.strip() for text in row] for row in expected]


@pytest.mark.parametrize("name", NAMES)
def test_the_terminal_shows_names(name: str) -> None:
    table = Table("t", "t", "T", "", (Column(name),), (TableRow(name),), ((TableCell(name),),))
    assert terminal.render([table], 300).count(clean(name)) == 3


@given(texts, texts)
def test_the_terminal_takes_any_text(label: str, inside: str) -> None:
    text = terminal.render([one_cell(label, inside)], 80)
    assert "\x1b" not in text


@pytest.mark.parametrize("name", NAMES)
def test_latex_has_names_escaped(name: str) -> None:
    assert render([one_cell(name, name)], "latex").count(latex(name)) >= 4

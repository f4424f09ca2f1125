"""The page: well-formed, whole in itself, safe with any name, and true to its tables."""

import base64
import hashlib
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbench.report.render.element import element, text
from xbench.report.render.escape import clean
from xbench.report.render.html import ClaimFinding
from xbench.report.render.html import render as render_page
from xbench.report.results.provenance import Provenance, StageRecord
from xbench.report.table import Column, Table, TableCell, TableRow
from xbench.report.tables.study import build_tables
from xbench.report.write import render

from .hostile import NAMES, SCRIPT, hostile_table
from .page import Element, data_of, read_page, sections

texts = st.one_of(
    st.text(), st.text(alphabet="<>&\"'/=!-script \n\0\u202e\u2028"), st.sampled_from(NAMES)
)


def hostile_page(name: str) -> Element:
    """A page with a name wherever a name can stand."""
    stage = StageRecord("score", name, "failed", {name: {name: name}}, {"device": name}, error=name)
    row = {"metric": name, "language": name, "seed": 1, "value": None, "status": "failed"}
    provenance = Provenance(
        about=(("suite", name), (name, name)),
        rows={name: [row | {"key": name, "reason": name, "objective": name}]},
        chains={name: (name,)},
        stages={name: stage},
    )
    figure = (name, f"<svg xmlns='http://www.w3.org/2000/svg'>{text(name)}</svg>", name)
    claim = ClaimFinding(name, name, (name,))
    return read_page(render_page([hostile_table(name)], [figure], [claim], provenance))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_text_and_never_an_element(name: str) -> None:
    page = hostile_page(name)
    assert [e.attributes for e in page.all("script")] == [
        {"type": "application/json", "id": "data"},
        {},
    ]
    assert [e.attributes["alt"] for e in page.all("img")] == [f"{clean(name)}. {clean(name)}"]
    assert all(not name.startswith("on") for e in page for name in e.attributes)
    (table,) = page.all("table")
    assert [cell.text for cell in table.all("th", "corner")] == [clean(name)]
    assert table.all("button", "cell")[0].text == clean(name) + clean(name) + " 2"
    assert clean(name) in [item.text for item in page.all("li")]
    assert clean(name) in page.all("title")[0].text


def test_an_alert_in_a_name_is_in_the_data_as_text() -> None:
    page = hostile_page(SCRIPT)
    data = data_of(page)
    assert {"objective": SCRIPT} in data["values"]
    assert data["stages"][0]["error"] == SCRIPT
    assert "<" not in page.all("script")[0].text


@given(texts, texts, texts)
def test_any_text_survives(label: str, inside: str, note: str) -> None:
    table = Table(
        name="t",
        label=label,
        title=label,
        caption=note,
        columns=(Column(label, (note,)),),
        rows=(TableRow(label, (note,)),),
        cells=((TableCell(inside, value=0.5, details=(note,)),),),
        stub=note,
        notes=(note,),
    )
    page = read_page(sections([table]))
    assert page.all("h2")[0].text == clean(label)
    assert page.all("th", "corner")[-1].text == clean(note)
    if inside or note:
        expected = clean(inside) + (clean(note) if note else "")
        assert [b.text for b in page.all("button", "cell")] == [expected]
    assert not page.all("script")


@given(texts, texts)
def test_elements_escape_whatever_is_no_element(content: str, value: str) -> None:
    made = read_page(element("p", content, element("b", content), title=value))
    (paragraph,) = made.all("p")
    assert paragraph.text == clean(content) * 2
    assert paragraph.attributes == {"title": clean(value)}


def test_rows_fill_the_table(study: pd.DataFrame) -> None:
    for table in build_tables(study):
        page = read_page(sections([table]))
        widths = {
            sum(e.number("colspan") for e in row.children if isinstance(e, Element))
            for row in page.all("tr")
        }
        assert widths == {len(table.columns) + 1}
        rows = [row for row in page.all("tbody")[0].all("tr") if "group" not in row.classes]
        assert rows


def test_every_shown_cell_opens_its_own_data(study: pd.DataFrame) -> None:
    tables = build_tables(study)
    page = read_page(render(tables, "html"))
    cells = data_of(page)["cells"]
    buttons = page.all("button", "cell")
    assert [button.number("data-cell") for button in buttons] == [*range(len(cells))]
    shown = [cell for table in tables for line in table.cells for cell in line if cell.text]
    assert [b["text"][0] for b in cells] == [cell.text for cell in shown]
    assert [b.get("value") for b in cells] == [cell.value for cell in shown]
    assert [b["status"] for b in cells] == [cell.status for cell in shown]


def test_headers_sort_and_say_what_they_are_for() -> None:
    page = read_page(sections([hostile_table("x")]))
    headers = [e for e in page.all("th") if "aria-sort" in e.attributes]
    assert [h.text for h in headers] == ["x", "x", "b", "c"]
    assert all(h.attributes["aria-sort"] == "none" for h in headers)
    assert all(h.attributes["scope"] == "col" for h in headers)
    assert all(b.attributes["type"] == "button" for b in page.all("button"))
    ids = [e.attributes["id"] for e in page if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    grid = page.all("table")[0].attributes
    assert grid["aria-labelledby"] in ids


def test_a_gap_is_marked_for_sorting_and_for_the_eye() -> None:
    page = read_page(sections([hostile_table("x")]))
    gaps = [e for e in page.all("td") if "data-gap" in e.attributes]
    assert [(e.text, e.classes) for e in gaps] == [("failed", ["failed"])]
    values = [e.attributes["data-value"] for e in page.all("td") if "data-value" in e.attributes]
    assert values == ["0.25", "0.5", "1.0", "2.0"]


def test_the_page_needs_nothing_but_itself(study: pd.DataFrame) -> None:
    figure = ("F", "<svg xmlns='http://www.w3.org/2000/svg'/>", "c")
    page = read_page(render_page(build_tables(study), [figure]))
    for made in page:
        for name in ("src", "href"):
            target = made.attributes.get(name)
            assert target is None or target.startswith(("#", "data:image/svg+xml;base64,"))
    style = page.all("style")[0].text
    assert "url(" not in style
    assert "@import" not in style
    links = {e.attributes["href"] for e in page.all("a")}
    ids = {f"#{e.attributes['id']}" for e in page if "id" in e.attributes}
    assert links <= ids


def test_only_its_own_script_and_style_may_act(study: pd.DataFrame) -> None:
    page = read_page(render(build_tables(study), "html"))
    (policy,) = [
        str(e.attributes["content"])
        for e in page.all("meta")
        if e.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert "default-src 'none'" in policy
    for kind, content in (
        ("style", page.all("style")[0].text),
        ("script", page.all("script")[1].text),
    ):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert not [e for e in page if "style" in e.attributes]


def test_figures_and_claims_have_their_sections() -> None:
    svg = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    claims = [
        ClaimFinding("A holds", "supported", ("+1.0 [0.5, 1.5], n = 3",)),
        ClaimFinding("B", "undecided"),
    ]
    page = read_page(render_page([], [("Figure 1", svg, "what it shows")], claims))
    (image,) = page.all("img")
    source = str(image.attributes["src"]).removeprefix("data:image/svg+xml;base64,")
    assert base64.b64decode(source).decode() == svg
    assert image.attributes["alt"] == "Figure 1. what it shows"
    assert len(page.all("script")) == 2
    items = page.all("ul", "claims")[0].all("li")
    assert [item.classes for item in items] == [["supported"], ["undecided"]]
    assert items[0].text == "supported: A holds+1.0 [0.5, 1.5], n = 3"
    assert [e.text for e in page.all("nav")[0].all("a")] == ["Claims", "Figure 1"]


def test_figures_that_there_are_not_are_named() -> None:
    page = read_page(render_page([], remarks=["Maps: left out, since <b> was not measured."]))
    (section,) = [e for e in page.all("section") if e.attributes.get("id") == "left-out"]
    assert [e.text for e in section.all("li")] == ["Maps: left out, since <b> was not measured."]
    assert [e.text for e in page.all("nav")[0].all("a")] == ["Figures left out"]


def test_many_lines_behind_a_claim_are_folded() -> None:
    claims = [
        ClaimFinding("A", "undecided", ("1", "2", "3")),
        ClaimFinding("B", "undecided", tuple("1234")),
    ]
    page = read_page(render_page([], (), claims))
    first, second = page.all("ul", "claims")[0].all("li", "undecided")
    assert not first.all("details")
    assert second.all("summary")[0].text == "What it rests on (4 lines)"
    assert [item.text for item in second.all("ul")[0].all("li")] == ["1", "2", "3", "4"]


def test_a_cell_brings_its_rows_seeds_and_stages_each_once() -> None:
    def row(key: str, language: str, value: float) -> dict[str, object]:
        names = {"metric": "accuracy", "language": language, "seed": 15, "status": "done"}
        return {"key": key, "value": value, "task": "pos"} | names

    stages = {
        key: StageRecord(
            kind, key, "done", {"task": "pos", "of": kind}, {"device": "cpu"}, 0.0, 1.5, 2**20
        )
        for key, kind in (("f", "finetune"), ("a", "score"), ("b", "score"))
    }
    provenance = Provenance(
        rows={"a": [row("a", "deu", 0.25)], "b": [row("b", "kaz", 0.75)]},
        chains={"a": ("f", "a"), "b": ("f", "b")},
        stages=stages,
    )
    cells = (
        (TableCell("50", value=0.5, keys=("a", "b")), TableCell("25", value=0.25, keys=("a",))),
    )
    table = Table("t", "t", "t", "", (Column("x"), Column("y")), (TableRow("r"),), cells)
    data = data_of(read_page(render_page([table], provenance=provenance)))
    assert [cell["rows"] for cell in data["cells"]] == [[0, 1], [0]]
    assert data["cells"][0]["seeds"] == [["accuracy", None, 15, 0.5, 2]]
    assert "seeds" not in data["cells"][1]  # the mean of one value is no news
    assert [stage["key"] for stage in data["stages"]] == ["f", "a", "b"]
    assert data["rows"][1]["stages"] == [0, 2]
    assert data["stages"][0]["seconds"] == 1.5
    spec = {n: data["values"][place] for n, place in data["stages"][0]["spec"].items()}
    assert spec == {"task": "pos", "of": "finetune"}


def test_tables_of_equal_labels_have_places_of_their_own() -> None:
    table = Table("t", "tab:t", "t", "", (Column("x"),), (TableRow("r"),), ((TableCell("1"),),))
    page = read_page(render_page([table, table]))
    assert [e.attributes["id"] for e in page.all("section")] == ["tab:t", "tab:t-2"]


def test_the_page_is_a_pure_function_of_its_tables(study: pd.DataFrame) -> None:
    first, second = (render(build_tables(frame), "html") for frame in (study, study[::-1]))
    assert first == second
    assert re.search(r"\{\{\w+\}\}", first) is None


def test_braces_in_a_name_are_not_a_place_of_the_template() -> None:
    page = hostile_page("{{data}} \\1 \\g<0>")
    assert page.all("h2")[1].text == "{{data}} \\1 \\g<0>"

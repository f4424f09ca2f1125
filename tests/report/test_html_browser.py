"""The page in a real browser: what a reader does with pointer and keys, at every width."""

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from xbench.report.render.html import ClaimFinding, render
from xbench.report.results.provenance import Provenance, StageRecord, records
from xbench.report.style import Style
from xbench.report.tables.study import build_tables

from .browser import CHROMIUM, DRIVER, Browser, browser
from .conftest import study_rows
from .hostile import NAMES, hostile_table

if not CHROMIUM or not DRIVER:
    pytest.skip(
        "install chromium and chromedriver, a browser to open pages in", allow_module_level=True
    )

TABLE = "section.table"
ROWS = """
const table = document.querySelectorAll("section.table table")[arguments[0]];
return [...table.querySelectorAll("tbody tr:not(.group):not([hidden])")].map(
  (row) => [...row.cells].map((cell) => cell.textContent));
"""
SVG = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 900 300'><text y='20'>x</text></svg>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frame = pd.DataFrame(study_rows())
    rows = records(frame)
    provenance = Provenance(
        about=(("suite", "mini"), ("encoder", "small")),
        rows={row["key"]: [row] for row in rows},
        chains={row["key"]: (row["key"],) for row in rows},
        stages={
            row["key"]: StageRecord(
                "score", row["key"], "done", {"task": row["task"]}, {"device": "cpu"}, 0.0, 1.5
            )
            for row in rows
        },
    )
    tables = [*build_tables(frame, style=Style(source_language="eng")), *map(hostile_table, NAMES)]
    claims = [
        ClaimFinding("A claim", "supported", ("+1.0, n = 3",)),
        ClaimFinding("B", "undecided"),
    ]
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(tables, [("A figure", SVG, "A caption")], claims, provenance))
    return path


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@pytest.fixture
def opened(window: Browser, page: Path) -> Iterator[Browser]:
    """The page at a desk's width; at the end nothing has been complained of."""
    window.resize(1280, 900)
    window.prefer("light")
    window.open(page)
    yield window
    assert window.complaints() == []


def rows(window: Browser, table: int = 0) -> list[list[str]]:
    found: list[list[str]] = window.run(ROWS, table)
    return found


def values(window: Browser, column: int, table: int = 1) -> list[float]:
    """The numbers of a column, in the order of its rows."""
    return [float(row[column].split("±")[0]) for row in rows(window, table)]


def test_nothing_of_a_name_has_run(opened: Browser) -> None:
    assert opened.run("return document.querySelectorAll('script').length") == 2
    assert opened.run("return document.querySelectorAll('main img').length") == 1
    shown = opened.run("return [...document.querySelectorAll('h2')].map((h) => h.textContent)")
    assert set(shown) >= {name for name in NAMES if name.isascii()}


def test_headers_sort_up_down_and_back(opened: Browser) -> None:
    before = rows(opened, 1)
    header = f"{TABLE}:nth-of-type(3) thead tr:last-child th:nth-child(2) .sort"
    assert opened.run("return document.querySelector(arguments[0]).textContent", header) == "eng"
    numbers = values(opened, 1)
    opened.click(header)
    assert values(opened, 1) == sorted(numbers)
    state = "return document.querySelector(arguments[0]).parentElement.ariaSort"
    assert opened.run(state, header) == "ascending"
    opened.click(header)
    assert values(opened, 1) == sorted(numbers, reverse=True)
    assert opened.run(state, header) == "descending"
    opened.click(header)
    assert rows(opened, 1) == before
    assert opened.run(state, header) == "none"


@pytest.mark.parametrize("clicks", [1, 2])
def test_a_gap_comes_last_whichever_way_it_is_sorted(opened: Browser, clicks: int) -> None:
    """The panel of topics lacks a seed of one encoder."""
    place = opened.run(
        "return [...document.querySelectorAll('section.table')].findIndex("
        "(s) => s.querySelector('h2').textContent.startsWith('topic, full'))"
    )
    for _ in range(clicks):
        opened.run(
            "document.querySelectorAll('section.table')[arguments[0]]"
            ".querySelectorAll('.sort')[1].click()",
            place,
        )
    column = [row[1] for row in rows(opened, place)]
    assert column[-1].startswith("failed")
    assert not any(text.startswith("failed") for text in column[:-1])


def test_sorting_stays_inside_a_group(opened: Browser) -> None:
    groups = "return [...document.querySelectorAll('section.table tbody')].map((b) => b.rows[0].className)"
    before = opened.run(groups)
    opened.run("document.querySelectorAll('.sort').forEach((button) => button.click())")
    assert opened.run(groups) == before


def test_the_filter_keeps_rows_that_have_all_words(opened: Browser) -> None:
    everything = rows(opened)
    opened.click(f"{TABLE} input")
    opened.type(*"kaz FULL")
    shown = rows(opened)
    assert 0 < len(shown) < len(everything)
    assert all("kaz" in row[0] for row in shown)
    output = opened.run("return document.querySelector('section.table output').textContent")
    assert output == f"{len(shown)} of {len(everything)} rows"
    opened.run("document.querySelector('input').select()")
    opened.type("\ue003", *"nothing like it")
    assert rows(opened) == []
    groups = "return [...document.querySelector('section.table').querySelectorAll('.group')]"
    assert opened.run(f"{groups}.every((g) => g.hidden)")


def test_a_number_opens_where_it_is_from(opened: Browser) -> None:
    opened.click(f"{TABLE} tbody tr:nth-child(3) td:nth-child(2) .cell")
    assert opened.run("return document.querySelector('dialog').open")
    place = opened.run("return document.getElementById('place').textContent")
    assert place.startswith("pos, full · deu-eng · hictl · ")
    facts = opened.run("return document.getElementById('facts').innerText")
    for words in ("Values behind it (9)", "Compared with (9)", "Mean of each seed", "Computed by"):
        assert words in facts
    assert "1.50 s" in facts or "18 score, 27.0 s" in facts
    opened.click("#close")
    assert not opened.run("return document.querySelector('dialog').open")


def test_a_failure_opens_with_its_reason(opened: Browser) -> None:
    opened.run("document.querySelector('td.failed .cell').click()")
    facts = opened.run("return document.getElementById('facts').innerText")
    assert "Lacking" in facts
    assert "loss is NaN at step_7" in facts


def test_all_of_it_can_be_done_with_keys(opened: Browser) -> None:
    opened.run("document.querySelector('section.table .cell').focus()")
    focus = (
        "const cell = document.activeElement;"
        "return `${cell.closest('tr').cells[0].textContent}|${cell.textContent}`"
    )
    first = opened.run(focus)
    opened.type("Down")
    assert opened.run(focus) != first
    opened.type("Right")
    second = opened.run(focus)
    opened.type("Enter")
    assert opened.run("return document.querySelector('dialog').open")
    opened.type("Escape")
    assert not opened.run("return document.querySelector('dialog').open")
    assert opened.run(focus) == second  # where the reader was
    opened.type("Up")
    assert opened.run(focus) == first
    ring = "return getComputedStyle(document.activeElement).outlineStyle"
    assert opened.run(ring) == "solid"
    opened.run("document.querySelector('.sort').focus()")
    opened.type("Enter")
    assert opened.run("return document.activeElement.parentElement.ariaSort") == "ascending"


def test_one_cell_of_a_table_is_reached_with_tab(opened: Browser) -> None:
    stops = opened.run(
        "return [...document.querySelectorAll('section.table table')].map("
        "(t) => t.querySelectorAll('.cell[tabindex=\"0\"]').length)"
    )
    assert set(stops) == {1}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_is_the_systems_until_another_is_chosen(opened: Browser, scheme: str) -> None:
    opened.prefer(scheme)
    dark = "return getComputedStyle(document.body).backgroundColor !== 'rgb(255, 255, 255)'"
    assert opened.run(dark) == (scheme == "dark")
    for name, is_dark in (("light", False), ("dark", True), ("system", scheme == "dark")):
        opened.click("#theme")
        assert opened.run("return document.getElementById('theme').textContent") == f"Theme: {name}"
        assert opened.run(dark) == is_dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(opened: Browser, scheme: str) -> None:
    """A contrast of 4.5 to 1, as WCAG 2.2 asks for at level AA, of every kind of text."""
    opened.prefer(scheme)
    lacking = opened.run(CONTRAST)
    assert lacking == []


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_is_never_wider_than_the_window(opened: Browser, width: int) -> None:
    opened.resize(width, 800)
    assert opened.run("return document.documentElement.scrollWidth <= innerWidth")
    opened.run("document.querySelector('.cell').click()")
    box = opened.run(
        "const b = document.querySelector('dialog').getBoundingClientRect(); return [b.left, b.right]"
    )
    assert 0 <= box[0] < box[1] <= width


def test_headers_stay_while_a_table_scrolls_on_a_phone(opened: Browser) -> None:
    opened.resize(360, 640)
    moved = opened.run(
        "const box = document.querySelector('.scroll'); box.scrollTo(120, 200);"
        "const corner = box.querySelector('thead tr:last-child .corner').getBoundingClientRect();"
        "const outer = box.getBoundingClientRect();"
        "return [box.scrollLeft, box.scrollTop, corner.left - outer.left, corner.top - outer.top]"
    )
    assert moved[0] > 0
    assert moved[1] > 0
    assert 0 <= moved[2] <= 2
    assert 0 <= moved[3] <= 60  # below the level of objectives


def test_on_paper_there_is_all_of_the_tables_and_nothing_to_click(opened: Browser) -> None:
    opened.control("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        shown = "return getComputedStyle(document.querySelector(arguments[0])).display"
        assert opened.run(shown, "nav") == opened.run(shown, ".tools") == "none"
        assert (
            opened.run("return getComputedStyle(document.querySelector('.scroll')).overflowX")
            == "visible"
        )
    finally:
        opened.control("Emulation.setEmulatedMedia", {"media": ""})


CONTRAST = """
function parts(color) { return color.match(/[\\d.]+/g).map(Number); }
function light(color) {
  const [r, g, b] = parts(color).map((c) => c / 255).map(
    (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function behind(element) {
  for (let e = element; e; e = e.parentElement) {
    const color = getComputedStyle(e).backgroundColor;
    if (parts(color)[3] !== 0) return color;
  }
  return "rgb(255, 255, 255)";
}
const bad = new Set();
for (const e of document.querySelectorAll("body *")) {
  const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !e.checkVisibility()) continue;
  const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort();
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) bad.add(`${e.tagName}.${e.className} ${ratio.toFixed(2)}`);
}
return [...bad];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_pictures_for_a_person_to_look_at(
    opened: Browser, scheme: str, width: int, tmp_path: Path
) -> None:
    """``XBENCH_SCREENSHOTS=DIR pytest tests/report/test_html_browser.py`` keeps them."""
    folder = Path(os.environ.get("XBENCH_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    opened.prefer(scheme)
    opened.resize(width, 800)
    opened.screenshot(folder / f"{scheme}-{width}.png")
    opened.run("document.querySelector('.cell').click()")
    opened.screenshot(folder / f"{scheme}-{width}-open.png")
    first, second = (path.read_bytes() for path in sorted(folder.glob(f"{scheme}-{width}*.png")))
    assert first.startswith(b"\x89PNG")
    assert first != second

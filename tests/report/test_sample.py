"""The sample report of the repository: made by one command, and not of an earlier shape.

The default run is planned, and every cell given some value; a report of that has to have the
tables, rows and columns of the committed one. What numbers say is not looked at.
"""

import re
from pathlib import Path

import pytest

from xbench.report.run.settings import settings_tables
from xbench.report.run.stored import StoredRun
from xbench.report.run.tables import tables_of
from xbench.report.write import write_report
from xbench.spec.request import make_spec
from xbench.store import Store
from xbench.store.runs import record_run

from ..command import plan_of
from .page import read_page

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "reports" / "mini"
OF_NO_PLAN = re.compile("compute|claims")
"""Tables that are of another shape where nothing was computed."""
STALE = "the sample report is stale; reports/README.md says how to make it anew"


def structure(text: str) -> list[str]:
    """The headings, the headers, and the first column of every table of a Markdown page."""
    lines = text.split("\n")
    found = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith(("## ", "**")) or following.startswith("| ---"):
            found.append(line)
        elif line.startswith("| "):
            found.append(line.split(" | ")[0])
    return found


def pages(folder: Path) -> dict[str, list[str]]:
    """What each file of a report has, but for those of what was computed."""
    return {
        path.name: structure(path.read_text(encoding="utf-8"))
        for path in folder.glob("*.md")
        if path.name != "report.md" and not OF_NO_PLAN.search(path.name)
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the sample's run, with values of nobody."""
    folder = tmp_path_factory.mktemp("sample")
    store = Store(folder / "store")
    store.prepare()
    asked = {"objective": "hictl", "task": "pos", "device": "cpu"}
    of_run = record_run(plan_of(make_spec(asked, "the sample")), store)
    run = StoredRun(of_run)
    frame = run.rows
    values = [0.4 + 0.001 * (place % 97) for place in range(len(frame))]
    run.rows = frame.assign(status="done", value=values, n=128, reason=None)
    tables = [*tables_of(run), *settings_tables(run)]
    write_report(tables, folder / "report", ["markdown", "html"])
    return folder / "report"


def test_the_readme_says_how_it_is_made() -> None:
    text = (ROOT / "reports" / "README.md").read_text(encoding="utf-8")
    assert "make sample" in text
    assert "xbench report --out reports/mini" in (ROOT / "Makefile").read_text(encoding="utf-8")


def test_it_has_the_tables_of_today(made: Path) -> None:
    assert {*pages(SAMPLE)} == {*pages(made)}, STALE


def test_each_table_has_its_rows_and_columns(made: Path) -> None:
    expected = pages(made)
    for name, found in pages(SAMPLE).items():
        assert found == expected[name], f"{name}: {STALE}"


def test_the_whole_is_its_parts() -> None:
    whole = structure((SAMPLE / "report.md").read_text(encoding="utf-8"))
    for name, found in pages(SAMPLE).items():
        assert "\n".join(found) in "\n".join(whole), f"{name}: {STALE}"


@pytest.mark.parametrize("path", sorted(SAMPLE.glob("*.html")), ids=lambda path: path.name)
def test_the_page_is_of_todays_shape(path: Path, made: Path) -> None:
    found, expected = (
        read_page(file.read_text(encoding="utf-8")) for file in (path, made / "report.html")
    )
    for kind in ("style", "script"):
        assert found.all(kind)[-1].text == expected.all(kind)[-1].text, STALE
    titles = [{entry.text for entry in page.all("nav")[0].all("a")} for page in (found, expected)]
    assert titles[0] >= titles[1], STALE

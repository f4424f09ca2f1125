"""The documentation as Sphinx builds it: without a warning, with every page and every contract."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import xbench.api
import xbench.testing

from .pages import ROOT, read

pytest.importorskip("sphinx", reason="the extra docs is not installed")
pytest.importorskip("myst_parser", reason="the extra docs is not installed")
pytest.importorskip("furo", reason="the extra docs is not installed")


def build(source: Path, place: Path) -> subprocess.CompletedProcess[str]:
    """Build as `make docs` does, into another folder."""
    options = ["--fail-on-warning", "--keep-going", "--quiet"]
    command = [sys.executable, "-m", "sphinx", *options, str(source), str(place)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site")
    done = build(ROOT / "docs", place)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return place


def test_all_pages_are_built_and_linked_from_the_first(site: Path) -> None:
    names = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert names <= {path.stem for path in site.glob("*.html")}
    first = (site / "index.html").read_text(encoding="utf-8")
    assert all(f'href="{name}.html"' in first for name in names - {"index"})


def test_the_reference_has_all_that_authors_import(site: Path) -> None:
    described = set(re.findall(r'id="xbench\.api\.\w+\.(\w+)"', _text(site / "api.html")))
    mark = {"hookimpl"}  # has a page of its own
    assert set(xbench.api.__all__) <= described | mark


def test_the_reference_has_all_contracts(site: Path) -> None:
    described = set(re.findall(r'id="xbench\.testing\.(\w+)"', _text(site / "api.html")))
    contracts = {name for name in xbench.testing.__all__ if name.endswith("Contract")}
    assert contracts - {"Contract"} <= described


def test_the_reference_has_the_members(site: Path) -> None:
    text = _text(site / "api.html")
    assert 'id="xbench.api.batch.View.pooled"' in text
    assert 'id="xbench.api.objective.Objective.terms"' in text


def test_a_mistake_fails_the_build(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    shutil.copy(ROOT / "docs/conf.py", folder)
    (folder / "index.md").write_text("# Title\n\n[a page](no-such-page.md)\n", encoding="utf-8")
    done = build(folder, tmp_path / "site")
    assert done.returncode != 0
    assert "no-such-page" in done.stderr


def test_make_builds_what_the_tests_build() -> None:
    assert "sphinx --fail-on-warning --keep-going --quiet docs site" in read("Makefile")
    assert "/site/" in read(".gitignore")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")

"""The guides for authors: their code is run as it is printed, in the page's order."""

import json
import tomllib
from pathlib import Path

import pytest

from xbench.catalogue.discovery import GROUP, HOOKS, KINDS
from xbench.catalogue.xbenchfile import registered
from xbench.engine import hookspecs

from .guide import Workshop
from .pages import DOCUMENTS, Block, blocks, blocks_of, read

AUTHORS = [f"docs/{n}.md" for n in ("write-an-objective", "write-a-task", "add-a-language")]
HOOKS_PAGE = "docs/hooks.md"
STATISTICS_PAGE = "docs/statistics.md"
CLUSTERS_PAGE = "docs/clusters.md"  # what needs a scheduler: tests/launchers
PROBES_PAGE = "docs/probes.md"  # test_probes_page.py follows it
GUIDES = [*AUTHORS, HOOKS_PAGE]


# One test for a page: to follow it takes a while, and tests run in several processes.
@pytest.mark.parametrize("document", AUTHORS)
def test_a_guide_can_be_followed(document: str, tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, document).follow()
    shows_tables(workshop)
    plans_have_their_data(workshop)
    what_is_registered_keeps_its_contract(workshop)


def test_the_readme_can_be_followed(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, "README.md").follow()
    shows_tables(workshop)
    assert "FAILED" not in workshop.said["xbench check my_loss"].out
    measured = [said.out for line, said in workshop.said.items() if "xbench probe" in line]
    assert "retrieval,top1_forward" in measured[0]


def test_the_claim_of_the_page_on_statistics_keeps_its_contract(tmp_path: Path) -> None:
    ((line, said),) = Workshop(tmp_path, STATISTICS_PAGE).follow().said.items()
    assert line.startswith("xbench check claim:")
    assert "  ok" in said.out
    assert "FAILED" not in said.out


def test_the_page_on_clusters_can_be_followed(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, CLUSTERS_PAGE).follow()
    shows_tables(workshop)
    assert "FAILED" not in workshop.said["xbench check my_queue"].out


def shows_tables(workshop: Workshop) -> None:
    runs = [outcome for line, outcome in workshop.said.items() if "xbench run" in line]
    assert runs
    assert all("Table 1" in outcome.out for outcome in runs)


def plans_have_their_data(workshop: Workshop) -> None:
    for line in [line for line in workshop.said if line.startswith("xbench plan")]:
        planned = workshop.run(line, "--format", "json")
        assert json.loads(planned.out)["gaps"] == {}, line


def what_is_registered_keeps_its_contract(workshop: Workshop) -> None:
    """All but the documentation: small examples on a page are nobody's formula."""
    names = [f"{kind}:{name}" for kind, name, _ in registered(workshop.folder / "xbenchfile.py")]
    assert len(names) > 1
    # the missing formulas make it fail
    outcome = workshop.run("XBENCH_DATA=DATA xbench check", *names, code=None)
    lines = outcome.out.splitlines()
    assert sum(line.startswith("  ok") for line in lines) > 3 * len(names)
    failed = [line for line in lines if line.startswith("  FAILED")]
    assert not [line for line in failed if "The class is documented" not in line], outcome.out


def test_the_guide_to_hooks_can_be_followed(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, HOOKS_PAGE).follow()
    shows_tables(workshop)
    first, *_ = workshop.said
    text = (tmp_path / "curves.jsonl").read_text(encoding="utf-8")
    points = [json.loads(line) for line in text.splitlines()]
    assert {point["step"] for point in points} == {1, 4}
    assert all({"stage", "about", "loss"} <= set(point) for point in points)
    assert "values, 0 of them failed" in workshop.said[first].out
    assert int(workshop.said["xbench curves"].out) in range(1, len(points))  # one more run came
    assert list(tmp_path.glob("xbench-store/runs/*/report/languages.tex"))
    assert list(tmp_path.glob("curves/finetune/*/events*"))
    many = workshop.run("xbench plan --task pos", "--seed", ",".join(map(str, range(11))), code=2)
    assert "More than ten seeds" in many.err


def test_every_hook_is_on_its_page() -> None:
    names = [name for name in vars(hookspecs) if name.startswith("xbench_")]
    assert len(names) > 8
    assert all(f"| `{name}` |" in read("docs/hooks.md") for name in names)


def test_no_guide_is_left_out() -> None:
    """Files and commands of a page are executed only where a test follows the page."""
    kinds = ("guide", "file", "said", "test")
    pages = {page for page in DOCUMENTS if {block.needs for block in blocks_of(page)} & {*kinds}}
    assert pages == {*GUIDES, "README.md", CLUSTERS_PAGE, PROBES_PAGE, STATISTICS_PAGE}


@pytest.mark.parametrize("document", GUIDES)
def test_a_guide_shows_no_code_that_is_not_run(document: str) -> None:
    kinds = {(block.language, block.needs) for block in blocks_of(document)}
    unused = {("text", ""), ("toml", "")}  # checked below, or for the reader only
    used = {("sh", "guide"), ("text", "files"), ("text", "said"), ("python", "test")}
    assert kinds <= unused | used | {("python", "file"), ("yaml", "file")}


@pytest.mark.parametrize("block", [b for page in GUIDES for b in blocks("toml", "", page)])
def test_entry_points_of_the_guides(block: Block) -> None:
    groups = tomllib.loads(block.text)["project"]["entry-points"]
    assert {name.removeprefix(GROUP) for name in groups} <= {*KINDS, HOOKS}


def test_the_entry_point_shown_is_the_one_that_is_written(tmp_path: Path) -> None:
    (block,) = blocks("toml", "", GUIDES[0])
    Workshop(tmp_path, GUIDES[0]).run("xbench new objective closer")
    written = tomllib.loads((tmp_path / "xbench-closer/pyproject.toml").read_text(encoding="utf-8"))
    shown = tomllib.loads(block.text)["project"]
    assert written["project"]["entry-points"] == shown["entry-points"]

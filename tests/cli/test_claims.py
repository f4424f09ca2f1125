"""Claims in ``xbench report``, those of plugins that are broken included."""

import re
from pathlib import Path

import pytest

from xbench.catalogue.catalogue import Catalogue
from xbench.report.results.background import Background
from xbench.report.results.results import Selection
from xbench.report.run.claims import judged_claims

from ..claims import studied
from ..command import Outcome, xbench
from ..conftest import Install

MINE = '''
from xbench.api import Average, Claim, Part


class SeedsMatter(Claim):
    """Of the untouched encoder."""

    statement = "The untouched encoder does better than chance."
    source = "a reader"

    def check(self, view):
        yield Part("pos", view.contrast([Average(1.0, "pos", "full", "none")]), percent=True)
'''


def judged() -> dict[str, str]:
    frame = studied.frame(studied.score_rows(studied.nothing))
    found = judged_claims(frame, Selection(), Background(), "eng", Catalogue.installed())
    return {one.name: "; ".join((one.verdict, *one.needed)) for one in found}


def test_every_installed_claim_is_judged() -> None:
    found = judged()
    assert len(found) >= 15
    assert all(
        verdict.startswith(("undecided", "supported", "contra")) for verdict in found.values()
    )


def test_a_claim_of_a_plugin_is_judged_beside_ours(install: Install) -> None:
    groups = {"claims": {"seeds_matter": "mine_claims:SeedsMatter"}}
    install("mine", groups, {"mine_claims.py": MINE})
    assert judged()["seeds_matter"] == "supported"


def test_a_claim_that_cannot_be_imported_is_undecided_and_says_why(install: Install) -> None:
    groups = {"claims": {"lost": "mine_claims:Nowhere"}}
    install("mine", groups, {"mine_claims.py": MINE})
    found = judged()
    assert found["lost"].startswith("undecided; Claim 'lost' (mine_claims:Nowhere) of mine")
    assert "cannot be imported" in found["lost"]


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_a_run_reports_its_claims(
    finished: tuple[Path, Outcome], tmp_path: Path, form: str
) -> None:
    """A run of one objective, task and seed: nothing can be decided, and what it lacks is named."""
    outcome = xbench("report", "--store", finished[0], "--out", tmp_path, "--format", form)
    assert outcome.code == 0, outcome.err
    text = next(tmp_path.glob("report.*")).read_text(encoding="utf-8")
    assert re.search(r"sentence loss helps", text)
    assert "Holm" in text
    assert "hictl:S1W0M1" in text

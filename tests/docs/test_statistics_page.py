"""The page on statistics and claims: its claim can be registered, and is judged."""

from pathlib import Path

from xbench.report.statistics.inference import FEWEST_CHANGED

from .guide import Workshop
from .pages import read

PAGE = "docs/statistics.md"


def test_the_claim_of_the_page_keeps_its_contract(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, PAGE).follow()
    (said,) = workshop.said.values()
    assert said.out.count("  ok") == 4
    assert "FAILED" not in said.out


def test_limits_are_those_of_the_code() -> None:
    text = read(PAGE)
    assert f"hardly more than {FEWEST_CHANGED} items changed" in text
    for seeds, lowest in ((3, ".25"), (5, ".0625")):
        # the sums of all ways to flip signs: the one seen, and the one with every sign flipped
        assert f"{2 / 2**seeds:.4f}".strip("0") == lowest
        assert lowest in text
    assert 2 / 2**5 > 0.05 > 2 / 2**6

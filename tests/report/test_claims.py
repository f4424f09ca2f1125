"""The claims section in tables, on a page, and as text."""

from typing import Any

import pytest

from xbench.api.claim import Effect, Part
from xbench.report.claims.section import claim_tables, findings
from xbench.report.claims.verdicts import Judged, decided, examined
from xbench.report.statistics.inference import mean_effect
from xbench.report.table import Table
from xbench.report.write import render

UP, DOWN = [0.019, 0.02, 0.021], [-0.019, -0.02, -0.021]
HOSTILE = '<script>alert("x")</script> 100 % of a_b & c'


def claim(name: str, source: str, *parts: Part, **more: Any) -> Judged:
    return examined(Judged(name, f"It is {name}.", source, **more), parts)


def part(about: str, values: list[float], expected: Any = "above", **more: Any) -> Part:
    return Part(about, mean_effect(values, "fine-tuning seeds"), expected, percent=True, **more)


def section() -> list[Judged]:
    correlation = Effect(-0.4, 0.2, 8, 9, "languages", "t on Fisher's scale", correlation=True)
    return decided(
        [
            claim("tenth_claim", "study, claim C10", Part("pos", correlation, "within", 0.3)),
            claim("second_claim", "study, claim C2", part("pos, full", UP), part("b", DOWN)),
            claim("first_claim", "study, claim C1", part("pos, full", DOWN, "below")),
            claim("no_claim", "other", Part("pos", Effect(None, reason="needs x"))),
            claim("broken", "", needed=("could not be checked: boom",)),
        ]
    )


def texts(table: Table) -> dict[str, list[str]]:
    return {
        row.label: [cell.text for cell in cells]
        for row, cells in zip(table.rows, table.cells, strict=True)
    }


def test_verdicts_in_the_order_of_the_study() -> None:
    verdicts, _ = claim_tables(section())
    found = texts(verdicts)
    assert [row.label for row in verdicts.rows][1:] == [
        "first claim",
        "second claim",
        "tenth claim",
    ]
    assert found["first claim"][:2] == ["supported", "1 of 1"]
    assert found["second claim"][:2] == ["contradicted", "1 of 2"]
    assert found["tenth claim"][:2] == ["undecided", "0 of 1"]
    assert found["broken"][2:] == ["–", "–"]
    assert "Holm" in verdicts.caption
    assert "(3)" in verdicts.caption


def test_claims_that_a_run_is_not_about_are_named_and_no_more() -> None:
    verdicts, effects = claim_tables(section())
    assert "no claim" not in texts(verdicts)
    assert any(note == "Nothing in this run is about: no claim." for note in verdicts.notes)
    assert "no claim" not in {row.group[0] for row in effects.rows}
    assert claim_tables([]) == []
    assert claim_tables([section()[3], section()[4]]) == []


def test_effects_with_interval_n_and_smallest_effect() -> None:
    _, effects = claim_tables(section())
    row = next(i for i, r in enumerate(effects.rows) if r.group == ("first claim",))
    expected, effect, p, n, smallest = effects.cells[row]
    assert expected.text == "< 0"
    assert (effect.text, effect.details) == ("−2.0", ("[−2.2, −1.8]",))
    assert effect.value == pytest.approx(-0.02)
    assert p.value == pytest.approx(0.0004, abs=2e-4)
    assert n.text == "3 fine-tuning seeds"
    # 5.65 standard errors of .00058, in points
    assert smallest.text == "0.3"
    correlation = next(i for i, r in enumerate(effects.rows) if r.group == ("tenth claim",))
    assert effects.cells[correlation][0].text == "within ±0.300"
    assert effects.cells[correlation][1].text == "−0.400"
    assert any("paired t over fine-tuning seeds" in note for note in effects.notes)


def test_effects_of_many_claims_are_tables_of_a_page_each() -> None:
    """A claim is never torn apart, and one that is longer than a page has one of its own."""
    sizes = (10, 14, 1, 30, 5)
    judged = decided(
        [
            claim(f"c{n}", f"study, claim C{n}", *(part(f"p{m}", UP) for m in range(size)))
            for n, size in enumerate(sizes)
        ]
    )
    _, *pages = claim_tables(judged)
    assert [len(page.rows) for page in pages] == [24, 1, 30, 5]
    assert len({page.label for page in pages}) == len({page.title for page in pages}) == 4
    assert pages[0].title.endswith("(1 of 4)")


def test_notes_state_each_claim_and_what_is_needed() -> None:
    verdicts, _ = claim_tables(section())
    notes = "\n".join(verdicts.notes)
    assert "first claim: It is first_claim. (study, claim C1)" in notes
    assert "broken: It is broken. To decide: could not be checked: boom." in notes


def test_a_verdict_that_the_correction_takes_away_is_told() -> None:
    weak = claim("weak", "study", part("pos", [0.010, 0.012, 0.014]))
    crowd = [claim(f"c{n}", "study", part("pos", [0.01, -0.02, 0.03])) for n in range(9)]
    judged = decided([weak, *crowd])
    verdicts, _ = claim_tables(judged)
    row = next(
        cells for r, cells in zip(verdicts.rows, verdicts.cells, strict=True) if r.label == "weak"
    )
    assert (row[0].text, row[0].details) == ("undecided", ("alone: supported",))
    found = next(one for one in findings(judged) if "weak" in one.statement)
    assert any("by itself it would be supported" in line for line in found.lines)


def test_findings_begin_with_what_is_decided() -> None:
    found = findings(section())
    assert [one.verdict for one in found] == [
        "contradicted",
        "supported",
        "undecided",
        "undecided",
    ]
    line = found[1].lines[0]
    assert line.startswith("pos, full: −2.0 [−2.2, −1.8], expected < 0, n = 3 fine-tuning seeds")
    assert "paired t, p < .001." in line


@pytest.mark.parametrize("format", ["markdown", "latex", "html", "csv", "terminal"])
def test_every_renderer_shows_the_section(format: str) -> None:
    rendered = render(claim_tables(section()), format)
    assert "first claim" in rendered
    assert "contradicted" in rendered


def test_hostile_words_survive_every_renderer() -> None:
    judged = decided([claim("x", HOSTILE, part(HOSTILE, UP))])
    tables = claim_tables(judged)
    assert "<script>alert" not in render(tables, "html")
    assert "<script>alert" not in render(tables, "markdown")
    assert r"100 \% of a\_b \& c" in render(tables, "latex")

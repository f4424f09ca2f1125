"""Verdicts: directions, corrections, what is lacking, and how often they are wrong."""

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

from xbench.api.claim import Claim, ClaimView, Effect, Part
from xbench.report.claims.verdicts import Judged, decided, detectable, examined, judge
from xbench.report.claims.view import RunView
from xbench.report.results.background import Background
from xbench.report.results.reading import COLUMNS
from xbench.report.results.results import Selection
from xbench.report.statistics.inference import mean_effect, minimal_detectable_effect

UP, DOWN, NONE = ([s * (0.02 + d) for d in (-0.001, 0.0, 0.001)] for s in (1, -1, 0))
ABOUT = Judged("some_claim", "Something holds.", "somebody")


def part(values: list[float], expected: Any = "above", margin: float = 0.0) -> Part:
    effect = mean_effect(values, "fine-tuning seeds")
    return Part("a part", effect, expected, margin)


def lacking(reason: str) -> Part:
    return Part("another part", Effect(None, reason=reason))


def verdict(*parts: Part) -> Judged:
    return decided([examined(ABOUT, parts)])[0]


@pytest.mark.parametrize(
    ("values", "expected", "margin", "word"),
    [
        (UP, "above", 0.0, "supported"),
        (UP, "below", 0.0, "contradicted"),
        (DOWN, "below", 0.0, "supported"),
        (DOWN, "above", 0.0, "contradicted"),
        (UP, "beyond", 0.0, "supported"),
        (UP, "within", 0.1, "supported"),
        (UP, "within", 0.01, "contradicted"),
        (UP, "beyond", 0.01, "supported"),
        (UP, "beyond", 0.1, "contradicted"),
        ([0.01, -0.01, 0.0], "beyond", 0.1, "contradicted"),
        ([0.01, -0.02, 0.03], "above", 0.0, "undecided"),
        ([0.01, -0.02, 0.03], "within", 0.03, "undecided"),
    ],
)
def test_directions(values: list[float], expected: Any, margin: float, word: str) -> None:
    assert verdict(part(values, expected, margin)).verdict == word


def test_all_parts_must_hold_and_one_suffices_against() -> None:
    assert verdict(part(UP), part(UP)).verdict == "supported"
    assert verdict(part(UP), part([0.02, -0.01, 0.01])).verdict == "undecided"
    assert verdict(part(UP), part(DOWN)).verdict == "contradicted"


def test_a_lacking_part_keeps_a_claim_from_being_supported_only() -> None:
    assert verdict(part(UP), lacking("needs more")).verdict == "undecided"
    assert verdict(part(DOWN), lacking("needs more")).verdict == "contradicted"


def test_p_values_by_hand() -> None:
    """The largest in favour, doubled; the smallest against, times the parts, doubled."""
    first, second = part([0.01, 0.02, 0.04]), part([0.01, 0.03, 0.02])
    found = examined(ABOUT, [first, second])
    assert found.p == pytest.approx(2 * max(each.support or 0 for each in found.parts))
    against = examined(ABOUT, [part([-0.01, -0.02, -0.04]), part([-0.01, 0.03, -0.02])])
    assert against.p == pytest.approx(2 * 2 * min(each.against or 1 for each in against.parts))


def test_holm_runs_over_the_claims_that_could_be_tested() -> None:
    """p of .016 by itself: alone supported, among nine others undecided, and both are told."""
    open_claim = examined(ABOUT, [part([0.01, 0.012, 0.014])])
    assert 0.005 < (open_claim.p or 0) < 0.05
    assert decided([open_claim])[0].verdict == "supported"
    others = [examined(ABOUT, [part([0.01, -0.02, 0.03])])] * 9
    untested = [examined(ABOUT, [lacking("needs x")])] * 50
    first, *_ = decided([open_claim, *others, *untested])
    assert (first.verdict, first.alone) == ("undecided", "supported")
    assert first.adjusted == pytest.approx(10 * (first.p or 0))


def test_no_claims_are_no_verdicts() -> None:
    assert decided([]) == []


def test_false_verdicts_are_as_seldom_as_stated() -> None:
    """2,000 runs without any effect, 15 claims of four parts each, 3 seeds: at most 5 % of runs err."""
    rng = np.random.default_rng(0)
    wrong = 0
    for run in rng.normal(0, 1, (2000, 15, 4, 3)).tolist():
        found = [examined(ABOUT, [part(values) for values in claim]) for claim in run]
        wrong += any(one.verdict != "undecided" for one in decided(found))
    assert wrong / 2000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


# Claims of plugins, and what would decide them.


class Stub(Claim):
    """Yields what it was given."""

    statement: ClassVar[str] = "Something holds."
    source: ClassVar[str] = "somebody"

    def __init__(self, *parts: Part) -> None:
        self.parts = parts

    def check(self, view: ClaimView) -> Iterable[Part]:
        return self.parts

    def remarks(self, view: ClaimView) -> Iterable[str]:
        return [f"{len(view.encoders)} encoders."]


class Raises(Stub):
    """A plugin with a mistake."""

    def check(self, view: ClaimView) -> Iterable[Part]:
        yield part(UP)
        raise KeyError("S1W0M0")


def judged(*claims: Claim) -> list[Judged]:
    view = RunView(pd.DataFrame(columns=[*COLUMNS]), Selection(), Background())
    return judge({f"claim_{n}": claim for n, claim in enumerate(claims)}, view)


def test_a_claim_that_raises_is_undecided_and_harms_no_other() -> None:
    first, second = judged(Raises(), Stub(part(UP)))
    assert (first.verdict, first.parts) == ("undecided", ())
    assert first.needed == ("could not be checked: KeyError: 'S1W0M0'",)
    assert second.verdict == "supported"
    assert second.needed == ()
    assert second.remarks == ("0 encoders.",)
    assert second.label == "claim 1"


def test_what_is_lacking_is_said_once() -> None:
    parts = [lacking("needs a, b"), lacking("needs b, c"), lacking("no spread"), part([0.1])]
    (found,) = judged(Stub(*parts))
    assert found.needed == (
        "needs a, b, c",
        "no spread (another part)",
        "no test with one of fine-tuning seeds: run more (a part)",
    )


def seeds_of(one: Judged) -> int:
    (line,) = one.needed
    return int(line.removeprefix("if the effects are as seen, ").split()[0])


def fewest(effect: Effect, level: float) -> int:
    """The slow way: one seed more at a time."""
    assert effect.error is not None
    sd = effect.error * math.sqrt(effect.n)
    for n in range(2, 500):
        size = minimal_detectable_effect(Effect(0.0, sd / math.sqrt(n), n - 1, n), level)
        if size is not None and size <= abs(effect.value or 0):
            return n
    raise AssertionError("too many")


def test_how_many_seeds_would_support() -> None:
    """As many as the weakest of its parts takes, at the level of Holm's first test of two."""
    weak, weaker = part([0.01, 0.03, 0.02]), part([0.01, 0.03, -0.005])
    found, *_ = judged(Stub(weak, weaker), Stub(part(UP)))
    assert seeds_of(found) == fewest(weaker.effect, 0.05 / 2) > fewest(weak.effect, 0.05 / 2)


def test_how_many_seeds_would_contradict() -> None:
    """As many as the strongest part on the wrong side takes; parts count, since any of them would."""
    wrong, nearly = part([-0.01, -0.03, -0.02]), part([-0.01, -0.03, 0.02])
    found, *_ = judged(Stub(wrong, nearly, part(UP), lacking("needs x")), Stub(part(UP)))
    needs, line = found.needed
    assert needs == "needs x"
    assert int(line.split()[6]) == fewest(wrong.effect, 0.05 / 2 / 3)


def test_no_number_of_seeds_stands_in_for_what_is_lacking() -> None:
    (found,) = judged(Stub(part([0.01, 0.03, -0.005]), lacking("needs x")))
    assert found.needed == ("needs x",)


def test_effects_too_small_to_be_found_are_called_so() -> None:
    (found,) = judged(Stub(part([0.1, -0.1, 0.0001])))
    assert "more than 1000 fine-tuning seeds" in found.needed[0]


def test_a_correlation_near_its_margin_takes_more_languages_than_one_at_zero() -> None:
    counts = []
    for value in (0.0, 0.2):
        effect = Effect(value, 0.4, 8, 9, "languages", "t", correlation=True)
        (found,) = judged(Stub(Part("pos", effect, "within", 0.3)))
        counts.append(seeds_of(found))
    assert counts[0] < counts[1]


def test_detectable_effects_are_at_five_percent_and_not_of_correlations() -> None:
    effect = mean_effect(UP, "seeds")
    assert detectable(effect) == minimal_detectable_effect(effect)
    assert detectable(Effect(0.1, 0.2, 8, 9, correlation=True)) is None


def test_within_needs_a_margin() -> None:
    with pytest.raises(ValueError, match="margin above 0"):
        part(UP, "within")


@pytest.mark.parametrize(
    ("values", "expected", "margin", "as_expected"),
    [
        (UP, "above", 0.0, True),
        (UP, "below", 0.0, False),
        (UP, "within", 0.1, True),
        (UP, "within", 0.01, False),
        (UP, "beyond", 0.01, True),
        ([], "above", 0.0, None),
    ],
)
def test_where_effects_lie(
    values: list[float], expected: Any, margin: float, as_expected: bool | None
) -> None:
    assert verdict(part(values, expected, margin)).parts[0].as_expected is as_expected

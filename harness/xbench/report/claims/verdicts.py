"""What a run says about claims: supported, contradicted or undecided, and what would decide.

A claim is supported where all its parts are, each tested in its own direction: the largest p value
counts. It is contradicted where any part goes the other way: the smallest counts, times the number
of parts (Bonferroni). Of the two the smaller one, doubled, is the claim's p value, and Holm's
correction runs over all claims that could be tested.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from xbench.api.claim import Claim, ClaimView, Effect, Part
from xbench.report.statistics.inference import (
    LEVEL,
    MOST_UNITS,
    holm,
    minimal_detectable_effect,
    p_above,
    p_below,
    p_beyond,
    p_within,
    units_needed,
)

NEEDS = "needs "
"""How a reason begins that names what a run lacks, comma-separated."""

Word = Literal["supported", "contradicted", "undecided"]


@dataclass(frozen=True)
class JudgedPart:
    """A part, and the p values of its being where it is expected, and of the contrary."""

    part: Part
    support: float | None
    against: float | None

    @property
    def as_expected(self) -> bool | None:
        """Whether the effect itself lies where it is expected, noise aside; None without one."""
        value, expected = self.part.effect.value, self.part.expected
        if value is None:
            return None
        if expected == "within":
            return abs(value) < self.part.margin
        if expected == "beyond":
            return abs(value) > self.part.margin
        return value > 0 if expected == "above" else value < 0


@dataclass(frozen=True)
class Judged:
    """A claim and the verdict on it.

    ``alone`` is the verdict without the correction, ``p`` and ``adjusted`` its p value before and
    after it; None where nothing could be tested. ``needed`` says what would decide.
    """

    name: str
    statement: str
    source: str
    parts: tuple[JudgedPart, ...] = ()
    verdict: Word = "undecided"
    alone: Word = "undecided"
    p: float | None = None
    adjusted: float | None = None
    needed: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The name as words."""
        return self.name.replace("_", " ")

    @property
    def has_effects(self) -> bool:
        """Whether the run says anything about any part."""
        return any(each.part.effect.value is not None for each in self.parts)


def judge(claims: Mapping[str, Claim], view: ClaimView) -> list[Judged]:
    """A verdict on each claim, by name; a claim that raises is undecided, and says so."""
    found = decided([_examined(name, claim, view) for name, claim in claims.items()])
    family = sum(one.p is not None for one in found)
    return [replace(one, needed=tuple(_needed(one, family))) for one in found]


def decided(found: Sequence[Judged]) -> list[Judged]:
    """Claims with their p values corrected for each other, and the verdicts that follow."""
    tested = [number for number, one in enumerate(found) if one.p is not None]
    adjusted = holm([found[number].p or 0.0 for number in tested])
    corrected = list(found)
    for number, p in zip(tested, adjusted, strict=True):
        one = replace(found[number], adjusted=p)
        corrected[number] = replace(one, verdict=one.alone if p <= LEVEL else "undecided")
    return corrected


def _examined(name: str, claim: Claim, view: ClaimView) -> Judged:
    about = Judged(name, claim.statement, claim.source)
    try:
        parts = tuple(claim.check(view))
        remarks = tuple(claim.remarks(view))
    except Exception as error:  # a plugin's own code may raise anything
        problem = f"could not be checked: {type(error).__name__}: {error}"
        return replace(about, needed=(problem,))
    return examined(replace(about, remarks=remarks), parts)


def examined(about: Judged, parts: Sequence[Part]) -> Judged:
    """A claim with its parts tested, and what follows from them alone."""
    tested = tuple(_tested(part) for part in parts)
    p, towards = _of_claim(tested)
    if p is None:
        return replace(about, parts=tested)
    return replace(about, parts=tested, p=p, alone=towards if p <= LEVEL else "undecided")


def _tested(part: Part) -> JudgedPart:
    effect = part.effect
    if part.expected == "above":
        return JudgedPart(part, p_above(effect), p_below(effect))
    if part.expected == "below":
        return JudgedPart(part, p_below(effect), p_above(effect))
    if part.expected == "within":
        # An effect that is not 0, yet as small as the margin, is no contradiction.
        large = effect.value is not None and abs(effect.value) >= part.margin
        return JudgedPart(part, p_within(effect, part.margin), p_beyond(effect) if large else 1.0)
    none = p_within(effect, part.margin) if part.margin > 0 else 1.0
    small = effect.value is not None and abs(effect.value) <= part.margin
    return JudgedPart(part, 1.0 if small else p_beyond(effect), none)


def _of_claim(parts: Sequence[JudgedPart]) -> tuple[float | None, Word]:
    """The claim's p value, and where it points."""
    supports = [one.support for one in parts]
    against = [one.against for one in parts if one.support is not None and one.against is not None]
    if not against:
        return None, "undecided"
    contrary = min(1.0, len(against) * min(against))
    known = [p for p in supports if p is not None]
    support = max(known) if len(known) == len(parts) else 1.0
    word: Word = "supported" if support < contrary else "contradicted"
    return min(1.0, 2 * min(support, contrary)), word


def _needed(one: Judged, family: int) -> Iterable[str]:
    """What would decide: data that is lacking, or more of what the effects were measured on."""
    if one.verdict != "undecided":
        return
    yield from one.needed
    reasons: dict[str, list[str]] = {}
    for each in one.parts:
        if each.part.effect.error is None:
            reason = each.part.effect.reason or "no error was estimated"
            reasons.setdefault(reason, []).append(each.part.about)
    lacking = [reason.removeprefix(NEEDS).split(", ") for reason in reasons if _is_need(reason)]
    if lacking:
        yield NEEDS + ", ".join(dict.fromkeys(name for names in lacking for name in names))
    for reason, where in reasons.items():
        if not _is_need(reason):
            yield f"{reason} ({', '.join(where)})"
    more = _more(one.parts, LEVEL / max(1, family))
    if more:
        yield more


def _is_need(reason: str) -> bool:
    return reason.startswith(NEEDS)


def _more(parts: Sequence[JudgedPart], level: float) -> str:
    """How many seeds (or pairs, or languages) would decide, if the effects that were seen are real.

    Where parts lie where they are not expected, any of them would contradict: the fewest count.
    Else all of them must be shown: the most count.
    """
    tested = [each for each in parts if each.support is not None]
    contrary = [each for each in tested if not each.as_expected]
    if not tested or (not contrary and len(tested) < len(parts)):
        return ""
    level = level / len(tested) if contrary else level
    needed = [
        (units_needed(each.part.effect, _distance(each.part), level), each.part.effect.unit)
        for each in contrary or tested
    ]
    known = sorted((count, unit) for count, unit in needed if count is not None)
    if (contrary and known) or len(known) == len(needed):
        count, unit = known[0] if contrary else known[-1]
        return f"if the effects are as seen, {count} {unit} would (80% power)"
    unit = needed[0][1]
    return f"the effects are so small that more than {MOST_UNITS} {unit} would be needed"


def _distance(part: Part) -> float:
    """How far an effect lies from where its being as expected, or not, is decided."""
    value, margin = abs(part.effect.value or 0.0), part.margin
    if part.effect.correlation:
        value, margin = (math.atanh(min(each, 0.999)) for each in (value, margin))
    return margin - value if part.expected == "within" and value < margin else value


def detectable(effect: Effect) -> float | None:
    """The smallest effect that 80 % of such runs would find by itself at 5 %; None for correlations."""
    return None if effect.correlation else minimal_detectable_effect(effect)

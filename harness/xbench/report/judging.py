"""What a run says about claims: supported, contradicted or undecided, and what would decide.

A claim is supported where all its parts are, each tested in its own direction: the largest p value
counts. It is contradicted where any part goes the other way: the smallest counts, times the number
of parts (Bonferroni). Of the two the smaller one, doubled, is the claim's p value, and Holm's
correction runs over all claims that could be tested.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from xbench.api.claim import Claim, ClaimView, Effect, Part
from xbench.inference import (
    LEVEL,
    holm,
    minimal_detectable_effect,
    p_above,
    p_below,
    p_beyond,
    p_within,
    units_needed,
)

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


def judge(claims: Mapping[str, Claim], view: ClaimView) -> list[Judged]:
    """A verdict on each claim, by name; a claim that raises is undecided, and says so."""
    found = [_examined(name, claim, view) for name, claim in claims.items()]
    tested = [number for number, one in enumerate(found) if one.p is not None]
    adjusted = holm([found[number].p or 0.0 for number in tested])
    for number, p in zip(tested, adjusted, strict=True):
        one = replace(found[number], adjusted=p)
        found[number] = replace(one, verdict=one.alone if p <= LEVEL else "undecided")
    return [replace(one, needed=tuple(_needed(one, len(tested)))) for one in found]


def _examined(name: str, claim: Claim, view: ClaimView) -> Judged:
    about = Judged(name, claim.statement, claim.source)
    try:
        parts = tuple(_tested(part) for part in claim.check(view))
        remarks = tuple(claim.remarks(view))
    except Exception as error:  # a plugin's own code may raise anything
        problem = f"could not be checked: {type(error).__name__}: {error}"
        return replace(about, needed=(problem,))
    about = replace(about, parts=parts, remarks=remarks)
    p, towards = _of_claim(parts)
    if p is None:
        return about
    return replace(about, p=p, alone=towards if p <= LEVEL else "undecided")


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
    return JudgedPart(part, p_beyond(effect), none)


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
    yield from (f"{reason} ({', '.join(where)})" for reason, where in reasons.items())
    more = _more(one.parts, LEVEL / max(1, family))
    if more:
        yield more


def _more(parts: Sequence[JudgedPart], level: float) -> str:
    """How many seeds (or pairs, or languages) would show the effects that were seen, if they are real."""
    open_parts = [
        each.part.effect
        for each in parts
        if each.support is not None and min(each.support, each.against or 1.0) > level / 2
    ]
    if not open_parts:
        return ""
    needed: dict[str, list[int | None]] = {}
    for effect in open_parts:
        if not effect.correlation and effect.value is not None:
            needed.setdefault(effect.unit, []).append(units_needed(effect, effect.value, level))
    texts = []
    for unit, counts in needed.items():
        known = [count for count in counts if count is not None]
        if len(known) == len(counts):
            texts.append(f"{max(known)} {unit}")
        else:
            texts.append(f"more {unit} than can be run for the smallest of the effects")
    return f"if the effects are as seen, 80% power takes {', '.join(texts)}" if texts else ""


def detectable(effect: Effect, family: int) -> float | None:
    """The smallest effect that 80 % of such runs would find, at the level of the family's first test."""
    if effect.correlation:
        return None
    return minimal_detectable_effect(effect, LEVEL / max(1, family))

"""The claims section: a table of verdicts, a table of the effects behind them, findings for a page."""

import re
from collections.abc import Sequence

from xbench.api.claim import Effect, Part
from xbench.report.claims.verdicts import Judged, JudgedPart, detectable
from xbench.report.render.html import ClaimFinding
from xbench.report.statistics.inference import interval
from xbench.report.table import Column, Table, TableCell, TableRow
from xbench.report.tables.wording import ABSENT, signed, signed_decimal

MOST_PARTS = 24
EXPECTED = {"above": "> 0", "below": "< 0", "beyond": "not 0"}


def claim_tables(judged: Sequence[Judged]) -> list[Table]:
    """Verdicts, then effects, of claims that the run has anything to say about; none without any."""
    shown = [one for one in judged if one.has_effects or not one.parts]
    if not any(one.has_effects for one in shown):
        return []
    shown = _in_order(shown)
    silent = [one.label for one in judged if one not in shown]
    pages = _pages([one for one in shown if one.parts])
    effects = [_effects(page, (n, len(pages))) for n, page in enumerate(pages, start=1)]
    return [_verdicts(shown, silent), *effects]


def _pages(judged: Sequence[Judged]) -> list[list[Judged]]:
    """Claims in runs of at most so many parts as a page of paper takes."""
    pages: list[list[Judged]] = []
    for one in judged:
        if not pages or sum(len(each.parts) for each in [*pages[-1], one]) > MOST_PARTS:
            pages.append([])
        pages[-1].append(one)
    return pages


def findings(judged: Sequence[Judged]) -> list[ClaimFinding]:
    """The claims as a page shows them: those that are decided first."""
    judged = [one for one in judged if one.has_effects or not one.parts]
    family = _family(judged)
    order = ("contradicted", "supported", "undecided")
    return [
        ClaimFinding(
            f"{one.statement} ({one.source})" if one.source else one.statement,
            one.verdict,
            tuple(_lines(one, family)),
        )
        for one in sorted(_in_order(judged), key=lambda one: order.index(one.verdict))
    ]


def _in_order(judged: Sequence[Judged]) -> list[Judged]:
    """By where they are made, numbers in their order: claim C2 before claim C10."""

    def place(one: Judged) -> list[tuple[bool, int, str]]:
        parts = re.split(r"(\d+)", one.source)
        return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]

    return sorted(judged, key=lambda one: (place(one), one.name))


def _lines(one: Judged, family: int) -> list[str]:
    lines = [f"{each.part.about}: {_sentence(each)}." for each in one.parts]
    if one.p is not None:
        lines.append(_p_line(one, family))
    return [*lines, *_closing(one)]


def _p_line(one: Judged, family: int) -> str:
    assert one.p is not None
    assert one.adjusted is not None
    words = f"p {_p(one.p)}, after Holm over {family} claims {_p(one.adjusted)}"
    if one.alone != one.verdict:
        words += f"; by itself it would be {one.alone}"
    return words + "."


def _closing(one: Judged) -> list[str]:
    """What would decide, and what else is to be known."""
    needed = [f"To decide: {'; '.join(one.needed)}."] if one.needed else []
    return [*needed, *one.remarks]


def _sentence(each: JudgedPart) -> str:
    """``+1.2 [+0.4, +2.0], expected > 0, n = 3 fine-tuning seeds, paired t, p = .02``."""
    part, effect = each.part, each.part.effect
    if effect.value is None:
        return f"{effect.reason or 'no effect'}; expected {_expected(part)}"
    bounds = _interval(part)
    words = [
        _number(effect.value, part) + (f" {bounds}" if bounds else ""),
        f"expected {_expected(part)}",
        f"n = {effect.n} {effect.unit}",
    ]
    words += [effect.test] if effect.test else []
    words += [f"p {_p(each.support)}"] if each.support is not None else []
    return ", ".join(words) + (f" ({effect.reason})" if effect.reason else "")


def _verdicts(judged: Sequence[Judged], silent: Sequence[str]) -> Table:
    family = _family(judged)
    names = ("verdict", "parts as expected", "p", "p, Holm")
    return Table(
        name="claims",
        label="tab:claims",
        title="Claims: supported, contradicted or undecided",
        caption=(
            "What this run says about each claim. A claim is supported where each of its parts is, at "
            "5 % after Holm's correction over all claims that could be tested "
            f"({family}), and contradicted where one of its parts goes the other way."
        ),
        columns=tuple(Column(name) for name in names),
        rows=tuple(TableRow(one.label) for one in judged),
        cells=tuple(_verdict_cells(one) for one in judged),
        stub="claim",
        column_stub="verdict",
        notes=(
            *(_statement(one) for one in judged),
            "p: the largest of the parts' one-sided p values in the expected direction, or the "
            "smallest in the other one times the number of parts; of the two the smaller one, doubled. "
            "Parts as expected: whatever the noise.",
            "Undecided is no verdict on the claim: the run is too small, or lacks what the claim is "
            "about.",
            *([f"Nothing in this run is about: {', '.join(silent)}."] if silent else []),
        ),
    )


def _statement(one: Judged) -> str:
    source = f" ({one.source})" if one.source else ""
    alone = f" By itself it would be {one.alone}." if one.alone != one.verdict else ""
    closing = " ".join(_closing(one))
    return f"{one.label}: {one.statement}{source}{alone} {closing}".rstrip()


def _verdict_cells(one: Judged) -> tuple[TableCell, ...]:
    known = [each.as_expected for each in one.parts if each.as_expected is not None]
    share = f"{sum(known)} of {len(known)}" if known else ABSENT
    lacking = len(one.parts) - len(known)
    return (
        TableCell(
            one.verdict, details=() if one.alone == one.verdict else (f"alone: {one.alone}",)
        ),
        TableCell(share, details=(f"{lacking} lacking",) if lacking else ()),
        _p_cell(one.p),
        _p_cell(one.adjusted),
    )


def _effects(judged: Sequence[Judged], page: tuple[int, int]) -> Table:
    number, pages = page
    rows = [(one, each) for one in judged for each in one.parts]
    names = ("expected", "effect", "p", "n", "smallest effect to be found")
    return Table(
        name="claims",
        label=f"tab:claims-effects-{number}",
        title=f"Claims: the effects behind the verdicts ({number} of {pages})",
        caption=(
            "Each part of each claim by itself, not corrected: where the effect is expected, the effect "
            "with its 95% interval, the one-sided p value of the expected direction, on what it rests, "
            "and the smallest effect that 80 % of such runs would find at 5 %."
        ),
        columns=tuple(Column(name) for name in names),
        rows=tuple(TableRow(each.part.about, (one.label,)) for one, each in rows),
        cells=tuple(_effect_cells(each) for _, each in rows),
        stub="part",
        column_stub="effect",
        notes=tuple(_notes([each.part.effect for _, each in rows])),
    )


def _effect_cells(each: JudgedPart) -> tuple[TableCell, ...]:
    part, effect = each.part, each.part.effect
    smallest = detectable(effect)
    if effect.value is None:
        number = TableCell(ABSENT, "absent")
    else:
        bounds = _interval(part)
        text = _number(effect.value, part)
        number = TableCell(text, value=effect.value, details=(bounds,) if bounds else ())
    return (
        TableCell(_expected(part)),
        number,
        _p_cell(each.support),
        TableCell(f"{effect.n} {effect.unit}" if effect.n else ABSENT, value=float(effect.n)),
        TableCell(ABSENT, "absent") if smallest is None else TableCell(_size(smallest, part)),
    )


def _notes(effects: Sequence[Effect]) -> list[str]:
    tests: dict[str, list[str]] = {}
    for effect in effects:
        if effect.test and effect.unit not in tests.setdefault(effect.test, []):
            tests[effect.test].append(effect.unit)
    used = "; ".join(f"{test} over {', '.join(units)}" for test, units in tests.items())
    lines = [f"Tests: {used}."] if used else []
    lines.append(
        "Effects on scores are in percentage points and rest on fine-tuning seeds, and on alignment "
        "seeds where the run has several: the noise of the test set is not in them, nor, with one "
        "alignment seed, what another alignment run would give. "
        "Effects on what probes measure are as measured, and rest on languages or pairs of languages, "
        "taken as independent: pairs that share a language are less than that."
    )
    return lines


def _family(judged: Sequence[Judged]) -> int:
    return sum(one.p is not None for one in judged)


def _number(value: float, part: Part) -> str:
    return signed(value) if part.percent else signed_decimal(value, 3)


def _size(value: float, part: Part) -> str:
    return _number(value, part).removeprefix("+")


def _interval(part: Part) -> str:
    bounds = interval(part.effect)
    if bounds is None:
        return ""
    return f"[{', '.join(_number(end, part) for end in bounds)}]"


def _expected(part: Part) -> str:
    if part.margin:
        return f"{part.expected} ±{_size(part.margin, part)}"
    return EXPECTED[part.expected]


def _p_cell(p: float | None) -> TableCell:
    return (
        TableCell(ABSENT, "absent") if p is None else TableCell(_p(p).removeprefix("= "), value=p)
    )


def _p(p: float | None) -> str:
    """``= .012``, ``< .001``."""
    assert p is not None
    return "< .001" if p < 0.001 else f"= {p:.3f}".replace("= 0.", "= .")

"""The sentences under a table: what was averaged, what is lacking and why, which controls."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from xbench.report.averages import Average
from xbench.report.results import Panel, Results
from xbench.report.style import Style
from xbench.report.text import ABSENT, DAGGER

MOST_PLACES = 8
MOST_CHARACTERS = 300

Places = Sequence[tuple[str, Average]]
"""Where an average stands in the table, in words, and the average."""


def panel_name(panel: Panel) -> str:
    """``pos, full``."""
    return ", ".join(panel)


def by_panel(texts: Mapping[Panel, str]) -> str:
    """One text where all panels agree, else each text after the panels that it is about."""
    panels: dict[str, list[str]] = defaultdict(list)
    for panel, text in texts.items():
        panels[text].append(panel_name(panel))
    if len(panels) == 1:
        return next(iter(panels))
    return "; ".join(f"{' and '.join(names)}: {text}" for text, names in panels.items())


def languages(results: Results, style: Style) -> list[str]:
    """Which languages are averaged, and which have no data."""
    source = style.source_language
    listed = {
        panel: f"{len(codes)} ({', '.join(source_first(codes, source))})"
        for panel, codes in results.languages.items()
    }
    included = any(source in codes for codes in results.languages.values())
    suffix = f"; the source language {source} is among them" if included else ""
    notes = [f"Languages averaged: {by_panel(listed)}{suffix}."]
    for (task, language), reason in results.unavailable.items():
        notes.append(f"Without data, not a gap: {language} ({task}): {_short(reason)}.")
    return notes


def source_first(codes: Sequence[str], source: str | None) -> list[str]:
    """Language codes in order, the source language before the others."""
    return sorted(codes, key=lambda code: (code != source, code))


def seeds(results: Results) -> str:
    """What the spread is."""
    listed = {p: f"n = {len(s)} ({', '.join(map(str, s))})" for p, s in results.seeds.items()}
    text = f"Fine-tuning seeds: {by_panel(listed)}. "
    if all(len(s) < 2 for s in results.seeds.values()):
        return text + "One seed has no spread and gives no interval."
    return text + "± is the standard deviation (n - 1) over seeds."


def differences(results: Results) -> str:
    """What the differences and their intervals are."""
    if all(len(seeds) == 1 for seeds in results.seeds.values()):
        return (
            "Differences: to none, over the same languages, with the same fine-tuning seed; without "
            "an interval, and without the noise of the test set."
        )
    counts = {
        panel: f"{len(seeds)} seeds" if len(seeds) > 1 else "1 seed, no interval"
        for panel, seeds in results.seeds.items()
    }
    return (
        "Differences: to none, over the same languages, paired by fine-tuning seed; "
        f"95% t interval over seeds ({by_panel(counts)}), each by itself, not adjusted for the number "
        "of comparisons, and without the noise of the test set."
    )


def selection(kept: Mapping[Panel, str]) -> list[str]:
    """Of fine-tunings whose last step is not what is kept: which is. (task, mode) -> setting."""
    best = [panel_name(panel) for panel, which in kept.items() if which == "best"]
    if not best:
        return []
    where = "" if len(best) == len(kept) else f" ({'; '.join(best)})"
    return [
        f"Model selection{where}: the step of each fine-tuning that did best on the source language's "
        f"development split, not the last one."
    ]


def alignment(results: Results) -> list[str]:
    """Which checkpoints and alignment seeds the encoders are."""
    notes = []
    if results.align_step is not None:
        others = ", ".join(map(str, results.other_steps))
        suffix = f" (also stored, not shown: {others})" if others else ""
        notes.append(f"Aligned encoders after {results.align_step} steps{suffix}.")
    if len(results.align_seeds) == 1:
        notes.append(
            f"One alignment seed ({results.align_seeds[0]}): its variation is not measured."
        )
    return notes


def controls(results: Results, style: Style) -> str:
    """Which controls the results hold, and which they lack."""
    mlm = ":".join(style.mlm_control)
    texts = {}
    for panel in results.panels:
        encoders = [e for p, e in results.blocks if p == panel]
        arms = {e.arm for e in encoders}
        found = {
            "none": "none" in arms,
            f"mlm ({mlm})": any(
                e.arm == "aligned" and (e.objective, e.variant) == style.mlm_control
                for e in encoders
            ),
            "shuffled": "shuffled" in arms,
        }
        lacking = [name for name, present in found.items() if not present]
        present = [name for name, present in found.items() if present]
        texts[panel] = f"{', '.join(present) or 'not one'}" + (
            f"; MISSING controls: {', '.join(lacking)}" if lacking else ""
        )
    return f"Controls: {by_panel(texts)}."


def test_items(results: Results) -> list[str]:
    """How many items a language is tested on, and where encoders were tested on unequal sets."""
    sizes: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for (panel, _), block in results.blocks.items():
        for (language, _seed), row in block.items():
            if row.n is not None and row.status == "done":
                sizes[panel[0]][language].add(row.n)
    spans, notes = [], []
    for task, of_language in sorted(sizes.items()):
        counts = sorted(set().union(*of_language.values()))
        span = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        spans.append(f"{task} {span}")
        unequal = sorted(language for language, ns in of_language.items() if len(ns) > 1)
        if unequal:
            notes.append(
                f"Caution: {task} was not tested on the same number of items throughout for "
                f"{', '.join(unequal)}; values there are not comparable."
            )
    return [f"Test items per language: {', '.join(spans)}.", *notes] if spans else []


def overlap(counts: Mapping[tuple[str, str], tuple[int, int]]) -> list[str]:
    """Which test items are training items too: {(task, language): (how many, of how many)}."""
    found: dict[str, list[str]] = defaultdict(list)
    for (task, language), (known, tested) in sorted(counts.items()):
        if known:
            found[task].append(f"{language} {known} of {tested}")
    if not found:
        return []
    listed = "; ".join(f"{task}: {', '.join(parts)}" for task, parts in found.items())
    return [
        f"Caution: test items whose text was trained on, and which count all the same: {listed}."
    ]


def gaps(places: Places) -> list[str]:
    """Every number that is not shown, or stands for a part only, with its reason."""
    reasons: dict[str, list[str]] = defaultdict(list)
    for where, average in places:
        if average.status == "partial":
            languages = f"{len(average.languages)} of {len(average.expected_languages)} languages"
            seeds = f"{len(average.seeds)} of {len(average.expected_seeds)} seeds"
            text = f"{DAGGER} averaged over a part ({languages}, {seeds}{_lacking(average)})"
            reasons[text].append(where)
        elif average.status in ("failed", "blocked"):
            for reason in _reasons(average):
                reasons[f"{average.status}: {reason}"].append(where)
        elif average.status == "incomplete":
            reasons[f"incomplete{_lacking(average)}"].append(where)
        elif average.status == "missing":
            reasons["missing (not computed yet)"].append(where)
    if any(average.status == "absent" for _, average in places):
        reasons[f"{ABSENT} not part of these runs"] = []
    return [
        reason + (f" - in: {_cut(where)}." if where else ".") for reason, where in reasons.items()
    ]


def _reasons(average: Average) -> list[str]:
    rows = [average.block[place] for place in average.gaps if place in average.block]
    return sorted(
        {_short(r.reason or "no reason was recorded") for r in rows if r.status == average.status}
    )


def _lacking(average: Average) -> str:
    """``; lacking kaz (seeds 15, 33)``."""
    seeds: dict[str, list[str]] = defaultdict(list)
    for language, seed in average.gaps:
        seeds[language].append(str(seed))
    languages: dict[str, list[str]] = defaultdict(list)
    for language, lacking in seeds.items():
        languages[", ".join(lacking)].append(language)
    parts = [f"{', '.join(codes)} (seeds {s})" for s, codes in languages.items()]
    return f"; lacking {_cut(parts)}"


def _cut(parts: Sequence[str]) -> str:
    shown = "; ".join(parts[:MOST_PLACES])
    return shown + (f"; and {len(parts) - MOST_PLACES} more" if len(parts) > MOST_PLACES else "")


def _short(reason: str) -> str:
    """A reason on one line, without its full stop."""
    line = " ".join(reason.split()).removesuffix(".")
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 1] + "…"

"""The sentences under a table: what was averaged, what is lacking and why, which controls."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from xbench.report.results.averages import CellAverage
from xbench.report.results.results import NOT_TUNED, ComparedEncoder, Panel, Results, Run
from xbench.report.statistics.run_noise import alignments, is_of_one_checkpoint
from xbench.report.style import Style
from xbench.report.tables.wording import ABSENT, DAGGER

MOST_PLACES = 8
MOST_CHARACTERS = 300

Places = Sequence[tuple[str, CellAverage]]
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


def counts(results: Results) -> str:
    """``fine-tuning seeds (n = 3)``, and what else the spread of aligned encoders is over."""
    each = by_panel({panel: f"n = {len(s)}" for panel, s in results.seeds.items()})
    text = f"fine-tuning seeds ({each})"
    several = len(results.align_seeds)
    return text + (f", of aligned encoders over {several} alignment seeds too" * (several > 1))


def seeds(results: Results) -> str:
    """What the spread is."""
    tuned = {panel: s for panel, s in results.seeds.items() if s != (NOT_TUNED,)}
    listed = {p: f"n = {len(s)} ({', '.join(map(str, s))})" for p, s in tuned.items()}
    text = f"Fine-tuning seeds: {by_panel(listed)}. " if listed else ""
    if len(results.align_seeds) > 1:
        of = (
            "over all runs, of each alignment seed with each fine-tuning seed"
            if tuned
            else ("over alignment seeds")
        )
        return f"{text}± is the standard deviation (n - 1) {of}."
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
    aligned = len(results.align_seeds)
    crossed = f" crossed with {aligned} alignment seeds" if aligned > 1 else ""
    return (
        "Differences: to none, over the same languages, paired by fine-tuning seed; "
        f"95% t interval over seeds ({by_panel(counts)}{crossed}), each by itself, not adjusted for "
        "the number of comparisons, and without the noise of the test set."
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
    listed = ", ".join(map(str, results.align_seeds))
    if len(results.align_seeds) == 1:
        notes.append(
            f"One alignment seed ({listed}): what is said of noise is about the one checkpoint that each "
            f"alignment gave. What another alignment run would give is not measured, and not covered."
        )
    elif results.align_seeds:
        notes.append(
            f"Averages over {len(results.align_seeds)} alignment seeds ({listed}): each alignment is a "
            f"checkpoint of its own."
        )
    return notes


def withheld(results: Results) -> list[str]:
    """Where no difference is marked as significant, and why."""
    found = [
        panel_name(panel)
        for panel in results.panels
        if is_of_one_checkpoint(panel[1], len(results.align_seeds))
        and any(at == panel and encoder.has_alignment for at, encoder in results.blocks)
    ]
    if not found:
        return []
    return [
        f"Not tested ({'; '.join(found)}): aligned encoders. They are frozen there, so that "
        f"fine-tuning seeds vary the head alone, and with one alignment seed what looks significant may "
        f"be that seed's luck. Several seeds are tested: --align-seed 42,43,44."
    ]


def controls(results: Results, style: Style) -> str:
    """Which controls the results hold, and which they lack."""
    texts = {}
    for panel in results.panels:
        encoders = [e for p, e in results.blocks if p == panel]
        arms = {e.arm for e in encoders}
        found = {
            "none": "none" in arms,
            **_mlm(encoders, style.mlm_control),
            "shuffled": "shuffled" in arms,
        }
        lacking = [name for name, present in found.items() if not present]
        present = [name for name, present in found.items() if present]
        texts[panel] = f"{', '.join(present) or 'not one'}" + (
            f"; MISSING controls: {', '.join(lacking)}" if lacking else ""
        )
    return f"Controls: {by_panel(texts)}."


def _mlm(encoders: Iterable[ComparedEncoder], control: tuple[str, str] | None) -> dict[str, bool]:
    """The control that trains on the same text without an alignment signal, and whether it is there."""
    if control is None:
        return {}
    found = any(e.arm == "aligned" and (e.objective, e.variant) == control for e in encoders)
    return {f"mlm ({':'.join(control)})": found}


def test_items(results: Results) -> list[str]:
    """How many items a language is tested on, and where encoders were tested on unequal sets."""
    sizes: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for (panel, _), block in results.blocks.items():
        for (language, _), row in block.items():
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
            word = "runs" if len(alignments(average.expected_runs)) > 1 else "seeds"
            seeds = f"{len(average.runs)} of {len(average.expected_runs)} {word}"
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


def _reasons(average: CellAverage) -> list[str]:
    rows = [average.block[place] for place in average.gaps if place in average.block]
    return sorted(
        {_short(r.reason or "no reason was recorded") for r in rows if r.status == average.status}
    )


def _lacking(average: CellAverage) -> str:
    """``; lacking kaz (seeds 15, 33)``."""
    runs: dict[str, list[Run]] = defaultdict(list)
    for language, run in average.gaps:
        runs[language].append(run)
    several = len(alignments(average.expected_runs)) > 1
    languages: dict[str, list[str]] = defaultdict(list)
    for language, lacking in runs.items():
        languages[_listed(lacking, several)].append(language)
    parts = [f"{', '.join(codes)} ({text})" for text, codes in languages.items()]
    return f"; lacking {_cut(parts)}"


def _listed(runs: Sequence[Run], several: bool) -> str:
    """``seeds 15, 33``; with several alignment seeds ``align seed 43: seeds 15, 33``."""
    found: dict[int | None, list[str]] = defaultdict(list)
    for run in runs:
        found[run.align_seed].append(str(run.seed) if run.seed != NOT_TUNED else "")
    parts = []
    for align_seed, seeds in found.items():
        words = [f"align seed {align_seed}"] if several and align_seed is not None else []
        words += [f"seeds {', '.join(seeds)}"] if any(seeds) else []
        parts.append(": ".join(words))
    return "; ".join(part for part in parts if part)


def _cut(parts: Sequence[str]) -> str:
    shown = "; ".join(parts[:MOST_PLACES])
    return shown + (f"; and {len(parts) - MOST_PLACES} more" if len(parts) > MOST_PLACES else "")


def _short(reason: str) -> str:
    """A reason on one line, without its full stop."""
    line = " ".join(reason.split()).removesuffix(".")
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 1] + "…"

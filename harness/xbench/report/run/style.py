"""How the tables of a run are written, and what is said under each."""

from collections.abc import Iterator

from xbench.catalogue.registry import SuiteEntry, sources
from xbench.report.run.stored import StoredRun
from xbench.report.style import Style
from xbench.report.tables import notes
from xbench.spec.request import RunSpec

MLM = "mlm"
"""The name of the control without an alignment signal, in the registry and after ``--arm``."""
RECONSTRUCTION = (
    "Settings that the reference study does not state are reconstructions; `xbench show {suite}` "
    "gives the source of each."
)


def style_of(run: StoredRun, allow_partial: bool = False) -> Style:
    """Source language, short names of languages, the control without alignment, and the notes."""
    registry, suite = run.catalogue.registry, run.suite
    short = {code: entry.iso639_1 for code, entry in registry.languages.items() if entry.iso639_1}
    objective, _, variant = registry.controls.get(MLM, "").partition(":")
    return Style(
        allow_partial=allow_partial,
        source_language=run.source_language,
        short_codes=short,
        variant_order=registry.variant_order,
        mlm_control=(objective, variant) if objective else None,
        notes=tuple(_notes(run, suite)),
    )


def _notes(run: StoredRun, suite: SuiteEntry | None) -> Iterator[str]:
    if suite and _is_reconstructed(suite):
        yield RECONSTRUCTION.format(suite=run.suite_name)
    yield from notes.selection(_selected(run.spec))
    yield from _left_out(run)
    known = {
        place: (result.get("overlap", 0), result["items"])
        for place, result in run.evaluations.items()
    }
    yield from notes.overlap(known)
    yield from run.notes


def _is_reconstructed(suite: SuiteEntry) -> bool:
    stated = [sources(part) for part in (suite.align, suite.finetune, suite.evaluate)]
    return any("reconstruction" in source for part in stated for source in part.values())


def _selected(spec: RunSpec) -> dict[tuple[str, str], str]:
    """(task, mode) -> whose weights a fine-tuning keeps, of the tasks that are fine-tuned."""
    return {
        (task, mode): str(settings["selection"])
        for task, modes in spec.finetune.items()
        for mode, settings in modes.items()
        if isinstance(settings, dict) and "selection" in settings
    }


def _left_out(run: StoredRun) -> Iterator[str]:
    """What was taken out of the alignment text because it is in a test set, and what was not looked for."""
    found: dict[str, dict[str, int]] = {}
    for pair, result in run.alignments.items():
        for source, count in result.get("excluded", {}).items():
            found.setdefault(source, {})[pair] = count
    parts = [
        f"{source}: "
        + ", ".join(f"{count} ({pair})" for pair, count in sorted(counts.items()) if count)
        for source, counts in sorted(found.items())
        if any(counts.values())
    ]
    if parts:
        yield f"Pairs left out because a test set holds one of their sentences: {'; '.join(parts)}."
    missing = sorted({what.split(":")[0] for what in run.record.unguarded} - set(found))
    if missing:
        yield f"Not looked for in the alignment text, for want of the data: {', '.join(missing)}."

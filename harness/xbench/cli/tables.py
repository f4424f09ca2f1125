"""Tables of a run, on the terminal and in files: a pure function of the store."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xbench.errors import UnknownName, XbenchError

if TYPE_CHECKING:
    import pandas as pd

    from xbench.registry import SuiteEntry
    from xbench.report.results import Selection
    from xbench.report.style import Style
    from xbench.report.table import Table
    from xbench.spec import RunSpec

RECONSTRUCTION = (
    "Settings that the reference study does not state are reconstructions; `xbench show {suite}` "
    "gives the source of each."
)
SET_HERE = "set for this run"


def tables_of(
    folder: Path, run: Mapping[str, Any], frame: "pd.DataFrame", allow_partial: bool = False
) -> "list[Table]":
    """Table 1, the tables behind it, and what was published, for the run in ``folder``.

    Raises where the results cannot be reported.
    """
    from xbench import hooks
    from xbench.cli.background import background_of
    from xbench.cli.claims import claims_of_run
    from xbench.report.build import build_tables
    from xbench.report.claims import claim_tables
    from xbench.results import SPEC
    from xbench.spec import read_spec

    spec = read_spec(folder / SPEC)
    try:
        style = style_of(folder, run, spec, allow_partial)
        background = background_of(suite_name(run), frame)
        tables = build_tables(frame, selection_of(run), style, background)
        tables += claim_tables(claims_of_run(run, frame, style.source_language), style)
    except ValueError as error:
        raise XbenchError(f"The run {folder.name} cannot be reported: {error}") from error
    sections = hooks.ask("xbench_report_sections", [], frame=frame.copy(), spec=spec)
    return [*tables, *_published(run), *(table for section in sections for table in section)]


def selection_of(run: Mapping[str, Any]) -> "Selection":
    """What of a run's results is reported: each task's first metric, on the split it evaluates."""
    from xbench.report.results import Selection

    metrics = {task: names[0] for task, names in run["metrics"].items()}
    splits = {
        cell["coordinates"]["split"] for cell in run["cells"] if not cell.get("probe")
    }  # a run evaluates one
    return Selection(metrics, split=min(splits, default="test"))


def _published(run: Mapping[str, Any]) -> "list[Table]":
    """Values of the literature for the run's tasks, where these are on data that others have too."""
    from xbench.registry import load_registry
    from xbench.report.published import published_tables

    registry = load_registry()
    suite = registry.suites.get(suite_name(run))
    bound = suite.tasks if suite else {}
    known = {task for task, binding in bound.items() if binding.source in registry.datasets}
    metrics = {task: names for task, names in run["metrics"].items() if task in known}
    return published_tables(registry.published, metrics)


def suite_name(run: Mapping[str, Any]) -> str:
    """The suite that a run is of; empty for a run without cells."""
    return str(run["cells"][0]["coordinates"]["suite"]) if run["cells"] else ""


def source_language(run: Mapping[str, Any]) -> str | None:
    """The language that the run's suite learns tasks in, where the suite is known."""
    from xbench.registry import load_registry

    suite = load_registry().suites.get(suite_name(run))
    return suite.source_language if suite else None


def style_of(folder: Path, run: Mapping[str, Any], spec: "RunSpec", allow_partial: bool) -> "Style":
    """How the tables of a run are written, and what is said under each."""
    from xbench.registry import load_registry
    from xbench.report import notes
    from xbench.report.style import Style
    from xbench.results import read_notes

    registry = load_registry()
    name = suite_name(run)
    suite = registry.suites.get(name)
    short = {code: entry.iso639_1 for code, entry in registry.languages.items() if entry.iso639_1}
    objective, _, variant = registry.controls["mlm"].partition(":")
    return Style(
        allow_partial=allow_partial,
        source_language=suite.source_language if suite else None,
        short_codes=short,
        mlm_control=(objective, variant),
        notes=(
            *((RECONSTRUCTION.format(suite=name),) if suite and _is_reconstructed(suite) else ()),
            *notes.selection(_selected(spec)),
            *_overlap_notes(folder, run),
            *notes.overlap(_known_items(folder, run)),
            *read_notes(folder),
        ),
    )


def _selected(spec: "RunSpec") -> dict[tuple[str, str], str]:
    """(task, mode) -> whose weights a fine-tuning keeps, of the tasks that are fine-tuned."""
    return {
        (task, mode): str(settings["selection"])
        for task, modes in spec.finetune.items()
        for mode, settings in modes.items()
        if isinstance(settings, dict) and "selection" in settings
    }


def _overlap_notes(folder: Path, run: Mapping[str, Any]) -> tuple[str, ...]:
    """What was taken out of the alignment text because it is in a test set, and what was not looked for."""
    from xbench.store import Store

    store = Store(folder.parent.parent)
    found: dict[str, dict[str, int]] = {}
    for key, pair in {
        cell["align"]: cell["coordinates"].get("pair") for cell in run["cells"]
    }.items():
        if key is None or store.state("align", key) != "done":
            continue
        for source, count in store.result("align", key).get("excluded", {}).items():
            found.setdefault(source, {})[pair] = count
    parts = [
        f"{source}: "
        + ", ".join(f"{count} ({pair})" for pair, count in sorted(counts.items()) if count)
        for source, counts in sorted(found.items())
        if any(counts.values())
    ]
    notes = [f"Pairs left out because a test set holds one of their sentences: {'; '.join(parts)}."]
    lacking = sorted({what.split(":")[0] for what in run.get("unguarded", {})} - set(found))
    missing = [f"Not looked for in the alignment text, for want of the data: {', '.join(lacking)}."]
    return (*(notes if parts else ()), *(missing if lacking else ()))


def _known_items(folder: Path, run: Mapping[str, Any]) -> dict[tuple[str, str], tuple[int, int]]:
    """(task, language) -> how many test items were trained on, and how many there are.

    One evaluation tells it for all: what is trained on and tested is the same for every encoder.
    """
    from xbench.store import DamagedArtefact, Store

    store = Store(folder.parent.parent)
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for cell in run["cells"]:
        place = (cell["coordinates"].get("task"), cell["coordinates"].get("language"))
        key = cell["evaluate"]
        if place in found or key is None or store.state("evaluate", key) != "done":
            continue
        try:
            result = store.result("evaluate", key)
        except DamagedArtefact:  # it was set aside, and the next run computes it again
            continue
        found[place] = (result.get("overlap", 0), result["items"])
    return found


def settings_tables(folder: Path) -> "list[Table]":
    """Tables B1 of a run: every setting as it was, and who stated the value.

    A value that is not the suite's was set for the run; an objective says itself where its come from.
    """
    from xbench.registry import load_registry, plain, sources
    from xbench.report.settings_table import flat, settings_table
    from xbench.results import SPEC
    from xbench.spec import read_spec

    spec = read_spec(folder / SPEC)
    suite = load_registry().suites.get(spec.suite)
    tables = []
    for phase in ("align", "finetune", "evaluate"):
        given = getattr(suite, phase) if suite else {}
        own, stated = flat(plain(given)), sources(given)
        values = flat(getattr(spec, phase))
        origin = {}
        for name, value in values.items():
            of_suite = next((n for n in _candidates(name) if n in own), None)
            if of_suite is None:
                continue
            same = own[of_suite] == value or of_suite == "checkpoints"
            origin[name] = stated.get(of_suite, f"the suite {spec.suite}") if same else SET_HERE
        tables.append(settings_table(spec.suite, phase, values, origin))
    return tables + _objective_tables(spec)


def chosen(tables: "Sequence[Table]", only: str | None) -> "list[Table]":
    """The tables asked for by name (``1`` is short for ``table1``). Raises :class:`UnknownName`."""
    if only is None:
        return list(tables)
    known = list(dict.fromkeys(table.name for table in tables))
    names = [
        f"table{name}" if name.isdigit() else name for name in only.replace(" ", "").split(",")
    ]
    for name in names:
        if name not in known:
            raise UnknownName("table", name, known)
    return [table for name in names for table in tables if table.name == name]


def _candidates(name: str) -> list[str]:
    """Where a suite may state ``task.mode.setting``: the most special place first."""
    *path, setting = name.split(".")
    places = [path, path[:1], path[1:], []]
    return list(dict.fromkeys(".".join([*place, setting]) for place in places))


def _objective_tables(spec: "RunSpec") -> "list[Table]":
    from xbench.context import Context
    from xbench.discovery import discovery
    from xbench.objectives import find_method
    from xbench.registry import load_registry
    from xbench.report.settings_table import settings_table

    tables = []
    objectives = spec.objective if isinstance(spec.objective, dict) else {}
    for name, variants in objectives.items():
        first = next(iter(variants.values()), {})
        varying = {field for config in variants.values() for field in config}
        shared = {f: v for f, v in first.items() if all(c.get(f) == v for c in variants.values())}
        values = {f: shared.get(f, "by variant") for f in sorted(varying)}
        try:
            origin = find_method(name, Context(load_registry(), discovery)).sources()
        except XbenchError:  # the plugin is not here any more; what it was set to is
            origin = {}
        tables.append(settings_table(spec.suite, f"objective {name}", values, origin))
    return tables


def _is_reconstructed(suite: "SuiteEntry") -> bool:
    from xbench.registry import sources

    stated = [sources(part) for part in (suite.align, suite.finetune, suite.evaluate)]
    return any("reconstruction" in source for part in stated for source in part.values())


def show_tables(tables: "Sequence[Table]") -> None:
    """Tables on the terminal."""
    from rich.console import Console

    from xbench.report.terminal import print_tables

    print_tables(tables, Console())

"""Tables of a run, on the terminal and in files: a pure function of the store."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xbench.errors import XbenchError
from xbench.results import read_run, results
from xbench.store import Store

if TYPE_CHECKING:
    from xbench.report.style import Style
    from xbench.report.table import Table

RECONSTRUCTION = (
    "Settings that the reference study does not state are reconstructions; `xbench show {suite}` "
    "gives the source of each."
)


def tables_of(store: Store, folder: Path, allow_partial: bool = False) -> "list[Table]":
    """Table 1 and the per-language tables behind it. Raises where the results cannot be reported."""
    from xbench.report.build import build_tables
    from xbench.report.results import Selection

    run = read_run(folder)
    metrics = {task: names[0] for task, names in run["metrics"].items()}
    try:
        return build_tables(results(store, run), Selection(metrics), _style(run, allow_partial))
    except ValueError as error:
        raise XbenchError(f"The run {folder.name} cannot be reported: {error}") from error


def _style(run: Mapping[str, Any], allow_partial: bool) -> "Style":
    from xbench.registry import load_registry
    from xbench.report.style import Style

    registry = load_registry()
    name = run["cells"][0]["coordinates"]["suite"] if run["cells"] else ""
    suite = registry.suites.get(name)
    short = {code: entry.iso639_1 for code, entry in registry.languages.items() if entry.iso639_1}
    objective, _, variant = registry.controls["mlm"].partition(":")
    return Style(
        allow_partial=allow_partial,
        source_language=suite.source_language if suite else None,
        short_codes=short,
        mlm_control=(objective, variant),
        notes=(RECONSTRUCTION.format(suite=name),),
    )


def show_tables(store: Store, folder: Path) -> None:
    """Table 1 on the terminal."""
    from rich.console import Console

    from xbench.report.terminal import print_tables

    print_tables(tables_of(store, folder)[:1], Console())


def write_tables(
    store: Store, folder: Path, out: Path, formats: Sequence[str], allow_partial: bool = False
) -> list[Path]:
    """The tables as files; returns what was written."""
    from xbench.report.build import write_report

    return write_report(tables_of(store, folder, allow_partial), out, formats)

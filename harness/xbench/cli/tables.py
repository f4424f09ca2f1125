"""Tables of a run, on the terminal and in files: a pure function of the store."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xbench.errors import XbenchError

if TYPE_CHECKING:
    import pandas as pd

    from xbench.registry import SuiteEntry
    from xbench.report.style import Style
    from xbench.report.table import Table

RECONSTRUCTION = (
    "Settings that the reference study does not state are reconstructions; `xbench show {suite}` "
    "gives the source of each."
)


def tables_of(
    folder: Path, run: Mapping[str, Any], frame: "pd.DataFrame", allow_partial: bool = False
) -> "list[Table]":
    """Table 1 and the per-language tables behind it, of the run in ``folder``.

    Raises where the results cannot be reported.
    """
    from xbench.report.build import build_tables
    from xbench.report.results import Selection

    metrics = {task: names[0] for task, names in run["metrics"].items()}
    splits = {cell["coordinates"]["split"] for cell in run["cells"]}  # a run evaluates one
    selection = Selection(metrics, split=min(splits, default="test"))
    try:
        return build_tables(frame, selection, _style(run, allow_partial))
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
        notes=(RECONSTRUCTION.format(suite=name),) if suite and _is_reconstructed(suite) else (),
    )


def _is_reconstructed(suite: "SuiteEntry") -> bool:
    from xbench.registry import sources

    stated = [sources(part) for part in (suite.align, suite.finetune, suite.evaluate)]
    return any("reconstruction" in source for part in stated for source in part.values())


def show_tables(tables: "Sequence[Table]") -> None:
    """Tables on the terminal."""
    from rich.console import Console

    from xbench.report.terminal import print_tables

    print_tables(tables, Console())

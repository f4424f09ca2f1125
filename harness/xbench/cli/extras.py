"""What a report shows beside its tables: figures, claims, and where each number comes from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from xbench.report.build import Extras
    from xbench.report.html import Figure, Finding
    from xbench.report.provenance import Provenance

Run = Mapping[str, Any]
"""What a run planned, as ``plan.json`` holds it."""


def extras_of(folder: Path, run: Run, frame: "pd.DataFrame") -> "Extras":
    """All of it for the run in ``folder``; ``frame`` holds its tidy results."""
    from xbench.report.build import Extras

    return Extras(
        figures=figures_of(folder, run, frame),
        claims=claims_of(folder, run, frame),
        provenance=provenance_of(folder, run, frame),
    )


def figures_of(folder: Path, run: Run, frame: "pd.DataFrame") -> "Sequence[Figure]":
    """The figures of a run, as (title, SVG, caption)."""
    return ()


def claims_of(folder: Path, run: Run, frame: "pd.DataFrame") -> "Sequence[Finding]":
    """What a run says about each claim."""
    from xbench.cli.claims import claims_of_run
    from xbench.cli.tables import source_language
    from xbench.report.claims import findings

    return findings(claims_of_run(run, frame, source_language(run)))


def provenance_of(folder: Path, run: Run, frame: "pd.DataFrame") -> "Provenance":
    """The rows and stages behind a run's numbers."""
    from xbench.report.provenance import read_provenance
    from xbench.store import Store

    return read_provenance(Store(folder.parent.parent), run, frame, folder.name)

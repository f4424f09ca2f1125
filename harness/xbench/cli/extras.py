"""What a report shows beside its tables: figures, claims, and where each number comes from."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from xbench.report.build import Extras
    from xbench.report.figures.gallery import Gallery
    from xbench.report.html import Finding
    from xbench.report.provenance import Provenance
    from xbench.report.table import Table

Run = Mapping[str, Any]
"""What a run planned, as ``plan.json`` holds it."""


def extras_of(
    folder: Path,
    run: Run,
    frame: "pd.DataFrame",
    formats: Sequence[str] = (),
    allow_partial: bool = False,
    keep: bool = False,
) -> "Extras":
    """All of it for the run in ``folder``; ``frame`` holds its tidy results.

    Figures are drawn as the ``formats`` of the report need them; with ``keep`` those that the run's
    own report has are taken where they would come out the same.
    """
    from xbench.cli.figures import kept_gallery
    from xbench.report.build import PICTURES, Extras

    pictures = sorted({PICTURES[name] for name in formats if name in PICTURES})
    if keep:
        figures = kept_gallery(folder, run, frame, pictures)
    else:
        figures = figures_of(folder, run, frame, pictures, allow_partial)
    return Extras(
        figures=figures,
        claims=claims_of(folder, run, frame),
        provenance=provenance_of(folder, run, frame),
    )


def figures_of(
    folder: Path,
    run: Run,
    frame: "pd.DataFrame",
    formats: Sequence[str],
    allow_partial: bool = False,
) -> "Gallery":
    """The figures of a run, in ``formats`` of pictures; none where there is no format."""
    from xbench.cli.figures import gallery_of
    from xbench.report.figures.gallery import Gallery

    return gallery_of(folder, run, frame, formats, allow_partial) if formats else Gallery()


def costs_of(extras: "Extras", frame: "pd.DataFrame") -> "list[Table]":
    """What a run's stages took; none where nobody wrote it down."""
    from xbench.report.compute import compute_table

    if extras.provenance is None:
        return []
    about = (next(iter(frame[name].dropna()), "") for name in ("suite", "model"))
    return compute_table(extras.provenance.stages.values(), *map(str, about))


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

"""What a report shows beside its tables: figures, claims, and where each number comes from."""

from collections.abc import Sequence
from dataclasses import replace

from xbench.errors import XbenchError
from xbench.report.claims.section import findings
from xbench.report.figures.gallery import FOLDER, Gallery, build_gallery
from xbench.report.figures.kept import gallery_key, read_gallery, write_gallery
from xbench.report.figures.material import Material
from xbench.report.figures.stored import read_curves, read_items
from xbench.report.results.probe_rows import has_probes, read_probes
from xbench.report.results.reading import read_results
from xbench.report.run.stored import StoredRun
from xbench.report.run.style import style_of
from xbench.report.table import Table
from xbench.report.tables.compute import compute_table
from xbench.report.tables.untrained import has_training
from xbench.report.write import PICTURES, Extras


def extras_of(
    run: StoredRun,
    formats: Sequence[str] = (),
    allow_partial: bool = False,
    keep: bool = False,
) -> Extras:
    """All of it for one run.

    Figures are drawn as the ``formats`` of the report need them; with ``keep`` those that the run's
    own report has are taken where they would come out the same.
    """
    pictures = sorted({PICTURES[name] for name in formats if name in PICTURES})
    return Extras(
        figures=_figures(run, pictures, allow_partial, keep),
        claims=findings(run.claims),
        provenance=run.provenance,
    )


def costs_of(run: StoredRun) -> list[Table]:
    """What a run's stages took; none where nobody wrote it down."""
    about = (next(iter(run.rows[name].dropna()), "") for name in ("suite", "model"))
    return compute_table(run.provenance.stages.values(), *map(str, about))


def gallery_of(run: StoredRun, pictures: Sequence[str], allow_partial: bool = False) -> Gallery:
    """All figures of a run, drawn in formats of pictures (``svg``, ``pdf``)."""
    return build_gallery(material_of(run, allow_partial), pictures)


def material_of(run: StoredRun, allow_partial: bool = False) -> Material:
    """What figures are drawn from. Raises :class:`XbenchError` where a run cannot be reported."""
    rows, selection, background = run.rows, run.selection, run.background
    maps = [figure for figure in background.figures.values() if figure.form == "map"]
    wanted = [(figure.probe, metric) for figure in maps for metric in figure.wanted]
    try:
        probes = read_probes(rows, selection, background.wanted) if has_probes(rows) else None
        mapped = None
        if probes and len(probes.align_seeds) > 1:
            of_first = replace(selection, align_seed=probes.align_seeds[0])
            mapped = read_probes(rows, of_first, background.wanted)
        return Material(
            read_results(rows, selection) if has_training(rows) else None,
            probes,
            background,
            style_of(run, allow_partial),
            read_curves(run.store, run.record),
            read_items(run.store, run.record, wanted),
            mapped,
        )
    except ValueError as error:
        raise XbenchError(f"The run {run.name} cannot be drawn: {error}") from error


def _figures(run: StoredRun, pictures: Sequence[str], allow_partial: bool, keep: bool) -> Gallery:
    if keep:
        return _kept(run, pictures)
    return gallery_of(run, pictures, allow_partial) if pictures else Gallery()


def _kept(run: StoredRun, pictures: Sequence[str]) -> Gallery:
    """The figures of the run's own report, or drawn anew where these would come out differently."""
    place = run.folder / "report" / FOLDER
    material = material_of(run)
    key = gallery_key(material)
    kept = read_gallery(place, key, pictures)
    if kept is not None:
        return kept
    gallery = build_gallery(material, pictures)
    write_gallery(place, key, gallery, pictures)
    return gallery

"""The figures of a run: reads what they are drawn from, and draws them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xbench.errors import XbenchError

if TYPE_CHECKING:
    import pandas as pd

    from xbench.report.figures.gallery import Gallery
    from xbench.report.figures.material import Material

FORMATS = ("svg", "pdf")


def gallery_of(
    folder: Path,
    run: Mapping[str, Any],
    frame: "pd.DataFrame",
    formats: Sequence[str] = FORMATS,
    allow_partial: bool = False,
) -> "Gallery":
    """All figures of the run in ``folder``, of which ``frame`` holds the tidy results."""
    from xbench.report.figures.gallery import build_gallery

    return build_gallery(material_of(folder, run, frame, allow_partial), formats)


def kept_gallery(
    folder: Path, run: Mapping[str, Any], frame: "pd.DataFrame", formats: Sequence[str] = FORMATS
) -> "Gallery":
    """The same; those in the run's report are taken where they would come out the same."""
    from xbench.report.figures.gallery import FOLDER, build_gallery
    from xbench.report.figures.kept import gallery_key, read_gallery, write_gallery

    place = folder / "report" / FOLDER
    material = material_of(folder, run, frame)
    key = gallery_key(material)
    kept = read_gallery(place, key, formats)
    if kept is not None:
        return kept
    gallery = build_gallery(material, formats)
    write_gallery(place, key, gallery, formats)
    return gallery


def material_of(
    folder: Path, run: Mapping[str, Any], frame: "pd.DataFrame", allow_partial: bool = False
) -> "Material":
    """What figures are drawn from. Raises where the results cannot be reported."""
    from xbench.cli.background import background_of
    from xbench.cli.tables import style_of
    from xbench.report.figures.material import Material
    from xbench.report.figures.stored import read_curves, read_items
    from xbench.report.probe_rows import has_probes, read_probes
    from xbench.report.reading import read_results
    from xbench.report.results import Selection
    from xbench.report.untrained import has_training
    from xbench.results import SPEC
    from xbench.spec import read_spec
    from xbench.store import Store

    places = [cell["coordinates"] for cell in run["cells"]]
    splits = {at["split"] for at in places if at.get("probe") is None}
    metrics = {task: names[0] for task, names in run["metrics"].items()}
    selection = Selection(metrics, split=min(splits, default="test"))
    background = background_of(str(places[0]["suite"]) if places else "", frame)
    store = Store(folder.parent.parent)
    maps = [figure for figure in background.figures.values() if figure.form == "map"]
    wanted = [(figure.probe, metric) for figure in maps for metric in figure.wanted]
    try:
        probes = read_probes(frame, selection, background.wanted) if has_probes(frame) else None
        mapped = None
        if probes and len(probes.align_seeds) > 1:
            of_first = replace(selection, align_seed=probes.align_seeds[0])
            mapped = read_probes(frame, of_first, background.wanted)
        return Material(
            read_results(frame, selection) if has_training(frame) else None,
            probes,
            background,
            style_of(folder, run, read_spec(folder / SPEC), allow_partial),
            read_curves(store, run),
            read_items(store, run, wanted),
            mapped,
        )
    except ValueError as error:
        raise XbenchError(f"The run {folder.name} cannot be drawn: {error}") from error

"""What figures are drawn from in tests: the small study with probes, and losses."""

from dataclasses import replace
from typing import Any

from xbench.report.figures.material import Curve, Drawing, Lacking, Material
from xbench.report.results.background import ProbeFigure
from xbench.report.results.probe_rows import AS_IT_IS, read_probes
from xbench.report.results.reading import read_results
from xbench.report.results.results import ComparedEncoder, Selection

from ..probed import BACKGROUND, SOURCE, Row, encoders, frame, smooth, study
from ..styles import study_style

LAYERS = ProbeFigure("layers", "By layer", "finder", {"near": "cosine"}, "change", change=True)
SLOPES = ProbeFigure("layers", "Slopes", "slopes", {"agreement": "agreement"}, "slope")
CHARTS = ProbeFigure("map", "Charts", "chart", {"PCA": "pca"}, depth=2 / 3)
PICTURED = replace(BACKGROUND, figures={"near": LAYERS, "slopes": SLOPES, "charts": CHARTS})


def material(rows: list[Row] | None = None, **changes: Any) -> Material:
    """The small study, unless told otherwise."""
    table = frame(study(smooth, smooth, finetuned=True) if rows is None else rows)
    background = changes.pop("background", PICTURED)
    style = study_style(source_language=SOURCE, **changes.pop("style", {}))
    results = read_results(table, Selection())
    probes = read_probes(table, Selection(), background.wanted)
    return Material(results, probes, background, style, **changes)


def curves() -> list[Curve]:
    """One of an alignment and two seeds of a fine-tuning for each encoder of the study."""
    found = []
    for number, row in enumerate(encoders()):
        encoder = ComparedEncoder("none")
        if row:
            encoder = ComparedEncoder("aligned", row["objective"], row["variant"], row["pair"])
            losses = {"loss": (3.0 + number, 1.0), "sentence": (2.0, 1.0)}
            found.append(Curve(encoder, AS_IT_IS, 42, (0, 10), losses))
        for seed in (15, 33):
            first = {"loss": (2.0 + number + seed, 1.0, 0.5)}
            found.append(Curve(encoder, ("pos", "full"), seed, (0, 10, 20), first))
    return found


def drawn(found: Any) -> tuple[list[Drawing], list[Lacking]]:
    """What a figure can draw, and what it cannot."""
    everything = list(found)
    return (
        [each for each in everything if isinstance(each, Drawing)],
        [each for each in everything if isinstance(each, Lacking)],
    )


def data_of(drawing: Drawing) -> Any:
    """The plain data that is drawn."""
    (data,) = drawing.draw.args  # type: ignore[attr-defined]
    return data

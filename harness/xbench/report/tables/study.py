"""All tables of a study: Table 1, those behind it, and those of probes, as far as there is something."""

from dataclasses import replace
from typing import TYPE_CHECKING

from xbench.report.results.background import Background
from xbench.report.results.probe_rows import ProbeResults, has_probes, read_probes
from xbench.report.results.reading import read_results
from xbench.report.results.results import Results, Selection
from xbench.report.style import Style
from xbench.report.table import Table
from xbench.report.tables.by_step import by_step
from xbench.report.tables.overview import overview
from xbench.report.tables.per_language import per_language
from xbench.report.tables.probes.checkpoint import checkpoint_tables
from xbench.report.tables.probes.probes import probe_tables
from xbench.report.tables.probes.relatedness import relatedness
from xbench.report.tables.probes.transfer import transfer_table
from xbench.report.tables.table1 import table1
from xbench.report.tables.untrained import has_training, untrained, untrained_results

if TYPE_CHECKING:
    import pandas as pd


def build_tables(
    frame: "pd.DataFrame",
    selection: Selection | None = None,
    style: Style | None = None,
    background: Background | None = None,
) -> list[Table]:
    """Table 1, all objectives, checkpoints compared, tables per language and of probes.

    What is shown of probes, and what is known of languages, is ``background``'s. Raises
    ``ValueError`` where the results cannot be reported (see ``reading.read_results``).
    """
    selection, style = selection or Selection(), style or Style()
    probes = _probes(frame, selection, background)
    others = [found[0] for found in untrained_results(frame, selection).values()]
    of_others = untrained(frame, selection, style)
    if (others or probes) and not has_training(frame):
        of_probes = probe_tables(probes, background, style) if probes and background else []
        if probes and background and len(probes.encoders) < 2 and not others:
            of_probes += checkpoint_tables(frame, background)
        return [*overview(None, others, style), *of_others, *of_probes]
    results = read_results(frame, selection)
    steps = sorted(int(step) for step in frame["align_step"].dropna().unique())
    of_step = {step: read_results(frame, replace(selection, align_step=step)) for step in steps}
    return [
        table1(results, style),
        *overview(results, others, style),
        *by_step(of_step, style),
        *per_language(results, style),
        *of_others,
        *(_explained(results, probes, background, style) if background else ()),
    ]


def _probes(
    frame: "pd.DataFrame", selection: Selection, background: Background | None
) -> ProbeResults | None:
    if background is None or not has_probes(frame):
        return None
    return read_probes(frame, selection, background.wanted)


def _explained(
    results: Results, probes: ProbeResults | None, background: Background, style: Style
) -> list[Table]:
    """What happened inside the encoders, whether it predicts transfer, and for whom it helps."""
    related = relatedness(results, background, probes, style)
    if probes is None:
        return related
    of_probes = probe_tables(probes, background, style)
    predicted = transfer_table(results, probes, background.measures, style)
    return [*of_probes, *predicted, *related]

"""What the catalogue and the plugins know that a report needs, as plain mappings."""

from typing import TYPE_CHECKING

from xbench.catalogue.catalogue import Catalogue
from xbench.errors import XbenchError
from xbench.report.results.background import Background, ProbeFigure, ProbeTable

if TYPE_CHECKING:
    import pandas as pd

    from xbench.api.language import Language

DISTANCES_ARE_TO = "eng"


def background_of(suite_name: str, rows: "pd.DataFrame", catalogue: Catalogue) -> Background:
    """The tables of probes, the suite's groups, and scripts and distances of the rows' languages.

    Distances are those to English: of a suite that is learnt in another language there are none.
    """
    registry = catalogue.registry
    suite = registry.suites.get(suite_name)
    groups = suite.retrieval_groups if suite else {}
    languages = _languages(rows, catalogue)
    known = suite is not None and suite.source_language == DISTANCES_ARE_TO
    return Background(
        tables={
            name: ProbeTable(**entry.model_dump()) for name, entry in registry.probe_tables.items()
        },
        figures={
            name: ProbeFigure(**entry.model_dump())
            for name, entry in registry.probe_figures.items()
        },
        groups={f"{name}: {group.label}": group.pairs for name, group in groups.items()},
        measures=registry.alignment_measures,
        scripts={language.code: language.script for language in languages},
        distances={language.code: language.distances for language in languages if known},
    )


def _languages(rows: "pd.DataFrame", catalogue: Catalogue) -> "list[Language]":
    """All languages that rows are about, or pairs of; one that is not known any more is left out."""
    named = [*rows["language"].dropna().unique(), *rows["pair"].dropna().unique()]
    codes = sorted({code for name in named for code in str(name).split("-")})
    known = catalogue.languages
    found = []
    for code in codes:
        try:
            found.append(known.get(code))
        except XbenchError:  # the plugin that brought it is not here any more
            continue
    return found

"""The claims that plugins bring, checked against a run."""

from typing import TYPE_CHECKING

from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.discovery import PluginError
from xbench.report.claims.verdicts import Judged, judge
from xbench.report.claims.view import RunView
from xbench.report.results.background import Background
from xbench.report.results.results import Selection

if TYPE_CHECKING:
    import pandas as pd

    from xbench.api.claim import Claim


def judged_claims(
    rows: "pd.DataFrame",
    selection: Selection,
    background: Background,
    source: str | None,
    catalogue: Catalogue,
) -> list[Judged]:
    """A verdict on every claim that is installed, by its name; ``source`` is the language of tasks.

    One that cannot be imported is undecided and says why. Raises ``ValueError`` where the results
    cannot be reported.
    """
    claims: dict[str, Claim] = {}
    broken = []
    for name in catalogue.discovery.table.names("claims"):
        try:
            claims[name] = catalogue.load("claims", name)()
        except PluginError as error:
            broken.append(Judged(name, name.replace("_", " "), "", needed=(str(error),)))
    if not claims and not broken:
        return []
    return [*judge(claims, RunView(rows, selection, background, source)), *broken]

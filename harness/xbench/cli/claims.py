"""The claims that plugins bring, checked against a run."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from xbench.discovery import PluginError, discovery

if TYPE_CHECKING:
    import pandas as pd

    from xbench.api.claim import Claim
    from xbench.report.background import Background
    from xbench.report.judging import Judged
    from xbench.report.results import Selection


def judged_claims(
    frame: "pd.DataFrame", selection: "Selection", background: "Background", source: str | None
) -> "list[Judged]":
    """A verdict on every claim that is installed, by its name; ``source`` is the language of tasks.

    One that cannot be imported is undecided and says why. Raises ``ValueError`` where the results
    cannot be reported.
    """
    from xbench.report.claim_view import RunView
    from xbench.report.judging import Judged, judge

    claims: dict[str, Claim] = {}
    broken = []
    for name in discovery.table.names("claims"):
        try:
            claims[name] = discovery.table.get("claims", name).load()()
        except PluginError as error:
            broken.append(Judged(name, name.replace("_", " "), "", needed=(str(error),)))
    if not claims and not broken:
        return []
    return [*judge(claims, RunView(frame, selection, background, source)), *broken]


def claims_of_run(
    run: Mapping[str, Any], frame: "pd.DataFrame", source: str | None
) -> "list[Judged]":
    """The same for a run as its ``plan.json`` describes it."""
    from xbench.cli.background import background_of
    from xbench.cli.tables import selection_of, suite_name

    return judged_claims(frame, selection_of(run), background_of(suite_name(run), frame), source)

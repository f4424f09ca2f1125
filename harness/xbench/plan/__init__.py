"""A resolved spec -> a graph of keyed stages, and the cells of the matrix that they fill.

Planning reads digests of data and model, never trains, and never writes.
"""

from xbench.plan.build import build_plan, data_needs
from xbench.plan.data import hub_files, open_at, open_source
from xbench.plan.graph import Cell, Plan, Stage
from xbench.plan.kinds import KINDS, Reading, StageKind
from xbench.plan.needs import Need

__all__ = [
    "KINDS",
    "Cell",
    "Need",
    "Plan",
    "Reading",
    "Stage",
    "StageKind",
    "build_plan",
    "data_needs",
    "hub_files",
    "open_at",
    "open_source",
]

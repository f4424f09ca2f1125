"""A resolved spec -> a graph of keyed stages, and the cells of the matrix that they fill.

Planning reads digests of data and model, never trains, and never writes. ``stage`` says what a stage
is, ``kinds`` has a class for each kind, ``records`` what they say of data and plugins; ``arms``, ``fits``,
``probes`` and ``build`` make them.
"""

from xbench.plan.build import build_plan, data_needs
from xbench.plan.data import hub_files, open_at, open_source
from xbench.plan.graph import Cell, Plan
from xbench.plan.kinds import KINDS, read_stage
from xbench.plan.needs import Need
from xbench.plan.records import Reading
from xbench.plan.stage import Stage

__all__ = [
    "KINDS",
    "Cell",
    "Need",
    "Plan",
    "Reading",
    "Stage",
    "build_plan",
    "data_needs",
    "hub_files",
    "open_at",
    "open_source",
    "read_stage",
]

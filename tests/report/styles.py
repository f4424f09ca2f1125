"""How reports of the study are written: its order of variants, and its control."""

from typing import Any

from xbench.catalogue.registry import load_registry, registry_path
from xbench.report.style import Style

VARIANT_ORDER = load_registry(registry_path()).variant_order


def study_style(**changes: Any) -> Style:
    """The style of the study's reports, with what a test changes."""
    return Style(**{"variant_order": VARIANT_ORDER, "mlm_control": ("hictl", "S0W0M1"), **changes})

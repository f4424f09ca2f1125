"""How a report is written, as opposed to what it selects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Style:
    """Choices of presentation.

    ``digits``: decimals of a percentage. ``allow_partial``: average what there is where cells are
    lacking, marked with a dagger. ``source_language``: listed first and named as such.
    ``short_codes``: ISO 639-3 to 639-1, used for pairs where both codes are known.
    ``layout``: task and mode as groups of rows (``stacked``) or of columns (``wide``).
    ``mlm_control``: the (objective, variant) that trains on the same text without an alignment
    signal. ``notes``: further sentences, such as that hyper-parameters are a reconstruction.
    """

    digits: int = 1
    allow_partial: bool = False
    source_language: str | None = None
    short_codes: Mapping[str, str] = field(default_factory=dict)
    layout: Literal["stacked", "wide"] = "stacked"
    mlm_control: tuple[str, str] = ("hictl", "S0W0M1")
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.digits <= 6:
            raise ValueError(f"digits must lie between 0 and 6, got {self.digits}")
        if self.layout not in ("stacked", "wide"):
            raise ValueError(f"layout {self.layout!r} is neither 'stacked' nor 'wide'")

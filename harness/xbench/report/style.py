"""How a report is written, as opposed to what it selects."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Style:
    """Choices of presentation.

    ``allow_partial``: average what there is where cells are lacking, marked with a dagger.
    ``source_language``: listed first and named as such. ``short_codes``: ISO 639-3 to 639-1, used for
    pairs where both codes are known. ``variant_order``: variants that come first, in this order.
    ``mlm_control``: the (objective, variant) that trains on the same text without an alignment
    signal, if there is one. ``notes``: further sentences, such as that hyper-parameters are a
    reconstruction.
    """

    allow_partial: bool = False
    source_language: str | None = None
    short_codes: Mapping[str, str] = field(default_factory=dict)
    variant_order: tuple[str, ...] = ()
    mlm_control: tuple[str, str] | None = None
    notes: tuple[str, ...] = ()

    def place(self, variant: str | None) -> int:
        """Where a variant stands in ``variant_order``; after all of them where it is not there."""
        known = variant in self.variant_order
        return self.variant_order.index(variant) if known and variant else len(self.variant_order)

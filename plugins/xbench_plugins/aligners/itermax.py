"""SimAlign's IterMax: Argmax, repeated for what is left over."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from xbench_plugins.aligners.similarity import mutual_best, similarities
from xbench_plugins.aligners.units import StateAligner


class IterMax(StateAligner):
    """Argmax, repeated: what is linked already may be linked again, at a discount.

    With S [n, m] the similarity ``(cos + 1) / 2``, the first round is Argmax. In each further round
    S_ij counts fully where neither i nor j is linked yet, times ``discount`` where one of them is,
    and not at all where both are; new mutual bests above 0 are added. It ends after ``rounds``, when a
    round adds nothing, or when all of one side is linked. Where a side has at most two units there
    is one round. So a unit may have several links.

    Source: Jalili Sabet et al. 2020 (SimAlign, arXiv 2004.08728), the method Itermax; the
    rule for two units is that of its code.
    """

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config(StateAligner.Config):
        """Which states are compared, and how links are added."""

        distortion: Annotated[float, Field(ge=0, le=1)] = 0.0
        rounds: Annotated[int, Field(ge=1)] = 2
        discount: Annotated[float, Field(ge=0, le=1)] = 0.9

    sources: ClassVar[Mapping[str, str]] = {
        "depth": "code: SimAlign (layer 8 of 12)",
        "unit": "code: SimAlign",
        "distortion": "code: SimAlign; alternative 0.5",
        "rounds": "code: SimAlign",
        "discount": "code: SimAlign",
    }

    config: Config

    def linked(self, source_nD: Tensor, target_mD: Tensor) -> Tensor:
        """[n, m] bool."""
        scores_nm = similarities(source_nD, target_mD, self.config.distortion)
        linked_nm = mutual_best(scores_nm)
        if min(scores_nm.shape) <= 2:
            return linked_nm
        for _ in range(self.config.rounds - 1):
            rows_n1, columns_m = linked_nm.any(1, keepdim=True), linked_nm.any(0)
            if rows_n1.all() or columns_m.all():
                break
            discounted_nm = scores_nm.where(
                ~(rows_n1 | columns_m), scores_nm * self.config.discount
            )
            discounted_nm = discounted_nm.masked_fill(rows_n1 & columns_m, 0)
            added_nm = mutual_best(discounted_nm) & (discounted_nm > 0)
            if not added_nm.any():
                break
            linked_nm = linked_nm | added_nm
        return linked_nm

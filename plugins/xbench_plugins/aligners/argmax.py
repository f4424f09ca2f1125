"""SimAlign's Argmax: units that are each other's best."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from xbench_plugins.aligners.similarity import mutual_best, similarities
from xbench_plugins.aligners.units import StateAligner


class Argmax(StateAligner):
    """Links the units that are each other's most similar: the argmax of both directions intersected.

    With S [n, m] the similarity ``(cos + 1) / 2`` of n source and m target units,

        i and j are linked  iff  ``j = argmax_l S_il``  and  ``i = argmax_l S_lj``;

    of equals the first counts. Links of subwords are one-to-one, those of words need not be.

    Source: Jalili Sabet et al. 2020, *SimAlign: High Quality Word Alignments Without Parallel
    Training Data* (arXiv 2004.08728), the method Argmax, ``inter`` in its code.
    """

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config(StateAligner.Config):
        """Which states are compared, and how much the position counts."""

        distortion: Annotated[float, Field(ge=0, le=1)] = 0.0

    sources: ClassVar[Mapping[str, str]] = {
        "depth": "code: SimAlign (layer 8 of 12)",
        "unit": "code: SimAlign",
        "distortion": "code: SimAlign; alternative 0.5",
    }

    config: Config

    def linked(self, source_nD: Tensor, target_mD: Tensor) -> Tensor:
        """[n, m] bool, one-to-one."""
        return mutual_best(similarities(source_nD, target_mD, self.config.distortion))

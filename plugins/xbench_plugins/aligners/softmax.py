"""AWESOME's softmax: units that are likely for each other in both directions."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from xbench_plugins.aligners.units import StateAligner


class Softmax(StateAligner):
    """Links the units whose probability exceeds a threshold in both directions.

    With the dot products ``S = X Y^T`` [n, m] of the states X [n, D] and Y [m, D],

        i and j are linked  iff  ``exp(S_ij) / sum_l exp(S_il) > c``  and
        ``exp(S_ij) / sum_l exp(S_lj) > c``.

    A unit may have several links or none. The states are taken as they are, so that their scale
    decides how sharp the probabilities are: where all are alike, all are linked as long as
    ``max(n, m) < 1 / c``.

    Source: Dou and Neubig 2021, *Word Alignment by Fine-tuning Embeddings on Parallel Corpora*
    (AWESOME, arXiv 2101.08231), probability thresholding by softmax, and its code.
    """

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config(StateAligner.Config):
        """Which states are compared, and from which probability on they are linked."""

        threshold: Annotated[float, Field(ge=0, lt=1)] = 0.001

    sources: ClassVar[Mapping[str, str]] = {
        "depth": "code: awesome-align (layer 8 of 12)",
        "unit": "code: awesome-align",
        "threshold": "code: awesome-align",
    }

    config: Config

    def linked(self, source_nD: Tensor, target_mD: Tensor) -> Tensor:
        """[n, m] bool."""
        product_nm = source_nD @ target_mD.T
        forth_nm, back_nm = product_nm.softmax(1), product_nm.softmax(0)
        return (forth_nm > self.config.threshold) & (back_nm > self.config.threshold)

"""Links out of an optimal transport of one sentence's units to the other's."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from xbench_plugins.aligners.similarity import cosines, mutual_best
from xbench_plugins.aligners.sinkhorn import transport
from xbench_plugins.aligners.units import StateAligner

# Equal masses differ in their last bits; rounded, they tie.
_DECIMALS = 9


class OptimalTransport(StateAligner):
    """Links the units between which the cheapest transport moves most of their mass.

    Each source unit holds the mass 1/n, each target unit takes 1/m, and moving mass from i to j
    costs ``C_ij = 1 - cos(x_i, y_j)``. The plan T [n, m] minimises ``<T, C> - e H(T)`` with H the
    entropy and e the ``regularisation``; Sinkhorn's algorithm finds it. Then i and j are linked

    - ``mutual``: iff T_ij is the largest of its row and of its column, of equals the first;
    - ``threshold``: iff more than ``threshold`` of the mass of i goes to j, and more than that of
      the mass of j comes from i: ``n T_ij > c`` and ``m T_ij > c``.

    Unlike Argmax, a unit that many like best is shared out: its mass is limited.

    Sources: Dou and Neubig 2021 (AWESOME, arXiv 2101.08231), who state word alignment as
    optimal transport; Chi et al. 2021 (XLM-Align, arXiv 2106.06381), who take the argmax of a plan
    in both directions; Cuturi 2013 (arXiv 1306.0895) for the algorithm.
    """

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config(StateAligner.Config):
        """Which states are compared, how mass is moved, and what makes a link."""

        regularisation: Annotated[float, Field(ge=0.01, allow_inf_nan=False)] = 0.1
        iterations: Annotated[int, Field(ge=1)] = 100
        extraction: Literal["mutual", "threshold"] = "mutual"
        threshold: Annotated[float, Field(ge=0, lt=1)] = 0.1

    sources: ClassVar[Mapping[str, str]] = {
        "depth": "code: awesome-align (layer 8 of 12)",
        "unit": "code: awesome-align",
        "regularisation": "reconstruction (guess): alternative 0.05",
        "iterations": "reconstruction (guess): XLM-Align's code has 2",
        "extraction": "code: XLM-Align; alternative threshold (AWESOME)",
        "threshold": "reconstruction (guess): matters only to extraction threshold",
    }

    config: Config

    def linked(self, source_nD: Tensor, target_mD: Tensor) -> Tensor:
        """[n, m] bool."""
        config = self.config
        cost_nm = 1 - cosines(source_nD, target_mD)
        plan_nm = transport(cost_nm, config.regularisation, config.iterations)
        if config.extraction == "mutual":
            return mutual_best((plan_nm * max(plan_nm.shape)).round(decimals=_DECIMALS))
        # of the two shares the one with the smaller factor decides
        return min(plan_nm.shape) * plan_nm > config.threshold

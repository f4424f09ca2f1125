"""Alignment as papers define it, each definition under its own name."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from xbench.api.probe import Probe, ProbeView, Row
from xbench.api.search import BUDGET
from xbench_plugins.measures.cosines import NORMALISED, mean_cosine, normalised_cosines
from xbench_plugins.measures.definitions import DEFINITIONS, definitions
from xbench_plugins.measures.measured import Named
from xbench_plugins.measures.separation import Separation
from xbench_plugins.probes.looking import Depths, PairMeasure, over_pairs, relative


class AlignmentDefinitions(Probe):
    """Are translation pairs nearer than other pairs: which others, how often, and by how much?

    For the pairs of the suite's groups, and for each language with the source language:

    - ``weak_eq1``, ``strong_eq2``, ``strong_joint``, each ``_forward`` and ``_backward``, and ``mexa``:
      the share of pairs that win against other sentences of the other language, of the same
      language, of both, and of the other language in both directions
      (:func:`xbench_plugins.measures.definitions.definitions`);
    - ``epsilon_at_gamma_G``: the share of comparisons of a pair with a non-pair that it does not
      win by the margin G; ``gamma_at_epsilon_E``: the largest margin at which it is at most E
      (:class:`xbench_plugins.measures.separation.Separation`; the reference study's Appendix A);
    - ``mean_cosine``, ``random_cosine`` and ``random_cosine_sd`` of non-pairs, and the first normalised by
      these: ``cosine_difference``, ``cosine_ratio``, ``cosine_z``.

    Cosines of mean-pooled sentences. What a training does to all cosines, by making vectors more or
    less alike, leaves the normalised ones and the shares as they are.
    """

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """At which relative depths (or ``all`` layers), margins and error rates; bytes of a block."""

        depths: Depths = (2 / 3, 1.0)
        gammas: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.3)
        epsilons: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.05,)
        budget: Annotated[int, Field(ge=1)] = BUDGET

    sources: ClassVar[Mapping[str, str]] = {
        "depths": "paper: layer 8 of 12 for its retrieval; the last layer is our addition",
        "gammas": "reconstruction: the study's margins are not known",
        "epsilons": "reconstruction: the study's error rate is not known",
        "budget": "ours",
    }

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)

    def depths(self) -> Sequence[float]:
        """Relative depths of the layers that are looked at."""
        return relative(self.config.depths)

    def measure(self, view: ProbeView) -> Iterable[Row]:
        """Rows for every pair and layer."""
        gammas = [f"epsilon_at_gamma_{gamma:g}" for gamma in self.config.gammas]
        epsilons = [f"gamma_at_epsilon_{epsilon:g}" for epsilon in self.config.epsilons]

        def measured(first_ND: Tensor, second_ND: Tensor) -> Named:
            apart = Separation(first_ND, second_ND, self.config.budget)
            margins = map(apart.gamma, self.config.epsilons)
            return {
                **definitions(first_ND, second_ND, self.config.budget),
                **dict(zip(gammas, apart.curve(self.config.gammas), strict=True)),
                **dict(zip(epsilons, margins, strict=True)),
                "mean_cosine": mean_cosine(first_ND, second_ND),
                **normalised_cosines(first_ND, second_ND),
            }

        names = [*DEFINITIONS, *gammas, *epsilons, "mean_cosine", *NORMALISED]
        return over_pairs(view, self.depths(), [PairMeasure(names, measured, view.pair)])

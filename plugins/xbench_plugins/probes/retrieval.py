"""Retrieval of translations among parallel sentences."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from xbench.api.probe import Probe, ProbeView, Row
from xbench.api.search import BUDGET, Scoring, Search
from xbench_plugins.measures.cosines import mean_cosine
from xbench_plugins.measures.measured import Named
from xbench_plugins.measures.retrieval import RANKED, XSIM, Neighbourhoods, ranked, xsim_errors
from xbench_plugins.probes.looking import Depths, PairMeasure, over_pairs, relative


class Retrieval(Probe):
    """Do sentences find their translations, and how near are the two?

    For the pairs of the suite's groups, and for each language with the source language, as
    ``deu-eng``: *forward*, German sentences look for their English translations. Per sentence:

    - ``mean_cosine``: the mean cosine of the pairs (the reference study's Table 2);
    - ``top1_forward``, ``top5_...``, ``top10_...`` and ``..._backward``: the share of sentences whose
      translation is among the 1, 5, 10 nearest; ``mrr_...``, the mean of 1 / rank; by cosine, and with
      ``csls_`` or ``margin_`` before them by these scorings. A tie counts against the translation;
    - ``xsim_error_forward``, ``_backward``: 1 - accuracy of the ratio margin among the 4 nearest.

    Vectors are means over content tokens. All depend on the number of sentences: ``n`` of each row.
    Sources: ``xbench.api.search`` for the scorings; Heffernan et al. 2022 (arXiv 2205.12654) for xSIM.
    """

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """At which relative depths (or ``all`` layers), by which scorings; bytes of one block of scores."""

        depths: Depths = (2 / 3, 1.0)
        scoring: Annotated[tuple[Scoring, ...], Field(min_length=1)] = ("cosine", "csls", "margin")
        budget: Annotated[int, Field(ge=1)] = BUDGET

    sources: ClassVar[Mapping[str, str]] = {
        "depths": "paper: layer 8 of 12; the last layer is our addition",
        "scoring": "paper: cosine; the others are our addition",
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
        prefixes = ["" if scoring == "cosine" else f"{scoring}_" for scoring in self.config.scoring]
        names = ["mean_cosine", *(p + name for p in prefixes for name in RANKED), *XSIM]

        def measured(first_ND: Tensor, second_ND: Tensor) -> Named:
            near = Neighbourhoods.of(first_ND, second_ND, self.config.budget)
            found = {"mean_cosine": mean_cosine(first_ND, second_ND)}
            for prefix, scoring in zip(prefixes, self.config.scoring, strict=True):
                search = Search(scoring, budget=self.config.budget)
                scored = ranked(first_ND, second_ND, search, near)
                found |= {prefix + name: value for name, value in scored.items()}
            return found | dict(xsim_errors(near))

        return over_pairs(view, self.depths(), [PairMeasure(names, measured, view.pair)])

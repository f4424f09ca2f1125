"""The shape of the space: of each language's sentences, and of two languages against each other."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from xbench.api.probe import Probe, ProbeView, Row
from xbench.api.search import BUDGET
from xbench_plugins.measures.cosines import anisotropy
from xbench_plugins.measures.hubness import HUBNESS, NEIGHBOURS, hubness
from xbench_plugins.measures.isotropy import isoscore, partition_ratio
from xbench_plugins.measures.measured import Named, usable
from xbench_plugins.measures.similarity import SIMILARITIES, similarities
from xbench_plugins.measures.spectra import eigenvector_similarity
from xbench_plugins.probes.looking import (
    Depths,
    PairMeasure,
    layers,
    over_languages,
    over_pairs,
    relative,
    row,
    undefined_rows,
)

SHAPE = ("anisotropy", "isoscore", "partition_ratio")
BETWEEN = (*SIMILARITIES, *HUBNESS, "eigenvector_similarity")


class Geometry(Probe):
    """Is the space evenly filled, has it hubs, and have two languages the same shape in it?

    For each language, and for all together (rows without a language):

    - ``anisotropy``, the mean cosine of random sentences; ``isoscore``; ``partition_ratio``
      (:mod:`xbench_plugins.measures.isotropy`).

    For the pairs of the suite's groups, and for each language with the source language:

    - ``cka`` and ``cka_debiased``, ``rsim``, ``anc``: how alike the sentences lie in the two languages;
      ``centroid_distance`` of the languages' means, and ``centroid_gap``, over the spread within
      languages (:mod:`xbench_plugins.measures.similarity`);
    - ``eigenvector_similarity``: 0 for neighbour graphs of the same shape, more for others
      (:mod:`xbench_plugins.measures.spectra`);
    - ``hub_skewness``, ``hub_largest``, ``antihub_share``, ``_forward`` and ``_backward``
      (:mod:`xbench_plugins.measures.hubness`).

    Mean-pooled sentences. Values that the number of sentences is too small for are flagged.
    """

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """At which relative depths (or ``all`` layers); k of the k-occurrence; bytes of a block."""

        depths: Depths = (2 / 3, 1.0)
        neighbours: Annotated[int, Field(ge=1)] = NEIGHBOURS
        budget: Annotated[int, Field(ge=1)] = BUDGET

    sources: ClassVar[Mapping[str, str]] = {
        "depths": "ours: where the study retrieves, and the last layer",
        "neighbours": "paper (Radovanovic et al. 2010): 10 of its choices",
        "budget": "ours",
    }

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)

    def depths(self) -> Sequence[float]:
        """Relative depths of the layers that are looked at."""
        return relative(self.config.depths)

    def measure(self, view: ProbeView) -> Iterable[Row]:
        """Rows for every language, for all of them, and for every pair, at every layer."""
        yield from over_languages(view, self.depths(), SHAPE, shape)
        yield from self._of_all(view)
        between = PairMeasure(BETWEEN, self._between, view.pair)
        yield from over_pairs(view, self.depths(), [between])

    def _of_all(self, view: ProbeView) -> Iterator[Row]:
        """The shape of the sentences of all languages together."""
        for layer, depth in layers(view, self.depths()).items():
            vectors_ND = torch.cat([view.pooled(code, depth) for code in view.languages])
            try:
                vectors_ND, note = usable(vectors_ND, "all languages")
            except ValueError as error:
                yield from undefined_rows(SHAPE, None, layer, error)
                continue
            found = shape(vectors_ND)
            for name in SHAPE:
                yield row(name, found, None, layer, len(vectors_ND), note)

    def _between(self, first_ND: Tensor, second_ND: Tensor) -> Named:
        graphs = eigenvector_similarity(first_ND, second_ND, self.config.budget)
        return {
            **similarities(first_ND, second_ND),
            **hubness(first_ND, second_ND, self.config.neighbours, self.config.budget),
            "eigenvector_similarity": graphs,
        }


def shape(vectors_ND: Tensor) -> Named:
    """``SHAPE`` of [N, D] vectors."""
    values = anisotropy(vectors_ND), isoscore(vectors_ND), partition_ratio(vectors_ND)
    return dict(zip(SHAPE, values, strict=True))

"""Distances of translations, as sentences and as words."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from xbench.api.probe import Pair, Probe, ProbeView, Row
from xbench_plugins.measures.distances import DISTANCES, LIMIT, distances
from xbench_plugins.measures.measured import Named
from xbench_plugins.probes.looking import Depths, PairMeasure, over_pairs, relative

Unit = Literal["sentence", "word_isolation", "word_context"]


class Distances(Probe):
    """How far are translations from each other, and how far are any two sentences or words?

    For the pairs of the suite's groups, and for each language with the source language, and for
    each unit: ``sentence`` (parallel text), ``word_isolation`` and ``word_context`` (entries of a
    dictionary, encoded alone or within parallel sentences):

    - ``UNIT_cosine_distance``, the mean of ``1 - cos(u_i, v_i)``, and ``UNIT_euclidean_distance``, of
      ``|u_i - v_i|``;
    - the same with ``_random`` at the end, of pairs that are no translations: a distance says
      something about alignment only beside it, since a training may move all vectors together.

    The reference study's Figure 1 has the change of the first two, at layers 4, 8 and 12 of 12, by
    alignment and by fine-tuning. Changes are the report's: a probe looks at one checkpoint. A pair
    without a dictionary has no value, and says so.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"dictionary"})

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """At which relative depths (or ``all`` layers), of which units.

        ``random_pairs`` is the largest number of pairs of which every non-pair is compared; of more,
        the Euclidean baseline is that of a random sample of so many.
        """

        depths: Depths = (1 / 3, 2 / 3, 1.0)
        units: Annotated[tuple[Unit, ...], Field(min_length=1)] = (
            "sentence",
            "word_isolation",
            "word_context",
        )
        random_pairs: Annotated[int, Field(ge=2)] = LIMIT

    sources: ClassVar[Mapping[str, str]] = {
        "depths": "paper: layers 4, 8 and 12 of 12",
        "units": "paper: sentences, and words; that words stand alone is a reconstruction",
        "random_pairs": "ours: the study has no baseline",
    }

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)

    def depths(self) -> Sequence[float]:
        """Relative depths of the layers that are looked at."""
        return relative(self.config.depths)

    def measure(self, view: ProbeView) -> Iterable[Row]:
        """Rows for every unit, pair and layer."""
        return over_pairs(view, self.depths(), [self._of(unit, view) for unit in self.config.units])

    def _of(self, unit: Unit, view: ProbeView) -> PairMeasure:
        def measured(first_ND: Tensor, second_ND: Tensor) -> Named:
            found = distances(first_ND, second_ND, self.config.random_pairs)
            return {f"{unit}_{name}": value for name, value in found.items()}

        return PairMeasure([f"{unit}_{name}" for name in DISTANCES], measured, _vectors(unit, view))


def _vectors(unit: Unit, view: ProbeView) -> Callable[[Pair, float], tuple[Tensor, Tensor]]:
    if unit == "sentence":
        return view.pair
    if unit == "word_isolation":
        return lambda pair, depth: view.words(pair, depth, "isolation")
    return lambda pair, depth: view.words(pair, depth, "context")

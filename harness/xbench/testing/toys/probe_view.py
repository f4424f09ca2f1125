"""A checkpoint that no encoder stands behind, for probes: vectors and gradients made in memory."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from xbench.api.probe import Gradient, Pair, Where
from xbench.nn.random_streams import generator

LANGUAGES = ("one", "two", "three")
SENTENCES, ENTRIES, WIDTH, LAYERS = 40, 24, 16, 4
SHAPES: Mapping[str, tuple[int, ...]] = {
    "embeddings.words.weight": (12, 6),
    **{f"layers.{n}.query.weight": (6, 6) for n in range(LAYERS)},
    **{f"layers.{n}.expand.weight": (8, 6) for n in range(LAYERS)},
    **{f"layers.{n}.output_norm.weight": (6,) for n in range(LAYERS)},
}
KINDS = {"query": "attention", "expand": "feed_forward", "output_norm": "norm"}


class ToyProbeView:
    """Parallel text in three languages (:class:`xbench.api.ProbeView`), the same on each call.

    Only the declared ``depths`` and what ``needs`` names can be read. A ``collapsed`` checkpoint
    has the same vector for everything, and no gradient.
    """

    source = "one"
    languages = LANGUAGES
    missing: Mapping[str, str] = {"four": "there is no parallel text"}
    groups: Mapping[str, tuple[Pair, ...]] = {
        "with the source": (("two", "one"), ("three", "one")),
        "without the source": (("two", "three"),),
    }
    trained_on = frozenset({"one", "two"})

    def __init__(
        self, needs: Collection[str], depths: Collection[float], collapsed: bool = False
    ) -> None:
        self._needs = frozenset(needs)
        self._depths = frozenset(depths)
        self._collapsed = collapsed

    def layer(self, depth: float) -> int:
        """0 to 4."""
        return round(depth * LAYERS)

    def ids(self, language: str) -> tuple[str, ...]:
        """[N] the same in every language."""
        return tuple(f"sentence-{number}" for number in range(SENTENCES))

    def pooled(self, language: str, depth: float) -> Tensor:
        """[N, D]; raises ``ValueError`` at a depth that the probe did not declare."""
        return self._vectors(language, depth, SENTENCES)

    def pair(self, pair: Pair, depth: float) -> tuple[Tensor, Tensor]:
        """Both languages' sentences."""
        return self.pooled(pair[0], depth), self.pooled(pair[1], depth)

    def words(self, pair: Pair, depth: float, where: Where = "isolation") -> tuple[Tensor, Tensor]:
        """([K, D], [K, D]) of dictionary entries."""
        self._require("dictionary")
        first, second = (self._vectors(f"{code} {where}", depth, ENTRIES) for code in pair)
        return first, second

    @property
    def gradients(self) -> "ToyGradients":
        """Of every kind of loss."""
        self._require("gradients")
        return ToyGradients(self._collapsed)

    def _require(self, what: str) -> None:
        if what not in self._needs:
            raise ValueError(f"a probe that reads {what} says so: needs = frozenset({{{what!r}}})")

    def _vectors(self, name: str, depth: float, count: int) -> Tensor:
        if depth not in self._depths:
            raise ValueError(
                f"the depth {depth:g} is none of those that depths() declares: {sorted(self._depths)}"
            )
        if self._collapsed:
            return torch.ones(count, WIDTH)
        # what a sentence means, where its language lies, and what is particular to both
        meaning_ND = _draw(f"meaning {depth:g}", count, WIDTH)
        own_ND = _draw(f"own {name} {depth:g}", count, WIDTH)
        return meaning_ND + _draw(f"place {name} {depth:g}", WIDTH) + own_ND / 2


class ToyGradients:
    """Gradients of losses (:class:`xbench.api.Gradients`) with a common direction, and noise."""

    task = "toy"
    objective = "toy:default"

    def __init__(self, collapsed: bool = False) -> None:
        self._scale = 0.0 if collapsed else 1.0

    def of_task(self, language: str, part: int, parts: int) -> Gradient:
        """The task's."""
        return self._gradient("task", language, part)

    def of_objective(self, part: int, parts: int) -> Gradient:
        """The objective's."""
        return self._gradient("objective", "", part)

    def of_masked_lm(self, language: str, part: int, parts: int) -> Gradient:
        """That of masked language modelling."""
        return self._gradient("masked_lm", language, part)

    def module_of(self, name: str) -> tuple[int | None, str]:
        """Layers count from 1 here, as in an encoder."""
        first, *rest = name.split(".")
        if first == "embeddings":
            return None, "embeddings"
        return int(rest[0]) + 1, KINDS[rest[1]]

    def _gradient(self, loss: str, language: str, part: int) -> Gradient:
        found = {}
        for name, shape in SHAPES.items():
            common, own = _draw(name, *shape), _draw(f"{name} {loss}", *shape)
            noise = _draw(f"{name} {loss} {language} {part}", *shape)
            found[name] = self._scale * (common + own + noise / 2)
        return found


def _draw(name: str, *shape: int) -> Tensor:
    """A random tensor of that shape, always the same for a name."""
    return torch.randn(shape, generator=generator("probe", name))

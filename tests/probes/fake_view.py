"""A view over given vectors, as a probe gets of a checkpoint, and invented languages to look at."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor

from xbench.api.probe import Gradients, Pair, Where
from xbench.api.source import MissingData

NOTHING: Mapping[str, str] = MappingProxyType({})
SOURCE = "qaa"


@dataclass
class FakeView:
    """Sentences [N, D] of each language, the same at every layer unless ``at`` changes them.

    ``sentences`` names the source language first. ``names`` are the sentences' ids by language,
    numbers by default. ``asked`` collects the depths whose states were asked for.
    """

    sentences: Mapping[str, Tensor]
    groups: Mapping[str, tuple[Pair, ...]] = field(default_factory=dict)
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    dictionary: Mapping[tuple[Pair, str], tuple[Tensor, Tensor]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    at: Callable[[Tensor, int], Tensor] = lambda states, layer: states
    number_of_layers: int = 12
    trained_on: frozenset[str] = frozenset()
    asked: set[float] = field(default_factory=set)
    gradients_of: Gradients | None = None

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self.sentences)

    @property
    def source(self) -> str:
        return self.languages[0]

    @property
    def gradients(self) -> Gradients:
        assert self.gradients_of is not None
        return self.gradients_of

    def layer(self, depth: float) -> int:
        return int(depth * self.number_of_layers + 0.5 + 1e-9)

    def ids(self, language: str) -> tuple[str, ...]:
        count = len(self.sentences[language])
        return tuple(self.names.get(language, [f"{n:04}" for n in range(count)]))

    def pooled(self, language: str, depth: float) -> Tensor:
        self.asked.add(depth)
        return self.at(self.sentences[language], self.layer(depth))

    def pair(self, pair: Pair, depth: float) -> tuple[Tensor, Tensor]:
        first, second = (self.ids(code) for code in pair)
        u, v = (self.pooled(code, depth) for code in pair)
        shared = [name for name in first if name in set(second)]
        if not shared:
            raise MissingData(f"{'-'.join(pair)} have no sentence in common")
        return u[[first.index(name) for name in shared]], v[[second.index(name) for name in shared]]

    def words(self, pair: Pair, depth: float, where: Where = "isolation") -> tuple[Tensor, Tensor]:
        if (pair, where) not in self.dictionary:
            raise MissingData(f"no dictionary has {'-'.join(pair)}")
        first, second = self.dictionary[(pair, where)]
        return self.at(first, self.layer(depth)), self.at(second, self.layer(depth))


def vectors(count: int, seed: int, width: int = 8) -> Tensor:
    """[N, D] float64 standard normal."""
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, dtype=torch.float64, generator=stream)


def clones(count: int = 60, width: int = 8) -> dict[str, Tensor]:
    """The source, its identical clone, a noisy clone, and one whose sentences are in no order."""
    said = vectors(count, 1, width) + 0.5
    return {
        SOURCE: said,
        "qab": said.clone(),
        "qac": said + 0.7 * vectors(count, 2, width) + 0.5,
        "qad": said[torch.randperm(count, generator=torch.Generator().manual_seed(3))],
    }


def reordered(view: FakeView, seed: int) -> FakeView:
    """The same text in another order, which is another one for each language."""
    sentences, names = {}, {}
    for number, code in enumerate(view.languages):
        stream = torch.Generator().manual_seed(seed + number)
        order = torch.randperm(len(view.sentences[code]), generator=stream)
        sentences[code] = view.sentences[code][order]
        names[code] = [view.ids(code)[n] for n in order.tolist()]
    return FakeView(sentences, view.groups, names)

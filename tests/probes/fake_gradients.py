"""Gradients without a harness: of a tiny encoder, by autograd, and of known signal and noise."""

import zlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from xbench.api.source import MissingData

PLACES: Mapping[str, tuple[int | None, str]] = {
    "embeddings.weight": (None, "embeddings"),
    "layers.0.attention.weight": (1, "attention"),
    "layers.0.dense.weight": (1, "feed_forward"),
    "layers.1.attention.weight": (2, "attention"),
    "layers.1.dense.weight": (2, "feed_forward"),
    "layers.1.norm.weight": (2, "norm"),
}


class TinyEncoder(nn.Module):
    """Parameters by the names of ``PLACES``; ``forward`` is a network that uses them all."""

    def __init__(self, width: int = 6, words: int = 11) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)

        def weight(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator) / 2)

        self.words = words
        self.weights = nn.ParameterDict(
            {
                name.replace(".", "|"): weight(words, width)
                if kind == "embeddings"
                else weight(width)
                if kind == "norm"
                else weight(width, width)
                for name, (_, kind) in PLACES.items()
            }
        )

    def named(self) -> dict[str, nn.Parameter]:
        return {name.replace("|", "."): weight for name, weight in self.weights.items()}

    def forward(self, ids: Tensor) -> Tensor:
        found = self.named()
        states = found["embeddings.weight"][ids]
        for layer in (0, 1):
            states = states + torch.tanh(states @ found[f"layers.{layer}.attention.weight"])
            states = states + torch.tanh(states @ found[f"layers.{layer}.dense.weight"])
        return states * found["layers.1.norm.weight"]


class FakeGradients:
    """Gradients of losses of the tiny encoder: every kind of loss on batches of its own.

    ``lacking`` are languages without labelled text; ``asked`` counts the gradients by kind.
    """

    def __init__(
        self,
        task: str | None = "pos",
        objective: str | None = "hictl:S1W0M0",
        lacking: tuple[str, ...] = (),
        encoder: TinyEncoder | None = None,
    ) -> None:
        self.task, self.objective, self.lacking = task, objective, lacking
        self.encoder = encoder or TinyEncoder()
        self.asked: list[tuple[object, ...]] = []

    def _gradient(self, *place: object) -> dict[str, Tensor]:
        self.asked.append(place)
        generator = torch.Generator().manual_seed(zlib.crc32(repr(place).encode()))
        ids = torch.randint(self.encoder.words, (8, 5), generator=generator)
        wanted = torch.randn(8, 5, 6, generator=generator)
        loss = (self.encoder(ids) - wanted - float(len(str(place[0])))).square().mean()
        found = torch.autograd.grad(loss, list(self.encoder.named().values()))
        return dict(zip(self.encoder.named(), found, strict=True))

    def of_task(self, language: str, part: int, parts: int) -> dict[str, Tensor]:
        if language in self.lacking:
            raise MissingData(f"no labelled text of {language}")
        return self._gradient("task", language, part, parts)

    def of_objective(self, part: int, parts: int) -> dict[str, Tensor]:
        return self._gradient("objective", part, parts)

    def of_masked_lm(self, language: str, part: int, parts: int) -> dict[str, Tensor]:
        return self._gradient("masked language modelling", language, part, parts)

    def module_of(self, name: str) -> tuple[int | None, str]:
        return PLACES[name]


class NoisyGradients(FakeGradients):
    """Every gradient is ``signal * direction + noise * (random, of its part alone)``.

    All have one direction, or with ``shared=False`` each kind of loss an independent one.
    """

    def __init__(
        self, signal: float, noise: float = 1.0, seed: int = 0, shared: bool = True
    ) -> None:
        super().__init__()
        self.signal, self.noise, self.seed, self.shared = signal, noise, seed, shared

    def _gradient(self, *place: object) -> dict[str, Tensor]:
        direction = self._random("direction", "of all" if self.shared else place[0])
        return {
            name: self.signal * direction[name] + self.noise * random
            for name, random in self._random("noise", *place).items()
        }

    def _random(self, *place: object) -> dict[str, Tensor]:
        name = repr((self.seed, place)).encode()
        generator = torch.Generator().manual_seed(zlib.crc32(name))
        return {name: torch.randn(20, 20, generator=generator) for name in PLACES}


class FakeView:
    """What the probe of gradients sees of a view."""

    def __init__(
        self, gradients: FakeGradients, languages: tuple[str, ...] = ("eng", "deu")
    ) -> None:
        self.gradients, self.languages, self.source = gradients, languages, languages[0]

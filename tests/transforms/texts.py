"""Text of invented languages, as the vectors that a transform is fitted on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from xbench.api.transform import Unit

SOURCE = "qaa"


@dataclass(frozen=True)
class Texts:
    """A fit view over given tensors; ``tokens`` default to the sentences."""

    sentences: Mapping[str, Tensor]
    tokens: Mapping[str, Tensor] | None = None
    unit: Unit = "sentence"
    source: str = SOURCE

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self.sentences)

    def vectors(self, language: str, unit: Unit | None = None) -> Tensor:
        wanted = self.sentences if (unit or self.unit) == "sentence" else self.tokens
        return (wanted or self.sentences)[language]


def random_texts(
    change: Callable[[Tensor, int], Tensor] = lambda x, _: x,
    languages: int = 4,
    sentences: int = 50,
    width: int = 8,
    dtype: torch.dtype = torch.float64,
) -> Texts:
    """The same sentences in every language, of which ``change`` makes the n-th its own."""
    chance = torch.Generator().manual_seed(0)
    said = torch.randn(sentences, width, generator=chance, dtype=torch.float64)
    said = said @ torch.randn(width, width, generator=chance, dtype=torch.float64)
    codes = [f"qa{chr(ord('a') + n)}" for n in range(languages)]
    return Texts({code: change(said, n).to(dtype) for n, code in enumerate(codes)})


def rotation(width: int, seed: int) -> Tensor:
    """[D, D] orthogonal."""
    chance = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(width, width, generator=chance, dtype=torch.float64))
    return q


def shift(width: int, seed: int) -> Tensor:
    """[D] the move of the seed-th language; none of the first."""
    chance = torch.Generator().manual_seed(seed)
    return 3 * min(seed, 1) * torch.randn(width, generator=chance, dtype=torch.float64)


def noisy(said: Tensor, n: int) -> Tensor:
    """Moved, stretched and a little changed: no language is the same as another."""
    chance = torch.Generator().manual_seed(100 + n)
    noise = torch.randn(said.shape, generator=chance, dtype=torch.float64)
    return said * (1 + 0.5 * n) + 0.3 * noise + shift(said.shape[1], n)

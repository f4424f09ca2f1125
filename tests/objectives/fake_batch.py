"""A small real batch of pairs over a tiny encoder in float64, to test objectives without a harness.

The encoder mixes every token with the mean of its text, so that leaking padding would show, and
counts its passes, so that wasted ones show too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from xbench.api.batch import Vocabulary

BEGIN, PAD, END, UNKNOWN, MASK = range(5)
SPECIALS = (BEGIN, PAD, END, UNKNOWN, MASK)


class TinyEncoder(nn.Module):
    """Word embeddings, three mixing layers, and a masked-LM head tied to the embeddings."""

    def __init__(self, vocabulary_size: int = 40, width: int = 6, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.words = nn.Embedding(vocabulary_size, width).double()
        self.own = nn.ModuleList(nn.Linear(width, width).double() for _ in range(3))
        self.context = nn.ModuleList(nn.Linear(width, width).double() for _ in range(3))
        self.layers_run = 0

    def layer(self, number: int, states_BTD: Tensor, mask_BT: Tensor) -> Tensor:
        self.layers_run += 1
        mean_BD = mean_over(states_BTD, mask_BT)
        mixed = self.own[number](states_BTD) + self.context[number](mean_BD)[:, None]
        return torch.tanh(mixed)


def mean_over(states_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    weight = mask_BT[..., None].to(states_BTD.dtype)
    return (states_BTD * weight).sum(1) / weight.sum(1).clamp(min=1)


@dataclass
class FakeView:
    """One side of the pairs; ``chosen`` are the positions that an MLM would predict."""

    encoder: TinyEncoder
    ids: Tensor
    attention_mask: Tensor
    content_mask: Tensor
    chosen: Tensor
    _states: list[Tensor] = field(default_factory=list)

    def states(self, depth: float = 1.0) -> Tensor:
        layer = round(depth * len(self.encoder.own))
        if not self._states:
            self._states.append(self.encoder.words(self.ids))
        while len(self._states) <= layer:
            done = len(self._states) - 1
            self._states.append(self.encoder.layer(done, self._states[-1], self.attention_mask))
        return self._states[layer]

    def pooled(self, depth: float = 1.0, how: str = "mean") -> Tensor:
        states_BTD = self.states(depth)
        return states_BTD[:, 0] if how == "cls" else mean_over(states_BTD, self.content_mask)

    @cached_property
    def masked(self) -> "FakeMaskedView":
        return FakeMaskedView(self)


class FakeMaskedView(FakeView):
    def __init__(self, plain: FakeView) -> None:
        ids = plain.ids.masked_fill(plain.chosen, MASK)
        super().__init__(plain.encoder, ids, plain.attention_mask, plain.content_mask, plain.chosen)
        self.labels = plain.ids[plain.chosen]

    def logits(self) -> Tensor:
        return self.states(1.0)[self.chosen] @ self.encoder.words.weight.T


class FakeBatch:
    """B pairs given as ids without specials.

    ``padding`` adds that many columns of padding, filled with arbitrary ids that the masks hide.
    A token is chosen for masking where its id is divisible by ``mask_every``.
    """

    def __init__(
        self,
        encoder: TinyEncoder,
        pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
        padding: int = 0,
        mask_every: int = 3,
        seed: int = 0,
    ) -> None:
        self.encoder = encoder
        size = encoder.words.num_embeddings
        self.vocabulary = Vocabulary(size, SPECIALS, PAD, MASK)
        self.generator = torch.Generator().manual_seed(seed)

        def view(texts: list[list[int]]) -> FakeView:
            width = max(map(len, texts)) + padding
            ids = torch.randint(size, (len(texts), width))
            attention = torch.zeros(ids.shape, dtype=torch.bool)
            for row, text in enumerate(texts):
                ids[row, : len(text)] = torch.tensor(text)
                attention[row, : len(text)] = True
            content = attention & ~torch.isin(ids, torch.tensor(SPECIALS))
            return FakeView(encoder, ids, attention, content, content & (ids % mask_every == 0))

        self.source = view([[BEGIN, *x, END] for x, _ in pairs])
        self.target = view([[BEGIN, *y, END] for _, y in pairs])
        self.joint = view([[BEGIN, *x, END, END, *y, END] for x, y in pairs])

    def embeddings(self, ids: Tensor | None = None) -> Tensor:
        return self.encoder.words.weight if ids is None else self.encoder.words(ids)


def random_pairs(
    count: int, vocabulary_size: int = 40, seed: int = 0
) -> list[tuple[list[int], list[int]]]:
    """Pairs of 1 to 9 content ids a side, in which words repeat."""
    stream = torch.Generator().manual_seed(seed)

    def text() -> list[int]:
        length = int(torch.randint(1, 10, (1,), generator=stream))
        drawn = torch.randint(len(SPECIALS), vocabulary_size, (length,), generator=stream)
        return [int(i) for i in drawn]

    return [(text(), text()) for _ in range(count)]

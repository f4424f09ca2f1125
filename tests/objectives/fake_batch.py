"""A small real batch of pairs over a tiny encoder in float64, to test objectives without a harness.

The encoder mixes every token with the mean of what it may attend to, so that leaking padding would
show, and counts its passes, so that wasted ones show too. The batch has all that
:class:`xbench.api.PairBatch` has.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from xbench.api.batch import Vocabulary
from xbench.api.copies import FrozenCopy

BEGIN, PAD, END, UNKNOWN, MASK = range(5)
SPECIALS = (BEGIN, PAD, END, UNKNOWN, MASK)
LAYERS = 3


class TinyEncoder(nn.Module):
    """Word embeddings, three mixing layers, and a masked-LM head tied to the embeddings."""

    def __init__(self, vocabulary_size: int = 40, width: int = 6, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.config = SimpleNamespace(hidden_size=width, vocab_size=vocabulary_size)
        self.words = nn.Embedding(vocabulary_size, width).double()
        self.own = nn.ModuleList(nn.Linear(width, width).double() for _ in range(LAYERS))
        self.context = nn.ModuleList(nn.Linear(width, width).double() for _ in range(LAYERS))
        self.layers_run = 0

    def layer(self, number: int, states_BTD: Tensor, mask: Tensor) -> Tensor:
        """``mask``: which tokens there are [B, T], or what each may attend to [B, T, T]."""
        self.layers_run += 1
        if mask.dim() == 2:
            context = mean_over(states_BTD, mask)[:, None]
        else:
            share_BTT = mask.to(states_BTD.dtype)
            context = share_BTT @ states_BTD / share_BTT.sum(-1, keepdim=True).clamp(min=1)
        return torch.tanh(self.own[number](states_BTD) + self.context[number](context))


def mean_over(states_BTD: Tensor, mask_BT: Tensor) -> Tensor:
    weight = mask_BT[..., None].to(states_BTD.dtype)
    return (states_BTD * weight).sum(1) / weight.sum(1).clamp(min=1)


class FakeView:
    """One side of the pairs, or both as one.

    ``chosen`` are the positions that an MLM would predict; ``owners`` [B, T] says to which word a
    token belongs and ``sides`` to which text of a pair, -1 at specials and padding. Superfluous
    columns are filled with arbitrary ids, which the masks hide.
    """

    def __init__(
        self,
        encoder: TinyEncoder,
        rows: Sequence[Sequence[int]],
        padding: int = 0,
        mask_every: int = 3,
        owners: Sequence[Sequence[int]] | None = None,
        sides: Sequence[Sequence[int]] | None = None,
    ) -> None:
        self.encoder = encoder
        width = max(map(len, rows)) + padding
        self.ids = torch.randint(encoder.words.num_embeddings, (len(rows), width))
        self.attention_mask = torch.zeros(self.ids.shape, dtype=torch.bool)
        for row, text in enumerate(rows):
            self.ids[row, : len(text)] = torch.tensor(text)
            self.attention_mask[row, : len(text)] = True
        self.content_mask = self.attention_mask & ~torch.isin(self.ids, torch.tensor(SPECIALS))
        self.chosen = self.content_mask & (self.ids % mask_every == 0)
        self.sides = torch.where(self.content_mask, 0, -1)
        if sides is not None:
            self.sides = _padded(sides, width)
        self._owners = None if owners is None else _padded(owners, width)
        self._rule: Callable[[Any], Tensor] | None = None
        self._noise: Callable[[Tensor, torch.Generator], Tensor] | None = None
        self._states: list[Tensor] = []
        self._altered: dict[Any, FakeView] = {}

    def seen_by(self, encoder: TinyEncoder) -> "FakeView":
        """The same text through another encoder."""
        return self._copy(encoder=encoder)

    def _copy(self, **changes: Any) -> Any:
        other = type(self).__new__(type(self))
        vars(other).update(vars(self))
        vars(other).pop("masked", None)
        vars(other).update(_states=[], _altered={}, **changes)
        return other

    def states(self, depth: float = 1.0) -> Tensor:
        layer = round(depth * LAYERS)
        mask = self.attention_mask
        if self._rule is not None:
            mask = self._rule(self) & self.attention_mask[:, None]
        if not self._states:
            embedded = self.encoder.words(self.ids)
            if self._noise is not None:
                embedded = self._noise(embedded, torch.Generator().manual_seed(1))
            self._states.append(embedded)
        while len(self._states) <= layer:
            done = len(self._states) - 1
            self._states.append(self.encoder.layer(done, self._states[-1], mask))
        return self._states[layer]

    def pooled(self, depth: float = 1.0, how: str = "mean") -> Tensor:
        states_BTD = self.states(depth)
        return states_BTD[:, 0] if how == "cls" else mean_over(states_BTD, self.content_mask)

    @property
    def _words(self) -> int:
        assert self._owners is not None, "only source and target know their words"
        return int(self._owners.max()) + 1

    @property
    def word_mask(self) -> Tensor:
        mask_BW = torch.zeros(len(self.ids), self._words, dtype=torch.bool)
        for row, column in (self._owners >= 0).nonzero().tolist():
            mask_BW[row, self._owners[row, column]] = True
        return mask_BW

    def words(self, depth: float = 1.0, how: str = "mean") -> Tensor:
        states_BTD, mask_BW = self.states(depth), self.word_mask
        vectors = []
        for row, word in ((r, w) for r in range(len(mask_BW)) for w in range(self._words)):
            own = states_BTD[row, self._owners[row] == word]
            chosen = {"mean": own, "first": own[:1], "last": own[-1:]}[how]
            vectors.append(chosen.sum(0) / max(len(chosen), 1))
        return torch.stack(vectors or [states_BTD[0, 0]])[: mask_BW.numel()].view(
            *mask_BW.shape, states_BTD.shape[-1]
        )

    def attending(self, rule: Callable[[Any], Tensor]) -> Any:
        return self._alter(_rule=rule)

    def perturbed(self, rule: Callable[[Tensor, torch.Generator], Tensor]) -> Any:
        return self._alter(_noise=rule)

    def _alter(self, **change: Any) -> Any:
        name = tuple(change.items())
        if name not in self._altered:
            self._altered[name] = self._copy(**change)
        return self._altered[name]

    @cached_property
    def masked(self) -> "FakeMaskedView":
        view = FakeMaskedView.__new__(FakeMaskedView)
        vars(view).update(vars(self._copy()))
        view.ids = self.ids.masked_fill(self.chosen, MASK)
        view.labels = self.ids[self.chosen]
        return view


class FakeMaskedView(FakeView):
    """The same text with the chosen tokens replaced by ``<mask>``, all of them."""

    labels: Tensor

    def logits(self) -> Tensor:
        return self.states(1.0)[self.chosen] @ self.encoder.words.weight.T

    def losses(self) -> Tensor:
        return nn.functional.cross_entropy(self.logits(), self.labels, reduction="none")

    @property
    def masked(self) -> "FakeMaskedView":  # type: ignore[override]
        return self


def _padded(rows: Sequence[Sequence[int]], width: int) -> Tensor:
    return torch.tensor([[*row, *[-1] * (width - len(row))] for row in rows]).view(len(rows), width)


class FakeTask:
    """Labelled texts, their translations, and a head that classifies each text by its mean."""

    def __init__(
        self,
        encoder: TinyEncoder,
        texts: Sequence[Sequence[int]],
        labels: Sequence[int],
        translations: Sequence[Sequence[int]] = (),
        padding: int = 0,
    ) -> None:
        self.labels = torch.tensor(labels)
        torch.manual_seed(1)
        self.head = nn.Linear(encoder.config.hidden_size, 3).double()
        self.view = FakeView(encoder, [[BEGIN, *x, END] for x in texts], padding)
        if translations:
            rows = [[BEGIN, *y, END] for y in translations]
            self.translated = FakeView(encoder, rows, padding)

    def logits(self, view: FakeView) -> Tensor:
        return self.head(view.pooled())


class FakeBatch:
    """B pairs given as ids without specials; two neighbouring tokens of a text make a word.

    ``padding`` adds that many columns of padding, filled with arbitrary ids that the masks hide.
    A token is chosen for masking where its id is divisible by ``mask_every``.
    ``links`` are (row, word of the source, word of the target). A test sets ``task`` itself.
    """

    task: FakeTask

    def __init__(
        self,
        encoder: TinyEncoder,
        pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
        padding: int = 0,
        mask_every: int = 3,
        seed: int = 0,
        links: Iterable[tuple[int, int, int]] = (),
    ) -> None:
        self.encoder = encoder
        size = encoder.words.num_embeddings
        self.vocabulary = Vocabulary(size, SPECIALS, PAD, MASK)
        self.generator = torch.Generator().manual_seed(seed)
        self.links = torch.tensor(list(links), dtype=torch.int64).view(-1, 3)
        self._layout = (padding, mask_every)

        def side(texts: Iterable[Sequence[int]]) -> FakeView:
            rows = [[BEGIN, *text, END] for text in texts]
            owners = [[-1, *(i // 2 for i in range(len(row) - 2)), -1] for row in rows]
            return FakeView(encoder, rows, *self._layout, owners)

        self.source = side(x for x, _ in pairs)
        self.target = side(y for _, y in pairs)
        self.joint = FakeView(
            encoder,
            [[BEGIN, *x, END, END, *y, END] for x, y in pairs],
            *self._layout,
            sides=[[-1] + [0] * len(x) + [-1, -1] + [1] * len(y) + [-1] for x, y in pairs],
        )

    def embeddings(self, ids: Tensor | None = None) -> Tensor:
        return self.encoder.words.weight if ids is None else self.encoder.words(ids)

    def weights(self) -> Mapping[str, Tensor]:
        return {n: p for n, p in self.encoder.named_parameters() if p.requires_grad}

    def compose(self, texts: Sequence[Sequence[int]]) -> FakeView:
        rows = [[BEGIN, *map(int, text), END] for text in texts]
        return FakeView(self.encoder, rows, *self._layout)

    def through(self, encoder: nn.Module) -> "FakeBatch":
        other: Any = encoder.encoder if isinstance(encoder, FrozenCopy) else encoder
        batch = FakeBatch.__new__(FakeBatch)
        vars(batch).update(vars(self), encoder=other)
        for name in ("source", "target", "joint"):
            setattr(batch, name, getattr(self, name).seen_by(other))
        return batch


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

"""An objective tried out on toy batches: its terms, gradients, and how much they vary by chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xbench.api.objective import Objective, Term
from xbench.nn.random_streams import permutation, seed_dropout
from xbench.stages.align import total
from xbench.testing.contract import expect
from xbench.testing.toys.batches import PLAIN, Layout, toy_batch
from xbench.testing.toys.clones import Pair, clone_pairs, wrongly_paired
from xbench.testing.toys.training import Training

HELD_OUT = 16  # batches that are looked at after training
STREAMS = 6  # draws that show how much a term varies by chance
CLEAR = 4.0  # standard errors (or deviations) that a difference must be from 0 to count
TOLERANCE = 1e-4  # of values in float32, relative


@dataclass(frozen=True)
class Ready:
    """An encoder and an objective that was set up on it and has looked at some text."""

    encoder: Any
    objective: Objective

    def terms(self, pairs: Sequence[Pair], layout: Layout = PLAIN) -> dict[str, Term]:
        """The terms on a batch; what torch draws is always the same."""
        batch = toy_batch(self.encoder, pairs, type(self.objective).needs, layout)
        seed_dropout(7, "toy")
        terms = self.objective.terms(batch)
        expect(
            isinstance(terms, Mapping)
            and terms
            and all(isinstance(t, Term) for t in terms.values()),
            f"terms() gave {terms!r}",
            'return a dict of at least one term: {"distance": Term(sum, count)}',
        )
        return terms

    @torch.no_grad()
    def values(self, pairs: Sequence[Pair], layout: Layout = PLAIN) -> dict[str, float]:
        """The mean of each term."""
        return {name: float(term.mean) for name, term in self.terms(pairs, layout).items()}

    def gradients(self) -> dict[str, Tensor | None]:
        """Of every weight that can be trained, by name."""
        return {
            f"{owner}.{name}": parameter.grad
            for owner, module in (("encoder", self.encoder), ("objective", self.objective))
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
        }


def some_pairs() -> list[Pair]:
    """Eight pairs of two to seven words."""
    return clone_pairs(8, seed=100)


def some_batches() -> list[list[Pair]]:
    """Four batches of other pairs."""
    return [clone_pairs(8, seed) for seed in range(4)]


def whole_loss(terms: Mapping[str, Term]) -> Tensor:
    """The sum of the terms' means."""
    return torch.stack([term.mean for term in terms.values()]).sum()


def drawn(ready: Ready, shuffled: bool) -> dict[str, list[float]]:
    """Each term under several random streams, with the pairs in order or each time in another."""
    found: dict[str, list[float]] = {}
    for step in range(STREAMS):
        pairs = some_pairs()
        if shuffled:
            pairs = [pairs[place] for place in permutation(len(pairs), "order", step).tolist()]
        for name, value in ready.values(pairs, Layout(step=step)).items():
            found.setdefault(name, []).append(value)
    return found


def varies(values: Sequence[float]) -> bool:
    """Whether the values differ by more than rounding."""
    return not all(is_close(values[0], value) for value in values)


def is_close(one: float, other: float) -> bool:
    """Whether two values are the same but for rounding."""
    return abs(one - other) <= TOLERANCE * (1 + abs(one))


@dataclass(frozen=True)
class Pairing:
    """Held-out batches after training: of each the loss, and how alike translations are.

    ``likeness`` is the mean cosine of translations' mean-pooled last states, less that of all
    pairs of a source and a target.
    """

    right: list[float]
    wrong: list[float]
    likeness: list[float]

    @property
    def loss_is_lower(self) -> bool:
        """Whether right pairs clearly have a lower loss than wrong ones."""
        return _clearly_above(
            [wrong - right for right, wrong in zip(self.right, self.wrong, strict=True)]
        )

    @property
    def pushed_apart(self) -> bool:
        """Whether translations are clearly less alike than other sentences."""
        return _clearly_above([-value for value in self.likeness])


def _clearly_above(values: Sequence[float]) -> bool:
    return fmean(values) > CLEAR * stdev(values) / sqrt(len(values))


@torch.no_grad()
def pairing(training: Training) -> Pairing:
    """Look at held-out batches, and at the same sentences paired wrongly."""
    modules: tuple[nn.Module, ...] = (training.encoder, training.objective)
    for module in modules:
        module.eval()
    found = Pairing([], [], [])
    for number in range(HELD_OUT):
        pairs = clone_pairs(16, 10_000 + number, shortest=5, longest=5)
        found.right.append(_loss(training, pairs, number))
        found.wrong.append(_loss(training, wrongly_paired(pairs), number))
        batch = toy_batch(training.encoder, pairs)
        u_ND, v_ND = (F.normalize(v.pooled(), dim=-1) for v in (batch.source, batch.target))
        cosine_NN = u_ND @ v_ND.T
        found.likeness.append(float(cosine_NN.diagonal().mean() - cosine_NN.mean()))
    for module in modules:
        module.train()
    return found


def _loss(training: Training, pairs: Sequence[Pair], number: int) -> float:
    seed_dropout(7, "toy")
    layout = Layout(step=10_000 + number)
    batch = toy_batch(training.encoder, pairs, training.needs, layout, training.head)
    return float(total(training.objective, batch)[0])

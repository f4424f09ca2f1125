"""An objective as a stage asks for it: a plugin, or the weighted sum of several."""

from collections.abc import Iterator, Mapping
from itertools import tee

import torch
from torch import nn

from xbench.api.batch import PairBatch
from xbench.api.objective import Objective, Term
from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.configs import make_component
from xbench.catalogue.identity import Component
from xbench.nn.encoders.loading import AnyEncoder
from xbench.nn.random_streams import seed_dropout


class WeightedSum(Objective):
    """Several objectives on one batch, each with a weight; they share what the encoder computes.

    Terms are called ``part.term``.
    """

    def __init__(self, parts: Mapping[str, Objective], weights: Mapping[str, float]) -> None:
        super().__init__()
        self._parts = dict(parts)
        for name, part in parts.items():  # their weights and buffers are this one's
            self.add_module(name, part)
        self._weights = dict(weights)

    def setup(self, encoder: nn.Module) -> None:
        """Set up each part, in order."""
        for part in self._parts.values():
            part.setup(encoder)

    def prepare(self, batches: Iterator[PairBatch]) -> None:
        """Every part that prepares at all sees the same batches from the first on."""
        preparing = [p for p in self._parts.values() if type(p).prepare is not Objective.prepare]
        for part in preparing[:-1]:
            own, batches = tee(batches)
            part.prepare(own)
        for part in preparing[-1:]:  # nothing that it has seen is kept for others
            part.prepare(batches)

    def terms(self, batch: PairBatch) -> dict[str, Term]:
        """The terms of all parts, weighted."""
        return {
            f"{name}.{term}": Term(value.sum * self._weights[name], value.count)
            for name, part in self._parts.items()
            for term, value in part.terms(batch).items()
        }

    @torch.no_grad()
    def after_step(self, encoder: nn.Module, step: int) -> None:
        """Tell each part."""
        for part in self._parts.values():
            part.after_step(encoder, step)


def build_objective(
    asked: Component, catalogue: Catalogue, encoder: AnyEncoder, seed: int
) -> Objective:
    """The objective that a spec identifies, set up for the encoder, in training mode."""
    if asked.parts is not None:
        parts = {
            name: make_component("objectives", part, catalogue)
            for name, part in asked.parts.items()
        }
        weights = {name: float(part.weight or 1.0) for name, part in asked.parts.items()}
        objective: Objective = WeightedSum(parts, weights)
    else:
        objective = make_component("objectives", asked, catalogue)
    seed_dropout(seed, "objective")  # initial weights of heads come from it too
    objective.setup(encoder)
    return objective.train()

"""A few steps of training on toy batches, with the harness' own optimiser and saved states."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xbench.api.objective import Objective
from xbench.nn.optimise import Optimiser, ParameterGroup, Schedule
from xbench.nn.random_streams import seed_dropout
from xbench.nn.training_state import TrainingState
from xbench.stages.align import total
from xbench.testing.toys.batches import Layout, toy_batch, toy_encoder, toy_head
from xbench.testing.toys.clones import Pair

PREPARED = 4  # batches that ``prepare`` may look at


class Training:
    """An objective, an encoder, and the optimiser of both (and of a task's head)."""

    def __init__(
        self,
        kind: type[Objective],
        config: Any,
        batches: Sequence[Sequence[Pair]],
        dropout: float = 0.0,
        learning_rate: float = 1e-3,
    ) -> None:
        self.encoder = toy_encoder(dropout)
        self.head = toy_head()
        self.objective = set_up(kind, config, self.encoder)
        self.needs = frozenset(kind.needs)
        self._batches = batches
        groups = [
            ParameterGroup(
                tuple(self.encoder.parameters()), learning_rate, self.encoder.matrix_dims
            ),
            ParameterGroup(tuple(self.objective.parameters()), learning_rate, 2),
            ParameterGroup(tuple(self.head.parameters()), learning_rate, 2),
        ]
        self.optimiser = Optimiser(groups, Schedule(len(batches), "constant"), clip=1.0)

    def prepare(self) -> None:
        """Let the objective look at the first batches, as before a first step."""
        if {"pairs", "links"} & self.needs:
            prepare(self.objective, self.encoder, self._batches)

    def run(self, start: int, end: int) -> None:
        """The updates from ``start`` up to ``end``, each on its own batch."""
        for step in range(start, end):
            self.update(step)

    def update(self, step: int) -> None:
        """One update with the gradient of the objective, and of the task's loss where it has one."""
        seed_dropout(7, "align", step)
        pairs = self._batches[step % len(self._batches)]
        batch = toy_batch(self.encoder, pairs, self.needs, Layout(step=step), self.head)
        loss, _ = total(self.objective, batch)
        if {"task", "translated_task"} & self.needs:
            logits = batch.task.logits(batch.task.view)
            loss = loss + nn.functional.cross_entropy(logits, batch.task.labels)
        self.optimiser.backward(loss)
        self.optimiser.step(step)
        self.objective.after_step(self.encoder, step)

    def state(self) -> dict[str, Tensor]:
        """A copy of every weight and buffer by name."""
        modules = {"encoder": self.encoder, "objective": self.objective, "head": self.head}
        return {
            f"{name}.{key}": value.detach().clone()
            for name, module in modules.items()
            for key, value in module.state_dict().items()
        }

    def saved(self, folder: Path) -> TrainingState:
        """Where the state is saved to and restored from, as a run does it."""
        modules = {"encoder": self.encoder, "objective": self.objective, "head": self.head}
        return TrainingState(folder, modules, self.optimiser, interval=0.0)


def set_up(kind: type[Objective], config: Any, encoder: nn.Module) -> Objective:
    """A new objective on an encoder, in training mode, as a stage makes it."""
    objective = kind(config)
    seed_dropout(42, "objective")
    objective.setup(encoder)
    return objective.train()


def prepare(objective: Objective, encoder: Any, batches: Sequence[Sequence[Pair]]) -> None:
    """Let an objective look at a few batches, without gradients."""

    def seen() -> Iterator[Any]:
        for number, pairs in enumerate(batches[:PREPARED]):
            yield toy_batch(encoder, pairs, type(objective).needs, Layout(step=1000 + number))

    seed_dropout(42, "prepare")
    with torch.no_grad():
        objective.prepare(seen())


def interrupted(training: Training, fresh: Training, at: int, end: int) -> None:
    """Train ``training`` up to ``at``, and go on to ``end`` with ``fresh``, from what was saved."""
    with tempfile.TemporaryDirectory() as place:
        training.prepare()
        training.run(0, at)
        training.saved(Path(place)).maybe_save(at, {})
        step, _ = fresh.saved(Path(place)).restore()
        fresh.run(step, end)

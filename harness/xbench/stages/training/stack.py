"""Full fine-tunings that differ in their seed, their encoder's weights or their rates, as one program.

Each is trained as it would be alone: the same order of examples, batches, schedule, clipping and
dropout, up to rounding. :mod:`xbench.nn.stack` has the computation.
"""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.encoder_config import EncoderConfig, read_config
from xbench.nn.encoders.loading import AnyEncoder, load_encoder
from xbench.nn.heads import Head
from xbench.nn.optimise import Schedule
from xbench.nn.stack.batch import ReplicaBatch
from xbench.nn.stack.build import stack_encoders, take_out
from xbench.nn.stack.model import StackedModel
from xbench.nn.stack.optimise import StackedOptimiser
from xbench.nn.stack.training import StackedTraining
from xbench.nn.training_state import LOOK_EVERY, TrainingState, check_finite, spoilt_weights
from xbench.stages.inputs.examples import WORD_LEVELS
from xbench.stages.training.tuning import FineTuning

# What a stack takes on a GPU, in the size of XLM-R base 2.4 GiB a replica: 18 bytes a weight (float32,
# its gradient, two moments, a copy in half precision), and what follows in `replica_bytes`.
BYTES, ROOM, RECORDED, FILLED = 18, 1.7, 10, 0.85


class Stack:
    """R fine-tunings, trained when made. :meth:`take` gives the model of one.

    One whose numbers are no longer finite fails alone. Raises what the first one raises where all
    of them do.
    """

    def __init__(self, works: Sequence[FineTuning], heads: Sequence[Head]) -> None:
        self._works = works
        first = works[0]
        self._settings = first.settings
        self._device = first.stage.places.device
        self._ids = torch.from_numpy(first.examples.table.distinct("ids")).long()
        encoder = stack_encoders(self._encoders(), len(works), self._ids, self._device)
        half = self._settings.precision == "bf16"
        self._model = StackedModel(encoder, heads, half).to(self._device)
        self._curves: list[list[dict[str, Any]]] = [[] for _ in works]
        self._failures: dict[int, FloatingPointError] = {}
        began = time.monotonic()
        self._train()
        self.seconds = time.monotonic() - began

    def take(self, replica: int) -> tuple[AnyEncoder, dict[str, Tensor], dict[str, Any]]:
        """The encoder that one fine-tuning has left, its head's weights, and what is noted of it.

        Raises ``FloatingPointError`` where its numbers stopped being finite.
        """
        if replica in self._failures:
            raise self._failures[replica]
        work = self._works[replica]
        encoder = work.resources.encoder(work.stage)
        assert isinstance(encoder, Encoder)
        rate, decay = work.settings.encoder_learning_rate, work.settings.weight_decay
        left = self._schedule.decay(rate, decay)
        take_out(self._model.encoder, replica, encoder, self._ids, left)
        weight, bias = (parameter.detach()[replica].clone() for parameter in self._model.head)
        notes = {"curve": self._curves[replica], "stacked": len(self._works)}
        return encoder, {"weight": weight, "bias": bias}, notes

    def _encoders(self) -> Iterator[Encoder]:
        for work in self._works:
            encoder = load_encoder(work.resources.encoder_folder(work.stage))
            assert isinstance(encoder, Encoder)
            yield encoder

    @cached_property
    def _schedule(self) -> Schedule:
        return Schedule(self._works[0].steps, self._settings.schedule, self._settings.warmup)

    def _train(self) -> None:
        settings = [work.settings for work in self._works]
        groups = [
            (list(self._model.encoder.parameters()), [s.encoder_learning_rate for s in settings]),
            (self._model.head, [s.head_learning_rate for s in settings]),
        ]
        common = self._settings
        optimiser = StackedOptimiser(groups, self._schedule, common.weight_decay, common.clip)
        state = self._state(optimiser)
        training = StackedTraining(self._model, optimiser)
        start, notes = state.restore(self._usable)
        self._curves = notes.get("curves", self._curves)
        unseen: list[Tensor] = []
        steps = self._works[0].steps
        for step in range(start, steps):
            batches = [batch_of(work, work.rows(step)) for work in self._works]
            streams = [(work.seed, "finetune", step, "stack") for work in self._works]
            unseen.append(training.step(step, batches, streams))
            if step % LOOK_EVERY == 0 or step == steps - 1:
                self._look(step, torch.stack(unseen).cpu())
                unseen.clear()
                if not self._failures:  # of weights that are spoilt nothing is to be kept
                    state.maybe_save(step + 1, {"curves": self._curves, "keys": self._keys})
        training.close()
        self._check_weights()

    def _state(self, optimiser: StackedOptimiser) -> TrainingState:
        work = self._works[0]
        folder = work.resources.store.work_folder(work.stage.key)
        interval = work.resources.state_interval * len(self._works)  # it is as many times as large
        modules = {"stack": self._model}
        return TrainingState(folder, modules, optimiser, interval, work.resources.leaving)

    @property
    def _keys(self) -> list[str]:
        return [work.stage.key for work in self._works]

    def _usable(self, step: int, notes: Mapping[str, Any]) -> bool:
        """Only a state of the same stack is one to go on with."""
        return notes.get("keys") == self._keys

    def _look(self, step: int, losses: Tensor) -> None:
        """Note the losses [steps since the last look, R], the last of them at ``step``."""
        first = step - len(losses) + 1
        for replica, of_replica in enumerate(losses.unbind(1)):
            if replica in self._failures:
                continue
            try:
                for number, loss in enumerate(of_replica):
                    values = check_finite({"loss": loss}, first + number)
            except FloatingPointError as error:
                self._fail(replica, error)
            else:
                self._curves[replica].append({"step": step, **values})
        work = self._works[0]
        shown = {"loss": float(losses[-1].nanmean())}
        work.resources.progress(step + 1, work.steps, shown)

    def _fail(self, replica: int, error: FloatingPointError) -> None:
        self._failures[replica] = error
        if len(self._failures) == len(self._works):
            raise next(iter(self._failures.values()))

    def _check_weights(self) -> None:
        """One whose last update has spoilt its weights has failed as well."""
        for name, value in self._model.named_parameters():
            fine = torch.isfinite(value.detach()).flatten(1).all(1).tolist()
            for replica, is_fine in enumerate(fine):
                if not is_fine and replica not in self._failures:
                    last = self._works[replica].steps - 1
                    self._fail(replica, spoilt_weights(name, last))


def batch_of(work: FineTuning, rows: Sequence[int]) -> ReplicaBatch:
    """The rows of a step as the stack reads them."""
    examples, table = work.examples, work.examples.table
    ids = [table.row("ids", row) for row in rows]
    labels = np.concatenate([examples.labels(row) for row in rows])
    types = [table.row("types", row) for row in rows] if "types" in table.columns else None
    content = None
    if examples.level not in WORD_LEVELS and work.settings.sentence_pooling == "mean":
        frame = np.asarray(work.format.frame_ids)
        content = [np.flatnonzero(~np.isin(text, frame)) for text in ids]
    places = [table.row("places", row) for row in rows]
    return ReplicaBatch(ids, places, labels, types, content)


class Stacks:
    """The stacks of a job: each is trained when the first of its fine-tunings is asked for."""

    def __init__(self) -> None:
        self._trained: dict[str, tuple[Stack, int]] = {}

    def take(
        self, key: str, works: Callable[[], list[tuple[FineTuning, Head]]]
    ) -> tuple[AnyEncoder, dict[str, Tensor], dict[str, Any]]:
        """What :meth:`Stack.take` gives of a fine-tuning; ``works`` are those of its stack, itself first.

        Where memory runs out, half as many are trained at once.
        """
        if key not in self._trained:
            wanted = works()
            self._train(wanted[: how_many_fit([work for work, _ in wanted])])
        stack, replica = self._trained.pop(key)
        return stack.take(replica)

    def _train(self, chosen: list[tuple[FineTuning, Head]]) -> None:
        works, heads = zip(*chosen, strict=True)
        try:
            stack = Stack(works, heads)
        except torch.OutOfMemoryError:
            if len(chosen) == 1:
                raise
            stack = None
        if stack is None:  # outside of the exception, which holds what was computed
            gc.collect()
            torch.cuda.empty_cache()
            self._train(chosen[: len(chosen) // 2])
            return
        share = stack.seconds / len(works)
        for replica, work in enumerate(works):
            own = stack.seconds if replica == 0 else 0.0
            work.resources.shares[work.stage.key] = share - own
            self._trained[work.stage.key] = (stack, replica)


def how_many_fit(works: Sequence[FineTuning]) -> int:
    """How many of them the device's free memory holds at once, at least one; on a CPU all."""
    device = works[0].stage.places.device
    if not device.startswith("cuda"):
        return len(works)
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, min(len(works), int(free * FILLED / replica_bytes(works[0]))))


def replica_bytes(work: FineTuning) -> float:
    """What one fine-tuning takes in a stack: weights, moments, gradients, states, masks."""
    config, _ = read_config(work.resources.encoder_folder(work.stage))
    assert isinstance(config, EncoderConfig)
    lengths = work.examples.table.lengths("ids")
    size, inner, layers = config.hidden_size, config.intermediate_size, config.num_layers
    rows = len(work.examples.table.distinct("ids")) + config.position_rows
    weights = layers * (4 * size + 2 * inner) * size + rows * size
    width = int(lengths.max())
    places = ROOM * work.settings.batch_size * float(lengths.mean()) + width
    # bytes a place and layer: states that backpropagation reads, attention scores, masks
    states = 60 * size + 8 * inner + 10 * config.num_heads * width
    masks = RECORDED * (2 * size + config.num_heads * width)
    return BYTES * weights + places * layers * (states + masks)

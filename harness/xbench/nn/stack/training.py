"""Steps of a stack; on a GPU each shape of batch is recorded once as a CUDA graph and then replayed.

A step is some thousand small kernels. Launched one by one from Python they take longer to launch
than to compute; a graph launches them all at once.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from xbench.nn.random_streams import StreamPart
from xbench.nn.stack.batch import Layout, ReplicaBatch, StackedBatch, stack_batches
from xbench.nn.stack.dropout import Masks
from xbench.nn.stack.model import StackedModel
from xbench.nn.stack.optimise import StackedOptimiser

GRAPHS = 24  # shapes that are recorded at most: each holds its own masks and states


class StackedTraining:
    """Trains a model step by step. Call :meth:`close` before the weights are read elsewhere."""

    def __init__(self, model: StackedModel, optimiser: StackedOptimiser) -> None:
        self._model = model.train()
        self._optimiser = optimiser
        self._device = str(model.weight.device)
        self._recorder = _Recorder(self._losses) if model.weight.is_cuda else None

    def step(
        self,
        number: int,
        batches: Sequence[ReplicaBatch],
        streams: Sequence[tuple[StreamPart, ...]],
    ) -> Tensor:
        """[R] the losses before the 0-based update ``number``, on the device.

        Replica r learns from ``batches[r]``, and its dropout comes from ``streams[r]``.
        """
        stacked, layouts = stack_batches(batches, self._model.encoder.config)
        self._optimiser.set_rates(number)
        stacked = stacked.to(self._device)
        if self._recorder is not None:
            return self._recorder.run(self._model, stacked, layouts, streams)
        masks = self._model.dropout.empty(stacked)
        self._model.dropout.draw(masks, layouts, streams)
        return self._losses(stacked, masks)

    def _losses(self, batch: StackedBatch, masks: Masks) -> Tensor:
        """A whole step: losses, gradients, update."""
        losses = self._model.losses(batch, masks)
        torch.autograd.backward(losses.sum())
        self._optimiser.update()
        self._optimiser.drop_gradients()
        return losses.detach()

    def close(self) -> None:
        """Wait until all is computed, and let go of what was recorded."""
        if self._recorder is not None:
            self._recorder.close()


class _Recorder:
    """Runs a step as it is when its shape is new, and from a recording when it comes again."""

    def __init__(self, compute: Callable[[StackedBatch, Masks], Tensor]) -> None:
        self._compute = compute
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()
        self._seen: set[tuple[int, ...]] = set()
        self._recordings: dict[tuple[int, ...], _Recording] = {}

    def run(
        self,
        model: StackedModel,
        batch: StackedBatch,
        layouts: Sequence[Layout],
        streams: Sequence[tuple[StreamPart, ...]],
    ) -> Tensor:
        """[R] the losses."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            found = self._recordings.get(batch.shape)
            if found is None and batch.shape in self._seen and len(self._recordings) < GRAPHS:
                found = self._record(model, batch)
            self._seen.add(batch.shape)
            masks = model.dropout.empty(batch) if found is None else found.masks
            model.dropout.draw(masks, layouts, streams)
            losses = self._compute(batch, masks) if found is None else found.replay(batch)
        torch.cuda.current_stream().wait_stream(self._stream)
        return losses

    def _record(self, model: StackedModel, batch: StackedBatch) -> "_Recording":
        masks = model.dropout.empty(batch)
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            losses = self._compute(batch, masks)
        recording = _Recording(graph, batch, masks, losses)
        self._recordings[batch.shape] = recording
        return recording

    def close(self) -> None:
        """Wait, and forget."""
        torch.cuda.synchronize()
        self._recordings.clear()


class _Recording:
    """A graph with the tensors that it reads and the losses that it writes."""

    def __init__(
        self, graph: torch.cuda.CUDAGraph, batch: StackedBatch, masks: Masks, losses: Tensor
    ) -> None:
        self._graph = graph
        self._batch = batch
        self._losses = losses
        self.masks = masks

    def replay(self, batch: StackedBatch) -> Tensor:
        """[R] the losses of another batch; the masks are drawn before."""
        self._batch.copy_(batch)
        self._graph.replay()
        return self._losses.clone()

"""One batch in several processes, exact for every term: each encodes its chunks, all know the answers.

Built on gradient caching (:mod:`xbench.nn.replay`): what an objective asks for is encoded chunk by
chunk, here by the process that a chunk belongs to, and sent to the others. So each has the loss of the
whole batch, in-batch negatives included, and carries its gradient through its own chunks; summed over
the processes that is the gradient of the joint batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from xbench.nn.replay import Ask, Chunks, ReplayedBatch

HEADER = 8  # numbers that say what a tensor is like: its type, its dimensions, their sizes
TYPES = (
    torch.float32,
    torch.float64,
    torch.bfloat16,
    torch.float16,
    torch.int64,
    torch.int32,
    torch.bool,
)


@dataclass(frozen=True)
class Team:
    """The processes that share a batch; this one is the ``rank``-th of ``size``, on ``device``."""

    rank: int
    size: int
    device: torch.device

    def owner(self, index: int) -> int:
        """Who encodes a chunk."""
        return index % self.size

    def send_round(self, own: Tensor | None, owner: int) -> Tensor:
        """A tensor of one process, for all; the others give nothing."""
        header = torch.zeros(HEADER, dtype=torch.int64, device=self.device)
        if own is not None:
            sizes = [TYPES.index(own.dtype), own.dim(), *own.shape]
            header[: len(sizes)] = torch.tensor(sizes, device=self.device)
        dist.broadcast(header, owner)
        kind, dimensions, *sizes = header.tolist()
        if own is None:
            own = torch.empty(sizes[:dimensions], dtype=TYPES[kind], device=self.device)
        own = own.contiguous()
        dist.broadcast(own, owner)
        return own

    def share_draws(self, owner: int) -> None:
        """Go on drawing from torch's generators where one process is.

        Encoding seeds them for each chunk, and an objective may draw from them afterwards: all
        draw as the one does that has encoded the last chunk, as one process alone would.
        """
        states = [torch.get_rng_state()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device))
        for number, state in enumerate(states):
            sent = state.to(self.device)
            dist.broadcast(sent, owner)
            if number:
                torch.cuda.set_rng_state(sent.cpu(), self.device)
            else:
                torch.set_rng_state(sent.cpu())

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Sum ``grad`` over the processes; what none of them has a gradient for stays without."""
        there = torch.tensor([p.grad is not None for p in parameters], device=self.device).long()
        dist.all_reduce(there, dist.ReduceOp.MAX)
        waiting = []
        for parameter, has in zip(parameters, there.tolist(), strict=True):
            if not has:
                continue
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            waiting.append(dist.all_reduce(parameter.grad, async_op=True))
        for one in waiting:
            one.wait()

    def drop_repeated(self, parameters: Sequence[nn.Parameter]) -> None:
        """Of gradients that every process has alike, keep those of the first."""
        if self.rank:
            for parameter in parameters:
                parameter.grad = None


def shared_batch(team: Team) -> type[ReplayedBatch]:
    """The class of batches that a team shares."""

    class SharedChunks(Chunks):
        """The chunks of which this process encodes its own."""

        def own(self, count: int) -> range:
            return range(team.rank, count, team.size)

        def encoded(self, ask: Ask, count: int) -> list[Tensor]:
            parts = {index: ask(self.first[index]) for index in self.own(count)}
            found = [team.send_round(parts.get(n), team.owner(n)) for n in range(count)]
            team.share_draws(team.owner(count - 1))
            return found

    class SharedBatch(ReplayedBatch):
        """A batch whose answers come from all processes."""

        chunks = SharedChunks

    return SharedBatch

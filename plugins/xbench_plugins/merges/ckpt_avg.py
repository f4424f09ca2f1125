"""Checkpoint averaging: the mean of several snapshots of one fine-tuning."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from xbench.api.merge import Merge


class CheckpointAverage(Merge):
    """Averages k snapshots of one fine-tuning, weight by weight.

    ``theta = (1 / k) sum_i theta_{t_i}`` over the weights after the steps ``t_1 < ... < t_k = T``,
    evenly spaced: with T steps in all of which the first ``s = floor(since T)`` are passed over,
    ``t_i = s + ceil((T - s) i / k)``. Fewer than k steps give one snapshot each. ``snapshots`` = 1 is
    the last checkpoint, bit for bit. The sum is taken in float64; tensors that hold no real numbers
    (counters, masks) are those of the last snapshot. The snapshots share one initial head, so that
    their heads can be averaged too.

    Source: Schmidt et al. 2023, *Free Lunch: Robust Cross-Lingual Transfer via Model Checkpoint
    Averaging* (arXiv 2305.16834), with a snapshot after every tenth of the training.
    """

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """How many snapshots, and from which share of the training on."""

        snapshots: Annotated[int, Field(ge=1)] = 10
        since: Annotated[float, Field(ge=0, lt=1)] = 0.0

    sources: ClassVar[Mapping[str, str]] = {
        "snapshots": "paper: one after every 10 % of the steps",
        "since": "paper",
    }

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)

    def steps(self, steps: int) -> Sequence[int]:
        """``t_1, ..., t_k``, ascending, each once; the last is ``steps``."""
        first = int(self.config.since * steps)
        count = self.config.snapshots
        places = (first + -(-(steps - first) * i // count) for i in range(1, count + 1))
        return sorted(set(places) - {0})

    def combine(self, snapshots: Iterable[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The means, in each tensor's own type. One sum and one snapshot are in memory at a time.

        Raises ``ValueError`` where there is no snapshot, or where names or shapes differ.
        """
        sums: dict[str, Tensor] = {}
        count = 0
        for snapshot in snapshots:
            if count:
                _check_alike(sums, snapshot)
            for name, tensor in snapshot.items():
                sums[name] = _added(tensor, sums.get(name))
            like = {name: (tensor.device, tensor.dtype) for name, tensor in snapshot.items()}
            count += 1
            del snapshot  # before the next is read
        if not count:
            raise ValueError("there is no snapshot to average")
        return {
            name: (total / count if total.is_floating_point() else total).to(*like[name])
            for name, total in sums.items()
        }


def _added(tensor: Tensor, so_far: Tensor | None) -> Tensor:
    """The sum in float64; of what holds no real numbers, the newest."""
    if not tensor.is_floating_point():
        return tensor.detach().to("cpu", copy=True)
    wide = tensor.detach().to("cpu", torch.float64, copy=True)
    return wide if so_far is None else so_far.add_(wide)


def _check_alike(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    differing = sorted(
        name
        for name in one.keys() | other.keys()
        if name not in one or name not in other or one[name].shape != other[name].shape
    )
    if differing:
        raise ValueError(
            f"the snapshots differ in the name or shape of {', '.join(differing[:3])}: they are not "
            f"of one fine-tuning"
        )

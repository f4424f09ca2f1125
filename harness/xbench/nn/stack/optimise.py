"""AdamW for a stack: every replica has its own norm of gradients, rates and count of steps."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from xbench.nn.optimise import BETAS, EPSILON, Schedule

CLIP_EPSILON = 1e-6  # as in torch.nn.utils.clip_grad_norm_


class StackedOptimiser:
    """What :class:`xbench.nn.optimise.Optimiser` does, for each of R replicas apart.

    ``groups`` are parameters [R, ...] with the peak rates of the replicas; matrices, of three axes,
    are decayed. Rates and moments lie on the device, so that a step asks nothing of the host.
    """

    def __init__(
        self,
        groups: Iterable[tuple[Sequence[nn.Parameter], Sequence[float]]],
        schedule: Schedule,
        weight_decay: float,
        clip: float,
    ) -> None:
        self._schedule = schedule
        self._clip = clip
        self._groups: list[_Group] = []
        for parameters, rates in groups:
            for decays in (True, False):
                chosen = [p for p in parameters if (p.dim() >= 3) == decays]
                if chosen:
                    decay = weight_decay if decays else 0.0
                    self._groups.append(_Group(chosen, rates, decay))

    def set_rates(self, step: int) -> None:
        """Those of the 0-based ``step``; before :meth:`update`, and outside of its graph."""
        factor = self._schedule.factor(step)
        for group in self._groups:
            group.set_rates(factor)

    @torch.no_grad()
    def update(self) -> None:
        """Update with the gradients at hand, each replica's clipped by its own norm."""
        scales = self._scales()
        for group in self._groups:
            group.update(scales)

    def _scales(self) -> list[Tensor] | None:
        """What each replica's gradients are divided by."""
        if not self._clip:
            return None
        squares = [
            torch.linalg.vector_norm(parameter.grad.flatten(1), dim=1).square()
            for group in self._groups
            for parameter in group.parameters
            if parameter.grad is not None
        ]
        norms = torch.stack(squares).sum(0).sqrt()
        return list(((norms + CLIP_EPSILON) / self._clip).clamp(min=1).unbind())

    def drop_gradients(self) -> None:
        """Those of the next step are written anew, not added."""
        for group in self._groups:
            for parameter in group.parameters:
                parameter.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """The moments and counts of steps, for a saved training state."""
        return {
            f"{number}.{name}": tensor
            for number, group in enumerate(self._groups)
            for name, tensor in group.tensors().items()
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what :meth:`tensors` gave."""
        for name, own in self.tensors().items():
            own.copy_(tensors[name])


class _Group:
    """Parameters of one decay and rate; views of them by replica, since the kernel knows one rate."""

    def __init__(
        self, parameters: list[nn.Parameter], rates: Sequence[float], decay: float
    ) -> None:
        device = parameters[0].device
        self.parameters = parameters
        self.moments = tuple([torch.zeros_like(p) for p in parameters] for _ in range(2))
        self._counts = torch.zeros(len(rates), len(parameters), device=device)
        self.steps = [list(counts.unbind()) for counts in self._counts.unbind()]
        self._decay = decay
        self._peaks = torch.tensor(rates, dtype=torch.float64)
        self._rates = torch.zeros(len(rates), device=device)

    def set_rates(self, factor: float) -> None:
        self._rates.copy_((self._peaks * factor).float(), non_blocking=True)

    def update(self, scales: Sequence[Tensor] | None) -> None:
        for replica, rate in enumerate(self._rates.unbind()):
            chosen = [i for i, p in enumerate(self.parameters) if p.grad is not None]
            grads = [self.parameters[i].grad[replica] for i in chosen]  # type: ignore[index]
            first, second = ([of[i][replica] for i in chosen] for of in self.moments)
            adamw(
                [self.parameters[i].detach()[replica] for i in chosen],
                grads,
                first,
                second,
                [],
                [self.steps[replica][i] for i in chosen],
                fused=True,
                grad_scale=None if scales is None else scales[replica],
                amsgrad=False,
                maximize=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                eps=EPSILON,
                lr=rate,
                weight_decay=self._decay,
            )

    def tensors(self) -> dict[str, Tensor]:
        """All that changes beside the parameters."""
        names = ("exp_avg", "exp_avg_sq")
        moments = {
            f"{index}.{name}": moment
            for name, of in zip(names, self.moments, strict=True)
            for index, moment in enumerate(of)
        }
        return {**moments, "steps": self._counts}

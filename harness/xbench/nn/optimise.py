"""One optimiser for all training: AdamW, a schedule, clipping, mixed precision, saved and restored."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from xbench.nn.encoders.table_gradient import added_in_place

BETAS = (0.9, 0.999)
EPSILON = 1e-8
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters with a learning rate. ``matrix_dims``: from how many axes on weight decay applies.

    Biases and normalisation weights are never decayed (the convention of BERT's code); with a
    leading replica axis they have two axes, matrices three.
    """

    parameters: tuple[nn.Parameter, ...]
    learning_rate: float
    matrix_dims: int


@dataclass(frozen=True)
class Schedule:
    """Learning-rate factor by step: a linear rise over ``warmup`` of the steps, then the shape.

    The factors are those of transformers' ``get_linear_schedule_with_warmup`` and
    ``get_constant_schedule_with_warmup``: with a rise, the first step has a rate of 0. The rise is
    as many steps as its ``TrainingArguments`` make of a share: rounded up.
    """

    steps: int
    shape: str = "linear"
    warmup: float = 0.0

    def factor(self, step: int) -> float:
        """For the 0-based ``step``; linear decay reaches 0 after the last step."""
        rising = math.ceil(self.steps * self.warmup)
        if step < rising:
            return step / rising
        if self.shape == "constant":
            return 1.0
        return (self.steps - step) / max(1, self.steps - rising)

    def decay(self, learning_rate: float, weight_decay: float) -> float:
        """What all steps leave of a parameter that never has a gradient.

        AdamW takes ``learning rate * weight decay`` off it at every step, and nothing else.
        """
        factors = (self.factor(step) for step in range(self.steps))
        return math.prod(1.0 - learning_rate * factor * weight_decay for factor in factors)


class Optimiser:
    """AdamW (Loshchilov & Hutter 2019) over groups of parameters.

    Parameters that received no gradient in a step are neither updated nor decayed.
    """

    def __init__(
        self,
        groups: Iterable[ParameterGroup],
        schedule: Schedule,
        weight_decay: float = 0.0,
        clip: float = 0.0,
        precision: str = "fp32",
    ) -> None:
        self.schedule = schedule
        self._clip = clip
        self._precision = precision
        self._parameters: list[nn.Parameter] = []
        param_groups: list[dict[str, Any]] = []
        for group in groups:
            for decays in (True, False):
                chosen = [p for p in group.parameters if (p.dim() >= group.matrix_dims) == decays]
                if chosen:
                    param_groups.append(
                        {
                            "params": chosen,
                            "weight_decay": weight_decay if decays else 0.0,
                            "lr": group.learning_rate,
                            "peak": group.learning_rate,
                        }
                    )
                    self._parameters += chosen
        self._adam = _AdamW(param_groups)
        self._device = self._parameters[0].device.type
        self._scaler = torch.amp.GradScaler(self._device, enabled=precision == "fp16")

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision's context for the forward pass."""
        return autocast(self._precision, self._device)

    def backward(self, loss: Tensor) -> None:
        """Differentiate, scaled where the precision needs it."""
        with added_in_place():
            torch.autograd.backward(self._scaler.scale(loss))

    @property
    def parameters(self) -> Sequence[nn.Parameter]:
        """What it updates, in a fixed order."""
        return self._parameters

    def step(self, step: int) -> None:
        """Update with the gradients at hand, then drop them. ``step`` is 0-based."""
        factor = self.schedule.factor(step)
        for group in self._adam.param_groups:
            group["lr"] = group["peak"] * factor
        if self._clip:
            self._scaler.unscale_(self._adam)  # type: ignore[arg-type]
            nn.utils.clip_grad_norm_(self._parameters, self._clip)
        self._scaler.step(self._adam)  # type: ignore[arg-type]
        self._scaler.update()
        for parameter in self._parameters:  # those of the next step are written anew, not added
            parameter.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """The moments, by position of their parameter, for a saved training state."""
        saved = {}
        for index, parameter in enumerate(self._parameters):
            for name, value in self._adam.state.get(parameter, {}).items():
                saved[f"{index}.{name}"] = value
        if self._scaler.is_enabled():
            state = self._scaler.state_dict()
            saved["scaler.scale"] = torch.tensor(state["scale"], dtype=torch.float64)
            saved["scaler.growth_tracker"] = torch.tensor(state["_growth_tracker"])
        return saved

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take back what :meth:`tensors` gave."""
        for name, value in tensors.items():
            index, _, field = name.partition(".")
            if index == "scaler":
                continue
            parameter = self._parameters[int(index)]
            self._adam.state.setdefault(parameter, {})[field] = value.to(parameter.device)
        if "scaler.scale" in tensors:
            state = self._scaler.state_dict()
            state["scale"] = float(tensors["scaler.scale"])
            state["_growth_tracker"] = int(tensors["scaler.growth_tracker"])
            self._scaler.load_state_dict(state)


class _AdamW:
    """What ``torch.optim.AdamW(fused=True)`` computes, by its own function.

    The class imports torch's compiler when it is made, which takes seconds of every worker.
    """

    def __init__(self, param_groups: list[dict[str, Any]]) -> None:
        self.param_groups = param_groups
        self.state: dict[nn.Parameter, dict[str, Tensor]] = {}

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            chosen = [parameter for parameter in group["params"] if parameter.grad is not None]
            states = [self._state_of(parameter) for parameter in chosen]
            adamw(
                chosen,
                [parameter.grad for parameter in chosen],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                [state["step"] for state in states],
                fused=True,
                amsgrad=False,
                maximize=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                eps=EPSILON,
                lr=group["lr"],
                weight_decay=group["weight_decay"],
            )

    def _state_of(self, parameter: nn.Parameter) -> dict[str, Tensor]:
        """The moments, and the count of steps where the kernel wants it: beside the parameter."""
        if parameter not in self.state:
            self.state[parameter] = {
                "step": torch.zeros((), device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
        return self.state[parameter]


def autocast(precision: str, device: str) -> AbstractContextManager[Any]:
    """Mixed precision for ``bf16`` and ``fp16``; nothing for ``fp32``."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.split(":")[0], _DTYPES[precision])


def prepare_process() -> None:
    """Settings of torch in a process that computes.

    cuDNN's attention makes a plan for each new shape, which takes up to a second, and nearly every
    batch has a length of its own: on an H200 an alignment's step took four times as long.
    """
    torch.backends.cuda.enable_cudnn_sdp(False)
    # Denormals cost a hundredfold on some processors and mean nothing here.
    torch.set_flush_denormal(True)


@contextmanager
def float32(device: str) -> Iterator[None]:
    """Float32 throughout: no mixed precision, and no TF32 or bfloat16 in products of matrices.

    Whatever the surroundings ask for; they have it back afterwards.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.split(":")[0], enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)

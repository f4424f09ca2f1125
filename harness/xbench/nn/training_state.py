"""The state of a training in progress, in one safetensors file that is replaced as a whole.

Random streams are named by step and batches by position (:mod:`xbench.nn.streams`), so weights,
moments and the step number are all there is to save. A resumed run equals an undisturbed one bit
for bit on the CPU in float32 with the same number of threads.
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from xbench.files import write_atomic
from xbench.nn.optimise import Optimiser

FILE = "state.safetensors"


class TrainingState:
    """Saves modules and optimiser every ``interval`` seconds; restores them after an interruption."""

    def __init__(
        self, folder: Path, modules: Mapping[str, nn.Module], optimiser: Optimiser, interval: float
    ) -> None:
        self._path = folder / FILE
        self._modules = modules
        self._optimiser = optimiser
        self._interval = interval
        self._saved = time.monotonic()

    def restore(
        self, usable: Callable[[int], bool] = lambda step: True
    ) -> tuple[int, dict[str, Any]]:
        """(the step to go on with, the notes saved with it); (0, {}) where nothing was saved.

        ``usable(step)`` may refuse a saved step whose other files are gone.
        """
        if not self._path.is_file():
            return 0, {}
        try:
            with safe_open(self._path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError):
            self._path.unlink(missing_ok=True)  # a damaged file: begin again
            return 0, {}
        if not usable(int(metadata["step"])):
            return 0, {}
        for name, module in self._modules.items():
            prefix = name + "/"
            own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            module.load_state_dict(own)
        self._optimiser.restore(
            {
                k.removeprefix("optimiser/"): v
                for k, v in tensors.items()
                if k.startswith("optimiser/")
            }
        )
        notes: dict[str, Any] = json.loads(metadata["notes"])
        return int(metadata["step"]), notes

    def maybe_save(self, next_step: int, notes: Mapping[str, Any]) -> None:
        """Save if the last time was more than the interval ago; ``notes`` are JSON values."""
        if time.monotonic() - self._saved < self._interval:
            return
        tensors = {
            f"{name}/{key}": value
            for name, module in self._modules.items()
            for key, value in module.state_dict().items()
        }
        tensors |= {f"optimiser/{name}": value for name, value in self._optimiser.tensors().items()}
        contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        data = save(contiguous, {"step": str(next_step), "notes": json.dumps(notes)})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self._path, data)
        self._saved = time.monotonic()


def check_finite(losses: Mapping[str, torch.Tensor], step: int) -> dict[str, float]:
    """Losses as numbers. Raises ``FloatingPointError`` naming term and step where one is not finite."""
    values = {name: float(value) for name, value in losses.items()}
    for name, value in values.items():
        if value != value or value in (float("inf"), float("-inf")):
            raise FloatingPointError(
                f"the loss {name!r} is {value} at step {step}; try a lower learning rate, a higher "
                f"temperature, or precision fp32"
            )
    return values

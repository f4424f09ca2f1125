"""Snapshots of a fine-tuning on its way, and their merge at its end."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from xbench.api.merge import Merge
from xbench.files import write_atomic
from xbench.nn.finite import NotFinite


class Snapshots:
    """Keeps the weights of the steps that a merge asks for, and puts the merged ones back.

    Raises ``ValueError`` where the merge asks for a step that there is not.
    """

    def __init__(
        self, folder: Path, modules: Mapping[str, nn.Module], merge: Merge, steps: int
    ) -> None:
        self._folder = folder
        self._modules = modules
        self._merge = merge
        self._wanted = sorted(set(merge.steps(steps)))
        if not self._wanted or not 1 <= self._wanted[0] <= self._wanted[-1] <= steps:
            raise ValueError(f"{type(merge).__name__} asks for the steps {self._wanted} of {steps}")

    def usable(self, step: int, notes: Mapping[str, Any]) -> bool:
        """Whether those up to a step are kept, so that training may go on from it."""
        return all(self._file(wanted).is_file() for wanted in self._wanted if wanted <= step)

    def resume(self, notes: Mapping[str, Any]) -> None:
        """There is nothing to remember but the files."""

    def look(self, step: int, last: bool) -> dict[str, Any]:
        """After ``step`` updates: keep the weights where they are asked for."""
        if step in self._wanted:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomic(self._file(step), save(self._weights()))
        return {}

    def finish(self) -> dict[str, Any]:
        """Give the modules the merged weights; notes the steps that went into them."""
        merged = self._merge.combine(self._read())
        for name, value in merged.items():
            if not bool(torch.isfinite(value).all()):
                raise NotFinite(f"{type(self._merge).__name__}: {name} is not finite")
        for name, module in self._modules.items():
            prefix = f"{name}/"
            own = {k.removeprefix(prefix): v for k, v in merged.items() if k.startswith(prefix)}
            module.load_state_dict(own)
        return {"merged": self._wanted}

    def _read(self) -> Iterator[dict[str, Tensor]]:
        for step in self._wanted:
            yield load_file(self._file(step))

    def _weights(self) -> dict[str, Tensor]:
        return {
            f"{name}/{key}": value.detach().cpu().contiguous()
            for name, module in self._modules.items()
            for key, value in module.state_dict().items()
        }

    def _file(self, step: int) -> Path:
        return self._folder / f"snapshot-{step}.safetensors"

"""Model selection: which step of a fine-tuning is kept, judged on the source language alone.

The development split of the source language is scored every so many steps with the task's first
metric; the best step's weights are what the stage leaves. No target language is ever looked at.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import Tensor, nn

from xbench.files import write_atomic

Score = Callable[[], float]


class LastStep:
    """No choice: the weights of the last step are what a fine-tuning leaves."""

    def usable(self, step: int, notes: Mapping[str, Any]) -> bool:
        """Every saved step is."""
        return True

    def resume(self, notes: Mapping[str, Any]) -> None:
        """There is nothing to remember."""

    def look(self, step: int, last: bool) -> dict[str, Any]:
        """Nothing to note."""
        return {}

    def finish(self) -> dict[str, Any]:
        """The modules stay as they are."""
        return {}


class BestStep:
    """Scores models while they train, keeps the best, and puts it back at the end.

    ``score`` gives the metric on the development split for the modules as they are; ``every`` is
    in steps. Of equal scores the earliest counts. What was found is in ``notes``, which are saved
    with the training state; weights lie beside it as ``best-STEP.safetensors``.
    """

    def __init__(
        self, folder: Path, modules: Mapping[str, nn.Module], score: Score, every: int
    ) -> None:
        self._folder = folder
        self._modules = modules
        self._score = score
        self._every = every
        self.scores: list[dict[str, Any]] = []

    def resume(self, notes: Mapping[str, Any]) -> None:
        """Go on from what an interrupted training had found."""
        self.scores = list(notes.get("selection", []))

    def usable(self, step: int, notes: Mapping[str, Any]) -> bool:
        """Whether the weights that saved notes call the best are there."""
        found = notes.get("selection", [])
        return not found or self._file(_best(found)["step"]).is_file()

    def look(self, step: int, last: bool) -> dict[str, Any]:
        """After ``step`` updates: score where it is time, and keep the weights of a new best.

        Returns the scores so far, ``step`` and ``value``, to be saved with the training state.
        """
        if step % self._every == 0 or last:
            self._judge(step)
        return {"selection": self.scores}

    def _judge(self, step: int) -> None:
        value = self._score()
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the score on the development split is {value} at step {step}"
            )
        before = _best(self.scores)["step"] if self.scores else None
        self.scores.append({"step": step, "value": value})
        if _best(self.scores)["step"] == step:
            self._write(step)
            self._prune(step, before)

    def finish(self) -> dict[str, Any]:
        """Give the modules the best weights; notes all scores, and the best step's."""
        best = _best(self.scores)
        tensors = load_file(self._file(best["step"]))
        for name, module in self._modules.items():
            prefix = f"{name}/"
            own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            module.load_state_dict(own)
        return {"dev": self.scores, "selected": best}

    def _write(self, step: int) -> None:
        tensors: dict[str, Tensor] = {
            f"{name}/{key}": value.detach().cpu().contiguous()
            for name, module in self._modules.items()
            for key, value in module.state_dict().items()
        }
        self._folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self._file(step), save(tensors))

    def _prune(self, best: int, before: int | None) -> None:
        """The one before stays: the saved training state may still speak of it."""
        kept = {self._file(best)} | ({self._file(before)} if before is not None else set())
        for path in self._folder.glob("best-*.safetensors"):
            if path not in kept:
                path.unlink()

    def _file(self, step: int) -> Path:
        return self._folder / f"best-{step}.safetensors"


def _best(scores: list[dict[str, Any]]) -> dict[str, Any]:
    return max(scores, key=lambda found: (found["value"], -found["step"]))


def evaluating(modules: Mapping[str, nn.Module], score: Score) -> Score:
    """``score`` with the modules in evaluation mode, and as they were afterwards."""

    def scored() -> float:
        training = {name: module.training for name, module in modules.items()}
        for module in modules.values():
            module.eval()
        try:
            return score()
        finally:
            for name, module in modules.items():
                module.train(training[name])

    return scored

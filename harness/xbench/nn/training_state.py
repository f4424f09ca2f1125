"""The state of a training in progress: tensors in one file, and a note that says which and why.

Random streams are named by step and batches by position (:mod:`xbench.nn.random_streams`), so weights,
moments and the step number are all there is to save. A resumed run equals an undisturbed one bit
for bit on the CPU in float32 with the same number of threads.
"""

import math
import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from xbench.files import dump_json, file_digest, parse_json, sync_file, sync_folder, write_atomic
from xbench.nn.finite import NotFinite
from xbench.nn.memory import trim_memory

NOTE = "state.json"
LOOK_EVERY = 10  # steps between looks at the losses: each look waits for the device


class Restorable(Protocol):
    """What a training state asks of an optimiser."""

    def tensors(self) -> dict[str, Tensor]: ...

    def restore(self, tensors: dict[str, Tensor]) -> None: ...


class Leaving(BaseException):
    """The process was told to leave, and what it was at is saved. No failure: nothing may catch it."""


class TrainingState:
    """Saves modules and optimiser every ``interval`` seconds; restores them after an interruption.

    Where ``leaving`` is set, it saves at the next step and raises :class:`Leaving`. The note is
    replaced last and as a whole, and it holds the digest of the tensors' file: what is restored is a
    state that was saved, or nothing.
    """

    def __init__(
        self,
        folder: Path,
        modules: Mapping[str, nn.Module],
        optimiser: Restorable,
        interval: float,
        leaving: Event | None = None,
    ) -> None:
        self._folder = folder
        self._modules = modules
        self._optimiser = optimiser
        self._interval = interval
        self._leaving = leaving or Event()
        self._saved = time.monotonic()

    def restore(
        self, usable: Callable[[int, Mapping[str, Any]], bool] = lambda step, notes: True
    ) -> tuple[int, dict[str, Any]]:
        """(the step to go on with, the notes saved with it); (0, {}) where no intact state is.

        ``usable(step, notes)`` may refuse a saved step whose other files are gone.
        """
        note = self._read()
        if note is None or not usable(note["step"], note["notes"]):
            return 0, {}
        tensors = load_file(self._folder / note["file"])
        if not self._fit(tensors):  # another version of xbench trained other tensors
            return 0, {}
        for name, module in self._modules.items():
            module.load_state_dict(_below(name, tensors))
        self._optimiser.restore(_below("optimiser", tensors))
        notes: dict[str, Any] = note["notes"]
        return note["step"], notes

    def _fit(self, tensors: Mapping[str, Tensor]) -> bool:
        """Whether saved tensors are those of the modules, by name and shape."""
        return all(
            {key: value.shape for key, value in module.state_dict().items()}
            == {key: value.shape for key, value in _below(name, tensors).items()}
            for name, module in self._modules.items()
        )

    def _read(self) -> dict[str, Any] | None:
        """The note, if it is whole and its tensors are what was written."""
        try:
            note: dict[str, Any] = parse_json((self._folder / NOTE).read_text(encoding="utf-8"))
            intact = file_digest(self._folder / note["file"]) == note["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return note if intact else None

    def maybe_save(self, next_step: int, notes: Mapping[str, Any]) -> None:
        """Save if the last time was more than the interval ago; ``notes`` are JSON values.

        Raises :class:`Leaving` where the process was told to leave.
        """
        leaving = self._leaving.is_set()
        if time.monotonic() - self._saved < self._interval and not leaving:
            return
        self._save(next_step, notes)
        if leaving:
            raise Leaving

    def _save(self, next_step: int, notes: Mapping[str, Any]) -> None:
        tensors = {
            f"{name}/{key}": value
            for name, module in self._modules.items()
            for key, value in module.state_dict().items()
        }
        tensors |= {f"optimiser/{name}": value for name, value in self._optimiser.tensors().items()}
        file = f"state-{next_step}.safetensors"
        self._folder.mkdir(parents=True, exist_ok=True)
        digest = _write(self._folder / file, tensors)
        trim_memory()  # as good a time as any, in a loop that may last for days
        note = {"step": next_step, "file": file, "sha256": digest, "notes": dict(notes)}
        write_atomic(self._folder / NOTE, dump_json(note))
        for older in self._folder.glob("state-*.safetensors"):
            if older.name != file:
                older.unlink()
        self._saved = time.monotonic()


def _write(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write tensors as one step, without a copy of them in memory; the digest of the file."""
    partial = path.with_name(f"state-partial-{secrets.token_hex(4)}.safetensors")
    save_file({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, partial)
    sync_file(partial)
    digest = file_digest(partial)
    os.replace(partial, path)
    sync_folder(path.parent)
    return digest


def _below(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with ``name/``, without it."""
    prefix = name + "/"
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


class Losses:
    """The losses of every step, looked at now and then."""

    def __init__(self) -> None:
        self._unseen: list[tuple[int, Mapping[str, Tensor]]] = []

    def add(self, step: int, losses: Mapping[str, Tensor], last: bool) -> dict[str, float] | None:
        """The step's losses as numbers, at every tenth step from the first on and at the ``last``.

        Raises ``FloatingPointError`` naming term and step where one was not finite since the last
        look.
        """
        self._unseen.append((step, losses))
        if step % LOOK_EVERY and not last:
            return None
        for unseen, terms in self._unseen:
            values = check_finite(terms, unseen)
        self._unseen.clear()
        return values


def check_finite(losses: Mapping[str, Tensor], step: int) -> dict[str, float]:
    """Losses as numbers.

    Raises ``FloatingPointError`` naming term and step where one is not finite; at the first step,
    before any update, :class:`~xbench.nn.finite.NotFinite`: no learning rate is at fault then.
    """
    values = {name: float(value) for name, value in losses.items()}
    for name, value in values.items():
        if math.isfinite(value):
            continue
        if step == 0:
            raise NotFinite(
                f"the loss {name!r} is {value} at step 0, before any update: look at the weights of "
                f"the encoder, or try precision fp32 or a higher temperature"
            )
        raise FloatingPointError(
            f"the loss {name!r} is {value} at step {step}; try a lower learning rate, a higher "
            f"temperature, or precision fp32"
        )
    return values


def check_weights(module: nn.Module, step: int) -> None:
    """Raises ``FloatingPointError`` where the update of ``step`` left weights that are not finite."""
    for name, value in module.named_parameters():
        if not bool(torch.isfinite(value).all()):
            raise spoilt_weights(name, step)


def spoilt_weights(name: str, step: int) -> FloatingPointError:
    """The error of weights that the update of ``step`` has left without finite values."""
    return FloatingPointError(
        f"the weights {name} are not finite after step {step}; try a lower learning rate, or "
        f"precision fp32"
    )

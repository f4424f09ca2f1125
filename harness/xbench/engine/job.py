"""Compute the stages of one job, record what fails, and go on with what does not depend on it."""

import errno
import resource
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from xbench.catalogue.discovery import PluginTable
from xbench.engine.cost import measured
from xbench.engine.device_errors import is_lost, ran_out_of_memory, release_memory
from xbench.nn.finite import NotFinite
from xbench.nn.memory import trim_memory
from xbench.nn.training_state import Leaving
from xbench.plan import Stage
from xbench.plan.artefacts import ENCODER
from xbench.plan.kinds.task import FinetuneStage
from xbench.stages import finetune
from xbench.stages.resources import Resources
from xbench.stages.training.tuning import Tuned
from xbench.store import Entry
from xbench.store.lease import Busy

Report = Callable[[str, Stage, Mapping[str, Any]], None]
WAIT = 1.0  # seconds between looks at a stage that somebody else is computing


class DeviceLost(Exception):
    """The GPU refuses this process: another one has to go on with the job."""


class JobRunner:
    """Runs the stages of a job in order. ``report(event, stage, details)`` hears of each.

    ``stages`` maps keys to all stages of the job and their parents; ``keep`` says whether the
    weights of a full fine-tuning stay after its last evaluation, whatever later runs say. At most
    ``stack`` fine-tunings are trained as one program; with 0 none is.
    """

    def __init__(
        self,
        stages: Mapping[str, Stage],
        resources: Resources,
        report: Report,
        keep: bool,
        stack: int = 0,
    ) -> None:
        self._stages = stages
        self._resources = resources
        resources.model = self._model
        resources.companions = self._companions
        self._stack = stack
        self._lost: set[str] = set()
        self._report = report
        self._keep = keep
        self._keys: list[str] = []
        self._tuned: dict[str, Tuned] = {}

    def run(self, keys: list[str]) -> None:
        """Compute the stages; one that fails blocks those that need it, and no others.

        Raises :class:`DeviceLost`, after the failure was reported, where this process can compute
        nothing more, and :class:`~xbench.nn.training_state.Leaving` where it was told to leave.
        """
        self._lost = lost = set[str]()
        self._keys = keys
        finetunings = [self._stages[key].model(self._stages) for key in keys]
        for index, key in enumerate(keys):
            if self._resources.leaving.is_set():
                raise Leaving
            stage = self._stages[key]
            if any(parent in lost for parent in stage.parents):
                lost.add(key)
                self._report("blocked", stage, {})
            elif not self._attempt(stage):
                lost.add(key)
                release_memory()
            # the last stage that needs this model: let go of it
            own = finetunings[index]
            if own is not None and own not in finetunings[index + 1 :]:
                self._release(own, lost)
            trim_memory()
        self._resources.forget()
        release_memory()
        trim_memory()

    def _release(self, key: str, lost: set[str]) -> None:
        self._tuned.pop(key, None)
        failed_below = any(key in self._stages[other].parents for other in lost)
        if failed_below or self._stages[key].spec.mode != "full":
            return
        if self._keep:
            self._resources.store.keep("finetune", key)
        else:
            self._resources.store.free("finetune", key, ENCODER)

    def _attempt(self, stage: Stage) -> bool:
        self._report("started", stage, {})
        began = time.monotonic()
        try:
            computed = self._compute(stage)
        except Exception as error:
            failure = {
                "error": f"{type(error).__name__}: {error}",
                "traceback": traceback.format_exc(),
                "cause": cause_of(error),
                "plugin": blame(error, self._resources.catalogue.discovery.table),
            }
            with suppress(OSError):  # a full disk has no room for the record either
                self._resources.store.write_failure(stage.kind, stage.key, stage.spec, failure)
            self._report("failed", stage, failure)
            if is_lost(error):
                raise DeviceLost from error
            return False
        taken = {"seconds": time.monotonic() - began, "computed": computed}
        self._report("done", stage, taken)
        return True

    def _compute(self, stage: Stage) -> bool:
        """Whether this process computed the stage; another one may have been quicker."""
        store = self._resources.store
        while True:
            try:
                with store.lease(stage.key):
                    computed = not self._is_settled(stage)
                    if computed:
                        with store.write(stage.kind, stage.key, stage.spec) as entry:
                            self._resources.describe(entry, stage)
                            began = time.monotonic()
                            model = function_of(stage)(stage, self._resources, entry)
                            if model is not None:
                                self._tuned[stage.key] = model
                            seconds = time.monotonic() - began
                            seconds += self._resources.shares.pop(stage.key, 0.0)
                            memory = peak_memory(stage.places.device)
                            entry.measured = measured(
                                stage, self._stages, entry.result, seconds, memory
                            )
                    return computed
            except Busy:
                time.sleep(WAIT)

    def _is_settled(self, stage: Stage) -> bool:
        """Whether the store has what the stage gives, or has all that this job wants it for."""
        if self._has_files(stage):
            return True
        if stage.kind != "finetune":
            return False
        # Weights that another run has freed were needed for these predictions only.
        wanted = [key for key in self._keys if stage.key in self._stages[key].parents]
        kinds = {key: self._stages[key].kind for key in wanted}
        done = (self._resources.store.state(kinds[key], key) == "done" for key in wanted)
        return bool(wanted) and all(done)

    def _has_files(self, stage: Stage) -> bool:
        store = self._resources.store
        return all(store.has_file(stage.kind, stage.key, name) for name in stage.leaves())

    def _companions(self, key: str) -> list[FinetuneStage]:
        """A fine-tuning and those after it in the job that can be trained with it, if any may be."""
        name = self._stages[key].stack()
        if name is None or not self._stack:
            return []
        found: list[FinetuneStage] = []
        for other in self._keys[self._keys.index(key) if key in self._keys else 0 :]:
            stage = self._stages[other]
            if not isinstance(stage, FinetuneStage) or stage.stack() != name:
                continue
            hopeless = not self._lost.isdisjoint(stage.parents) or other in self._lost
            if other == key or not (hopeless or self._is_settled(stage)):
                found.append(stage)
        return found[: self._stack]

    def _model(self, key: str) -> Tuned:
        """The model of a fine-tuning of this job: at hand, or from the store."""
        stage = self._stages[key]
        assert isinstance(stage, FinetuneStage)
        if key not in self._tuned and not self._has_files(stage):
            self._compute(stage)  # another run has freed the weights in the meantime
        if key not in self._tuned:
            self._tuned[key] = finetune.load(stage, self._resources)
        return self._tuned[key]


def function_of(stage: Stage) -> Callable[[Stage, Resources, Entry], Tuned | None]:
    """What computes a kind of stage; a fine-tuning's gives its model, for the stages below."""
    module, _, name = stage.run.partition(":")
    found: Callable[[Stage, Resources, Entry], Tuned | None] = getattr(import_module(module), name)
    return found


def peak_memory(device: str) -> int:
    """Bytes: the GPU's peak since the last call, or on a CPU this process' highest ever."""
    if device != "cpu":
        import torch

        peak = int(torch.cuda.max_memory_allocated(device))
        torch.cuda.reset_peak_memory_stats(device)
        return peak
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def blame(error: BaseException, table: PluginTable) -> str:
    """The distribution and version whose code raised, if it is not xbench's own; else nothing.

    The innermost frame that lies in a plugin's package counts: what it called is seldom at fault.
    """
    owners = {plugin.target.split(":")[0].split(".")[0]: plugin for plugin in table}
    found = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        package = str(frame.f_globals.get("__name__", "")).split(".")[0]
        plugin = owners.get(package)
        if plugin is not None and plugin.distribution != "xbench":
            found = f"{plugin.distribution} {plugin.version}"
    return found


def cause_of(error: BaseException) -> str:
    """A word for what went wrong: ``memory``, ``disk``, ``diverged``, ``device`` or ``error``."""
    if ran_out_of_memory(error):
        return "memory"
    if is_lost(error):
        return "device"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk"
    wraps = type(error).__name__ == "SafetensorError"  # the system's errors
    if wraps and "os error 28" in str(error):
        return "disk"
    if isinstance(error, FloatingPointError) and not isinstance(error, NotFinite):
        return "diverged"
    return "error"

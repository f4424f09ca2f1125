"""What all parts of planning share: the plan so far, the catalogue, the data, the machine."""

from dataclasses import fields, replace
from functools import lru_cache
from typing import Any, TypeVar

from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.identity import Component, component
from xbench.catalogue.settings import (
    AlignSettings,
    EvaluateSettings,
    FinetuneSettings,
    ProbingSettings,
)
from xbench.plan.arm import Arm
from xbench.plan.data import Data
from xbench.plan.graph import Plan
from xbench.plan.records import DataId, TaskId
from xbench.plan.stage import Machine
from xbench.spec.device import resolve_precision

Settings = TypeVar("Settings", AlignSettings, FinetuneSettings, EvaluateSettings, ProbingSettings)


class Planning:
    """One plan in the making."""

    def __init__(
        self, plan: Plan, catalogue: Catalogue, data: Data, model_name: str, machine: Machine
    ) -> None:
        self.plan = plan
        self.spec = plan.spec
        self.catalogue = catalogue
        self.suite = catalogue.registry.suite(plan.spec.suite)
        self.data = data
        self.model_name = model_name
        self.machine = machine
        # The same few plugins stand behind thousands of stages.
        self.task = lru_cache(maxsize=None)(self._task)
        self.metrics = lru_cache(maxsize=None)(self._metrics)

    def concrete(self, settings: Settings) -> Settings:
        """Settings with the precision that ``auto`` comes to on this device."""
        precision: Any = resolve_precision(settings.precision, self.machine["device"])
        return replace(settings, precision=precision)

    def task_data(self, task: str, code: str, split: str) -> DataId:
        """A task's data in one language. Raises :class:`MissingData`."""
        return self.data.identity(self.suite.tasks[task], (code,), split)

    def coordinates(self, arm: Arm, task: str, code: str) -> dict[str, Any]:
        """Where a cell stands in the matrix, but for mode and seed."""
        return {
            "suite": self.spec.suite,
            "model": self.model_name,
            **arm.coordinates,
            "task": task,
            "language": code,
            "split": self.spec.evaluate.split,
        }

    def _task(self, task: str) -> TaskId:
        plugin = self.catalogue.discovery.table.get("tasks", task)
        found, loaded = component(plugin), plugin.load()
        own = {each.name: getattr(found, each.name) for each in fields(found)}
        return TaskId(**own, level=loaded.level, labels=tuple(loaded.labels))

    def _metrics(self, task: str) -> tuple[Component, ...]:
        names = self.catalogue.load("tasks", task).metrics
        return tuple(component(self.catalogue.discovery.table.get("metrics", n)) for n in names)

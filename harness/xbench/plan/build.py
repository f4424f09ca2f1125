"""Builds the graph: arms x tasks x modes x seeds x languages, and the stages behind each cell."""

from pathlib import Path

from xbench.api.source import MissingData
from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.hub import NotHere
from xbench.catalogue.models import Model, find_model
from xbench.errors import XbenchError
from xbench.keys import key_of
from xbench.plan.arm import Arm
from xbench.plan.arms import Arms
from xbench.plan.data import Data
from xbench.plan.evaluations import Evaluations
from xbench.plan.graph import Cell, Plan
from xbench.plan.needs import Need, Needs
from xbench.plan.planning import Planning
from xbench.plan.probes import Probes
from xbench.plan.training import Trainings
from xbench.spec.device import resolve_device, resolve_device_elsewhere
from xbench.spec.launchers import make_launcher
from xbench.spec.request import ResolvedSpec


def build_plan(
    spec: ResolvedSpec, catalogue: Catalogue, offline: bool = False, tentative: bool = False
) -> Plan:
    """The graph of a resolved spec. Raises :class:`XbenchError` on missing model, pair or training data.

    A ``tentative`` plan is for counting: what is not on this machine has a name in place of an
    identity, and ``plan.unresolved`` says what that is. It cannot be run.
    """
    plan = Plan(spec)
    model = _model(spec.model, catalogue, offline or tentative, plan if tentative else None)
    if model.revision:
        plan.resolved[model.name] = model.revision
    data = Data(plan, catalogue, offline or tentative, tentative)
    _Planner(plan, catalogue, model, data).build()
    return plan


def data_needs(spec: ResolvedSpec, catalogue: Catalogue) -> list[Need]:
    """What a run of a resolved spec reads; nothing of it has to be here."""
    plan = Plan(spec)
    needs = Needs(plan, catalogue)
    name = spec.model
    _Planner(plan, catalogue, Model(name, Path(name), {"unresolved": name}), needs).build()
    return list(needs.found.values())


def _model(name: str, catalogue: Catalogue, offline: bool, tentative: Plan | None) -> Model:
    try:
        # A count is no reason to fetch a gigabyte.
        return find_model(name, catalogue.registry, offline)
    except NotHere as error:
        if tentative is None:
            raise
        tentative.unresolved.append(f"the model {name}: {error}")
        return Model(name, Path(name), {"unresolved": name})


def _device(spec: ResolvedSpec, catalogue: Catalogue) -> str:
    if spec.launcher is None:
        return resolve_device(spec.device)
    offered = make_launcher(spec.launcher, catalogue).device
    return resolve_device_elsewhere(spec.device, offered, spec.launcher.name)


class _Planner:
    def __init__(self, plan: Plan, catalogue: Catalogue, model: Model, data: Data) -> None:
        self.model = model
        self.planning = Planning(
            plan,
            catalogue,
            data,
            model.name,
            {
                "model_folder": str(model.folder),
                "model_digest": key_of(model.identity),
                "device": _device(plan.spec, catalogue),
            },
        )
        self.spec = plan.spec
        self.trainings = Trainings(self.planning)
        self.evaluations = Evaluations(self.planning, self.trainings.fits)

    def build(self) -> None:
        planning = self.planning
        settings = planning.concrete(self.spec.align)
        arms = Arms(planning, self.model.identity, settings)
        probes = Probes(planning, self.trainings.heads)
        for arm in arms.all():
            for task in self.spec.task:
                if planning.task(task).level == "retrieval":
                    planning.plan.cells += self.evaluations.retrieval_cells(arm, task)
                else:
                    self._task_cells(arm, task)
            probes.cells(arm)

    def _task_cells(self, arm: Arm, task: str) -> None:
        try:
            train = self.planning.task_data(task, self.planning.suite.source_language, "train")
        except MissingData as error:
            raise XbenchError(f"No training data for task {task!r}: {error}") from error
        unavailable = self.trainings.fits.lacking(arm)
        joint = None
        try:
            joint = self.trainings.joint(arm, task)
        except MissingData as error:
            unavailable = str(error)
        for mode in self.trainings.modes(arm):
            for seed in self.spec.seed:
                finetune = fit = None
                if not unavailable:
                    spec = self.trainings.spec_of(arm, task, mode, seed, train, joint)
                    finetune, fit = self.trainings.add(arm, task, spec, joint)
                for code in self.spec.language:
                    at = self.planning.coordinates(arm, task, code)
                    cell = Cell(
                        at | {"mode": mode, "seed": seed},
                        finetune=finetune,
                        fit=fit,
                        align=arm.align,
                        links=arm.links,
                        unavailable=unavailable,
                    )
                    self.planning.plan.cells.append(self.evaluations.evaluated(cell, task, code))

"""Builds the graph: arms x tasks x modes x seeds x languages, and the stages behind each cell."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from xbench.api.source import MissingData
from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.hub import NotHere
from xbench.catalogue.identity import component
from xbench.catalogue.models import Model, find_model
from xbench.errors import XbenchError
from xbench.keys import key_of
from xbench.plan.arms import Arm, Arms
from xbench.plan.data import Data
from xbench.plan.fits import Fits
from xbench.plan.graph import Cell, Plan, Stage
from xbench.plan.needs import Need, Needs
from xbench.plan.probes import Probes
from xbench.spec.device import resolve_device, resolve_precision
from xbench.spec.request import RunSpec

# Settings of the evaluation that retrieval tasks alone read: they are in no other key.
_RETRIEVAL = (
    "max_length",
    "precision",
    "retrieval_depth",
    "retrieval_pooling",
    "retrieval_similarity",
)


def build_plan(
    spec: RunSpec, catalogue: Catalogue, offline: bool = False, tentative: bool = False
) -> Plan:
    """The graph of a resolved spec. Raises :class:`XbenchError` on missing model, pair or training data.

    A ``tentative`` plan is for counting: what is not on this machine has a name in place of an
    identity, and ``plan.unresolved`` says what that is. It cannot be run.
    """
    plan = Plan(spec)
    assert spec.model is not None
    model = _model(spec.model, catalogue, offline or tentative, plan if tentative else None)
    if model.revision:
        plan.resolved[model.name] = model.revision
    data = Data(plan, catalogue, offline or tentative, tentative)
    _Planner(plan, catalogue, model, data).build()
    return plan


def data_needs(spec: RunSpec, catalogue: Catalogue) -> list[Need]:
    """What a run of a resolved spec reads; nothing of it has to be here."""
    plan = Plan(spec)
    needs = Needs(plan, catalogue)
    name = str(spec.model)
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


class _Planner:
    def __init__(self, plan: Plan, catalogue: Catalogue, model: Model, data: Data) -> None:
        self.plan = plan
        self.spec = plan.spec
        self.catalogue = catalogue
        self.suite = catalogue.registry.suite(plan.spec.suite)
        self.model = model
        self.data = data
        self.device = resolve_device(plan.spec.device)
        self.recipe = {
            "model_folder": str(model.folder),
            "model_digest": key_of(model.identity),
            "device": self.device,
        }
        self.fits = Fits(plan, self.suite, data, self.recipe)
        # The same few plugins stand behind thousands of stages.
        self.task = lru_cache(maxsize=None)(self._task)
        self.metrics = lru_cache(maxsize=None)(self._metrics)

    def build(self) -> None:
        precision = resolve_precision(self.spec.align["precision"], self.device)
        arms = Arms(
            self.plan, self.catalogue, self.data, self.model.identity, self.recipe, precision
        )
        probes = Probes(
            self.plan, self.catalogue, self.data, self.recipe, self._heads, self.model.name
        )
        for arm in arms.all():
            for task in self.spec.task or ():
                if self.task(task)["level"] == "retrieval":
                    self._retrieval_cells(arm, task)
                else:
                    self._task_cells(arm, task)
            probes.cells(arm)

    def _task_cells(self, arm: Arm, task: str) -> None:
        try:
            train = self._train(task, self.suite.source_language)
        except MissingData as error:
            raise XbenchError(f"No training data for task {task!r}: {error}") from error
        joint: dict[str, Any] | None = None
        recipe: dict[str, Any] = {}
        unavailable = self.fits.lacking(arm)
        try:
            joint, recipe = self._joint(arm, task)
        except MissingData as error:
            unavailable = str(error)
        for mode in self._modes(arm):
            for seed in self.spec.seed or ():
                finetune = fit = None
                if not unavailable:
                    spec = self._finetune_spec(arm, task, mode, seed, train, joint)
                    finetune, fit = self._model_stages(arm, task, mode, spec, recipe)
                for code in self.spec.language or ():
                    coordinates = self._coordinates(arm, task, code) | {"mode": mode, "seed": seed}
                    cell = Cell(
                        coordinates,
                        finetune=finetune,
                        fit=fit,
                        align=arm.align,
                        links=arm.links,
                        unavailable=unavailable,
                    )
                    self.plan.cells.append(self._evaluated(cell, task, code))

    def _heads(self, arm: Arm) -> dict[str, str]:
        """Task -> its linear fine-tuning with the first seed: a random head's gradient says little."""
        trained = [t for t in self.spec.task or () if self.task(t)["level"] != "retrieval"]
        seed = (self.spec.seed or (0,))[0]
        found = {}
        for task in trained:
            train = self._train(task, self.suite.source_language)
            spec = self._finetune_spec(arm, task, "linear", seed, train, None)
            found[task], _ = self._model_stages(arm, task, "linear", spec, {})
        return found

    def _modes(self, arm: Arm) -> list[str]:
        """A frozen encoder has nothing to be tuned jointly."""
        modes = list(self.spec.mode or ())
        if arm.joint is None:
            return modes
        if "full" not in modes:
            raise XbenchError(
                f"{arm.coordinates['objective']} acts during fine-tuning, and the encoder is frozen "
                f"in mode linear: --mode full."
            )
        return ["full"]

    def _coordinates(self, arm: Arm, task: str, code: str) -> dict[str, Any]:
        return {
            "suite": self.spec.suite,
            "model": self.model.name,
            **arm.coordinates,
            "task": task,
            "language": code,
            "split": self.spec.evaluate["split"],
        }

    def _train(self, task: str, code: str, split: str = "train") -> dict[str, Any]:
        return self.data.identity(self.suite.tasks[task], (code,), split)

    def _joint(self, arm: Arm, task: str) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """The keyed part and the recipe of an objective that acts beside this task's loss."""
        if arm.joint is None:
            return None, {}
        joint, recipe = dict(arm.joint), dict(arm.joint_recipe)
        if arm.needs_translations:
            pair = arm.coordinates["pair"]
            others = [c for c in pair.split("-") if c != self.suite.source_language]
            if len(others) != 1:
                raise MissingData(
                    f"{arm.coordinates['objective']} needs the task's examples translated into the "
                    f"other language of the pair, and {pair} has not {self.suite.source_language} "
                    f"on one side"
                )
            joint["translated"] = self._train(task, others[0])
            recipe["translated"] = self.data.where(self.suite.tasks[task], others)
        return joint, {"joint": recipe}

    def _finetune_spec(
        self,
        arm: Arm,
        task: str,
        mode: str,
        seed: int,
        train: Mapping[str, Any],
        joint: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        settings = dict(self.spec.finetune[task][mode])
        settings["precision"] = resolve_precision(settings["precision"], self.device)
        for idle in _idle(settings, mode, self.task(task)["level"]):
            del settings[idle]
        weight = settings.pop("joint_weight")
        spec = {
            "encoder": arm.encoder,
            "task": self.task(task),
            "data": train,
            "mode": mode,
            "settings": settings,
            "seed": seed,
        }
        name = arm.coordinates.get("objective")
        if joint is not None:
            if settings["accumulate"] != 1:
                raise XbenchError(
                    f"{name} acts beside the loss of {task} and sees whole batches: "
                    f"-O finetune.{task}.accumulate=1."
                )
            spec["joint"] = {**joint, "weight": weight}
        if "selection" in settings:
            if arm.merge is not None:
                raise XbenchError(f"{name} merges several steps: it needs --selection last.")
            spec["selected_on"] = self._selected_on(task)
        if arm.merge is not None:
            spec["merge"] = arm.merge
        return spec

    def _model_stages(
        self,
        arm: Arm,
        task: str,
        mode: str,
        spec: dict[str, Any],
        recipe: Mapping[str, Any],
    ) -> tuple[str, str | None]:
        """The fine-tuning and, for a transform, its fit: before a head is trained, or after it all.

        In mode ``linear`` the head learns on transformed features; in mode ``full`` the encoder is
        tuned as it is, which is the arm ``none``, and the transform is fitted on the result.
        """
        seed = spec["seed"]
        below: tuple[str, ...] = arm.parents + ((arm.links,) if arm.links and arm.joint else ())
        fit = None
        if arm.transform is not None and mode == "linear":
            encoder = {"encoder": arm.encoder}
            fit = self.fits.add(arm, self.task(task), spec["settings"], encoder, below)
            spec["transform"], below = fit, (*below, fit)
        whole = {
            **self.recipe,
            **self.data.where(self.suite.tasks[task], (self.suite.source_language,)),
            **recipe,
            "task": task,
            "label": f"{task} {mode} seed {seed} on {arm.label}",
        }
        if fit is not None:
            whole["transform"] = arm.transform
        key = self.plan.add(Stage("finetune", spec, whole, below))
        if arm.transform is not None and mode == "full":
            tuned = {"finetune": key}
            fit = self.fits.add(arm, self.task(task), spec["settings"], tuned, (key,))
        return key, fit

    def _selected_on(self, task: str) -> dict[str, Any]:
        """What a model is selected by: dev data of the source language, and the first metric."""
        try:
            data = self._train(task, self.suite.source_language, "dev")
        except MissingData as error:
            raise XbenchError(
                f"No development data to select models of task {task!r} by: {error}. "
                f"Keep the last step's instead: --selection last."
            ) from error
        return {"data": data, "metric": self.metrics(task)[0]}

    def _evaluated(self, cell: Cell, task: str, code: str) -> Cell:
        """The cell with the stages that predict and score it."""
        lacking = cell.unavailable or self.fits.lacking_for(cell.fit, code)
        data: Mapping[str, Any] = {}
        if not lacking:
            try:
                data = self._train(task, code, self.spec.evaluate["split"])
            except MissingData as error:
                lacking = self.plan.gaps[f"{task}: {code}"] = str(error)
        if lacking:
            return _unavailable(cell, lacking)
        assert cell.finetune is not None
        tuned = self.plan.stages[cell.finetune]
        settings = {k: v for k, v in self.spec.evaluate.items() if k not in _RETRIEVAL}
        spec = {"finetune": cell.finetune, "language": code, "data": data, "settings": settings}
        parents = [cell.finetune]
        if tuned.spec["mode"] == "linear":  # the head lies on weights that it does not hold
            parents += tuned.parents
        recipe = {**self.recipe, **self.data.where(self.suite.tasks[task], (code,))}
        recipe |= {"task": task, "label": f"{task} {code}"}
        if cell.fit is not None:
            spec["transform"] = cell.fit
            recipe["transform"] = self.plan.stages[cell.fit].spec["objective"]
            parents.append(cell.fit)
        return self._scored(cell, task, Stage("evaluate", spec, recipe, _unique(parents)))

    def _retrieval_cells(self, arm: Arm, task: str) -> None:
        """Nothing is trained: the encoder itself is asked for translations."""
        if arm.joint is not None or arm.merge is not None:  # there is no such encoder yet
            return
        settings = dict(self.spec.evaluate)
        settings["precision"] = resolve_precision(settings["precision"], self.device)
        fit = None
        unfitted = self.fits.lacking(arm)
        if arm.transform is not None and not unfitted:
            wanted = {
                **settings,
                "sentence_pooling": settings["retrieval_pooling"],
                "depth": settings["retrieval_depth"],
            }
            encoder = {"encoder": arm.encoder}
            fit = self.fits.add(arm, self.task(task), wanted, encoder, arm.parents)
        for code in self.spec.language or ():
            if code != self.suite.source_language:
                coordinates = self._coordinates(arm, task, code) | {"mode": None, "seed": None}
                cell = Cell(
                    coordinates, fit=fit, align=arm.align, links=arm.links, unavailable=unfitted
                )
                self.plan.cells.append(self._retrieved(cell, arm, task, settings))

    def _retrieved(self, cell: Cell, arm: Arm, task: str, settings: Mapping[str, Any]) -> Cell:
        """The cell with the stages that search and score."""
        code, source = cell.coordinates["language"], self.suite.source_language
        binding = self.suite.tasks[task]
        lacking = cell.unavailable or self.fits.lacking_for(cell.fit, code)
        data: Mapping[str, Any] = {}
        if not lacking:
            try:
                data = self.data.identity(binding, (source, code), settings["split"])
            except MissingData as error:
                lacking = self.plan.gaps[f"{task}: {code}"] = str(error)
        if lacking:
            return _unavailable(cell, lacking)
        spec = {
            "encoder": arm.encoder,
            "task": self.task(task),
            "language": code,
            "source": source,
            "data": data,
            "settings": settings,
        }
        recipe = {**self.recipe, **self.data.where(binding, (source, code))}
        recipe |= {"task": task, "label": f"{task} {code} on {arm.label}"}
        parents = list(arm.parents)
        if cell.fit is not None:
            spec["transform"], recipe["transform"] = cell.fit, arm.transform
            parents.append(cell.fit)
        return self._scored(cell, task, Stage("evaluate", spec, recipe, _unique(parents)))

    def _scored(self, cell: Cell, task: str, stage: Stage) -> Cell:
        evaluate = self.plan.add(stage)
        scores = {"evaluate": evaluate, "metrics": self.metrics(task)}
        score = self.plan.add(Stage("score", scores, stage.recipe, (evaluate,)))
        return Cell(
            cell.coordinates,
            score,
            evaluate,
            cell.finetune,
            cell.fit,
            cell.align,
            cell.links,
        )

    def _task(self, task: str) -> dict[str, Any]:
        plugin = self.catalogue.discovery.table.get("tasks", task)
        task_class = plugin.load()
        return {
            **component(plugin),
            "level": task_class.level,
            "labels": list(task_class.labels),
        }

    def _metrics(self, task: str) -> list[dict[str, Any]]:
        table = self.catalogue.discovery.table
        return [component(table.get("metrics", m)) for m in table.get("tasks", task).load().metrics]


def _unavailable(cell: Cell, reason: str) -> Cell:
    return Cell(
        cell.coordinates,
        finetune=cell.finetune,
        fit=cell.fit,
        align=cell.align,
        links=cell.links,
        unavailable=reason,
    )


def _unique(parents: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(parents))


def _idle(settings: Mapping[str, Any], mode: str, level: str) -> Iterator[str]:
    """Settings of a fine-tuning that play no part in it: they are in no key."""
    if mode == "linear":  # a frozen encoder has no learning rate
        yield "encoder_learning_rate"
    if level in ("token", "span"):  # every word is classified, no text is pooled
        yield "sentence_pooling"
    if settings["steps"] is not None:  # steps win over epochs
        yield "epochs"
    if settings["selection"] == "last":  # nothing is scored on the way
        yield "selection"
        yield "selection_every"

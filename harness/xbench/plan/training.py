"""The stages that train a model for a task, and the fits of transforms beside them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from xbench.api.source import MissingData
from xbench.errors import XbenchError
from xbench.plan.arm import Arm
from xbench.plan.fits import Fits, fit_settings
from xbench.plan.kinds.task import (
    FinetuneSpec,
    FinetuneStage,
    JointPlaces,
    JointSpec,
    SelectedOn,
    TaskPlaces,
)
from xbench.plan.planning import Planning
from xbench.plan.records import DataId


@dataclass(frozen=True)
class PlannedJoint:
    """An objective beside a task's loss, and where what it reads lies."""

    spec: JointSpec
    places: JointPlaces


class Trainings:
    """Adds fine-tunings to a plan."""

    def __init__(self, planning: Planning) -> None:
        self._planning = planning
        self._spec = planning.spec
        self._suite = planning.suite
        self.fits = Fits(planning)

    def modes(self, arm: Arm) -> Sequence[str]:
        """Those of the run; a frozen encoder has nothing to be tuned jointly."""
        modes = self._spec.mode
        if arm.joint is None:
            return modes
        if "full" not in modes:
            raise XbenchError(
                f"{arm.coordinates['objective']} acts during fine-tuning, and the encoder is frozen "
                f"in mode linear: --mode full."
            )
        return ("full",)

    def heads(self, arm: Arm) -> dict[str, str]:
        """Task -> its linear fine-tuning with the first seed: a random head's gradient says little."""
        planning, source = self._planning, self._suite.source_language
        trained = [t for t in self._spec.task if planning.task(t).level != "retrieval"]
        seed = self._spec.seed[0]
        found = {}
        for task in trained:
            train = planning.task_data(task, source, "train")
            spec = self.spec_of(arm, task, "linear", seed, train, None)
            found[task], _ = self.add(arm, task, spec, None)
        return found

    def joint(self, arm: Arm, task: str) -> PlannedJoint | None:
        """An objective that acts beside this task's loss. Raises :class:`MissingData`."""
        if arm.joint is None:
            return None
        spec, places = arm.joint, JointPlaces(arm.pairs)
        if arm.needs_translations:
            pair = str(arm.coordinates["pair"])
            others = [c for c in pair.split("-") if c != self._suite.source_language]
            if len(others) != 1:
                raise MissingData(
                    f"{arm.coordinates['objective']} needs the task's examples translated into the "
                    f"other language of the pair, and {pair} has not {self._suite.source_language} "
                    f"on one side"
                )
            spec = replace(spec, translated=self._planning.task_data(task, others[0], "train"))
            where = self._planning.data.where(self._suite.tasks[task], others)
            places = replace(places, translated=where)
        return PlannedJoint(spec, places)

    def spec_of(
        self, arm: Arm, task: str, mode: str, seed: int, train: DataId, joint: PlannedJoint | None
    ) -> FinetuneSpec:
        """What a fine-tuning is keyed by, but for a transform before it."""
        planning = self._planning
        settings = planning.concrete(self._spec.finetune[task][mode])
        name = arm.coordinates.get("objective")
        if joint is not None and settings.accumulate != 1:
            raise XbenchError(
                f"{name} acts beside the loss of {task} and sees whole batches: "
                f"-O finetune.{task}.accumulate=1."
            )
        selected_on = None
        if settings.selection == "best":
            if arm.merge is not None:
                raise XbenchError(f"{name} merges several steps: it needs --selection last.")
            selected_on = self._selected_on(task)
        return FinetuneSpec(
            encoder=arm.encoder,
            task=planning.task(task),
            data=train,
            mode="full" if mode == "full" else "linear",
            settings=settings,
            seed=seed,
            joint=replace(joint.spec, weight=settings.joint_weight) if joint else None,
            selected_on=selected_on,
            merge=arm.merge,
        )

    def add(
        self, arm: Arm, task: str, spec: FinetuneSpec, joint: PlannedJoint | None
    ) -> tuple[str, str | None]:
        """The fine-tuning and, for a transform, its fit: before a head is trained, or after it all.

        In mode ``linear`` the head learns on transformed features; in mode ``full`` the encoder is
        tuned as it is, which is the arm ``none``, and the transform is fitted on the result.
        """
        planning = self._planning
        parents = arm.parents + ((arm.links,) if arm.links and arm.joint else ())
        fit = None
        settings = fit_settings(self._spec, spec)
        if arm.transform is not None and spec.mode == "linear":
            fit = self.fits.add(arm, spec.task, settings, arm.encoder, parents)
            spec, parents = replace(spec, transform=fit), (*parents, fit)
        places = TaskPlaces(
            **planning.machine,
            label=f"{task} {spec.mode} seed {spec.seed} on {arm.label}",
            task=task,
            data=planning.data.where(self._suite.tasks[task], (self._suite.source_language,)),
            transform=arm.transform if fit is not None else None,
            joint=joint.places if joint else None,
        )
        key = planning.plan.add(FinetuneStage(spec, places, parents))
        if arm.transform is not None and spec.mode == "full":
            fit = self.fits.add(arm, spec.task, settings, key, (key,))
        return key, fit

    def _selected_on(self, task: str) -> SelectedOn:
        """What a model is selected by: dev data of the source language, and the first metric."""
        try:
            data = self._planning.task_data(task, self._suite.source_language, "dev")
        except MissingData as error:
            raise XbenchError(
                f"No development data to select models of task {task!r} by: {error}. "
                f"Keep the last step's instead: --selection last."
            ) from error
        return SelectedOn(data, self._planning.metrics(task)[0])

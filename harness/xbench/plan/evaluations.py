"""The stages that predict and score: of fine-tuned models, and of retrieval, which trains nothing."""

from collections.abc import Iterator
from dataclasses import replace

from xbench.api.source import MissingData
from xbench.catalogue.settings import EvaluateSettings
from xbench.plan.arm import Arm
from xbench.plan.fits import Fits
from xbench.plan.graph import Cell
from xbench.plan.kinds.fit import FitSettings
from xbench.plan.kinds.task import (
    EvaluateSpec,
    EvaluateStage,
    FinetuneStage,
    ScoreSpec,
    ScoreStage,
    TaskPlaces,
)
from xbench.plan.planning import Planning
from xbench.plan.records import DataId


class Evaluations:
    """Adds evaluations and scores to a plan, and says what has no data."""

    def __init__(self, planning: Planning, fits: Fits) -> None:
        self._planning = planning
        self._plan = planning.plan
        self._fits = fits
        self._settings = planning.spec.evaluate

    def evaluated(self, cell: Cell, task: str, code: str) -> Cell:
        """The cell of a fine-tuned model, with the stages that predict and score it."""
        data = self._data(cell, task, (code,))
        if isinstance(data, str):
            return replace(cell, unavailable=data)
        assert cell.finetune is not None
        tuned = self._plan.stages[cell.finetune]
        assert isinstance(tuned, FinetuneStage)
        spec = EvaluateSpec(
            language=code,
            data=data,
            settings=self._settings,
            finetune=cell.finetune,
            transform=cell.fit,
        )
        parents = [cell.finetune]
        if tuned.spec.mode == "linear":  # the head lies on weights that it does not hold
            parents += tuned.parents
        places = TaskPlaces(
            **self._planning.machine,
            label=f"{task} {code}",
            task=task,
            data=self._planning.data.where(self._planning.suite.tasks[task], (code,)),
            transform=self._plan.stages[cell.fit].spec.objective if cell.fit else None,
        )
        return self._scored(cell, task, spec, places, parents)

    def retrieval_cells(self, arm: Arm, task: str) -> Iterator[Cell]:
        """Nothing is trained: the encoder itself is asked for translations."""
        if arm.joint is not None or arm.merge is not None:  # there is no such encoder yet
            return
        planning = self._planning
        settings = planning.concrete(self._settings)
        fit = None
        unfitted = self._fits.lacking(arm)
        if arm.transform is not None and not unfitted:
            wanted = FitSettings(
                planning.spec.align.fit_sentences,
                settings.max_length,
                settings.precision,
                settings.retrieval_pooling,
                settings.retrieval_depth,
            )
            fit = self._fits.add(arm, planning.task(task), wanted, arm.encoder, arm.parents)
        for code in planning.spec.language:
            if code != planning.suite.source_language:
                cell = Cell(
                    planning.coordinates(arm, task, code) | {"mode": None, "seed": None},
                    fit=fit,
                    align=arm.align,
                    links=arm.links,
                    unavailable=unfitted,
                )
                yield self._retrieved(cell, arm, task, settings)

    def _retrieved(self, cell: Cell, arm: Arm, task: str, settings: EvaluateSettings) -> Cell:
        """The cell with the stages that search and score."""
        planning = self._planning
        code, source = cell.coordinates["language"], planning.suite.source_language
        data = self._data(cell, task, (source, code))
        if isinstance(data, str):
            return replace(cell, unavailable=data)
        spec = EvaluateSpec(
            language=code,
            data=data,
            settings=settings,
            encoder=arm.encoder,
            task=planning.task(task),
            source=source,
            transform=cell.fit,
        )
        places = TaskPlaces(
            **planning.machine,
            label=f"{task} {code} on {arm.label}",
            task=task,
            data=planning.data.where(planning.suite.tasks[task], (source, code)),
            transform=arm.transform if cell.fit else None,
        )
        parents = [*arm.parents, *([cell.fit] if cell.fit else [])]
        return self._scored(cell, task, spec, places, parents)

    def _data(self, cell: Cell, task: str, codes: tuple[str, ...]) -> DataId | str:
        """The test data of a cell, or why it has none."""
        lacking = cell.unavailable or self._fits.lacking_for(cell.fit, codes[-1])
        if lacking:
            return lacking
        planning = self._planning
        binding = planning.suite.tasks[task]
        try:
            return planning.data.identity(binding, codes, self._settings.split)
        except MissingData as error:
            reason = self._plan.gaps[f"{task}: {codes[-1]}"] = str(error)
            return reason

    def _scored(
        self, cell: Cell, task: str, spec: EvaluateSpec, places: TaskPlaces, parents: list[str]
    ) -> Cell:
        if cell.fit is not None:
            parents = [*parents, cell.fit]
        unique = tuple(dict.fromkeys(parents))
        evaluate = self._plan.add(EvaluateStage(spec, places, unique))
        metrics = ScoreSpec(evaluate, self._planning.metrics(task))
        score = self._plan.add(ScoreStage(metrics, places, (evaluate,)))
        return replace(cell, evaluate=evaluate, score=score)

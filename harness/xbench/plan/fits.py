"""The stages that fit transforms: on which text, and which languages it leaves out."""

from functools import cached_property

from xbench.api.source import MissingData
from xbench.errors import XbenchError
from xbench.plan.arm import Arm
from xbench.plan.kinds.fit import FitPlaces, FitSettings, FitSpec, FitStage
from xbench.plan.kinds.task import FinetuneSpec, idle
from xbench.plan.planning import Planning
from xbench.plan.records import DataId, DataPlace, EncoderId, TaskId
from xbench.spec.request import ResolvedSpec


def fit_settings(run: ResolvedSpec, spec: FinetuneSpec) -> FitSettings:
    """The vectors that a head sees are those that its transform is fitted on."""
    settings = spec.settings
    pooled = "sentence_pooling" not in idle(settings, spec.mode, spec.task.level)
    return FitSettings(
        run.align.fit_sentences,
        settings.max_length,
        settings.precision,
        settings.sentence_pooling if pooled else None,
    )


class Fits:
    """Adds to a plan the fits of transforms, on text of all languages that the run evaluates in."""

    def __init__(self, planning: Planning) -> None:
        self._planning = planning
        self._plan = planning.plan
        self._suite = planning.suite

    def lacking(self, arm: Arm) -> str:
        """Why an arm's transform cannot be fitted at all, if so.

        Raises :class:`XbenchError` where the suite has no text to fit on.
        """
        if arm.transform is None:
            return ""
        binding = self._suite.text
        if binding is None:
            raise XbenchError(
                f"{arm.coordinates['objective']} is fitted on parallel text of all languages, and "
                f"the suite {self._plan.spec.suite!r} binds none (text:)."
            )
        if self._texts[0]:
            return ""
        return (
            f"the transform was not fitted: of the languages asked for, {binding.source} has none "
            f"beside {self._suite.source_language}"
        )

    def lacking_for(self, fit: str | None, code: str) -> str:
        """Why a fitted transform has nothing for a language, if so."""
        if fit is None or code == self._suite.source_language:
            return ""
        if code in self._plan.stages[fit].spec.texts:
            return ""
        assert self._suite.text is not None
        reason = self._plan.gaps[f"{self._suite.text.source}: {code}"]
        return f"the transform was not fitted: {reason}"

    def add(
        self,
        arm: Arm,
        task: TaskId,
        settings: FitSettings,
        on: EncoderId | str,
        parents: tuple[str, ...],
    ) -> str:
        """The key of the fit for a task ``on`` an encoder, or on that of a fine-tuning, by its key."""
        assert arm.transform is not None
        texts, places = self._texts
        spec = FitSpec(
            objective=arm.transform,
            unit="token" if task.level in ("token", "span") else "sentence",
            source=self._suite.source_language,
            texts=texts,
            settings=settings,
            encoder=on if isinstance(on, EncoderId) else None,
            finetune=on if isinstance(on, str) else None,
        )
        label = f"{arm.label} for {task.name}"
        where = FitPlaces(**self._planning.machine, label=label, texts=places)
        return self._plan.add(FitStage(spec, where, parents))

    @cached_property
    def _texts(self) -> tuple[dict[str, DataId], dict[str, DataPlace]]:
        """language -> its parallel text with the source language; and where that lies."""
        binding, source = self._suite.text, self._suite.source_language
        assert binding is not None
        texts, places = {}, {}
        for code in self._plan.spec.language:
            if code != source:
                try:
                    texts[code] = self._planning.data.identity(
                        binding, (source, code), binding.split
                    )
                except MissingData as error:
                    self._plan.gaps[f"{binding.source}: {code}"] = str(error)
                    continue
                places[code] = self._planning.data.where(binding, (source, code))
        return texts, places

"""The stages that fit transforms: on which text, and which languages it leaves out."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from xbench.api.source import MissingData
from xbench.catalogue.registry import SuiteEntry
from xbench.errors import XbenchError
from xbench.plan.arms import Arm
from xbench.plan.data import Data
from xbench.plan.graph import Plan, Stage

# What of a head's or a retrieval's settings decides on the vectors that a transform is fitted on.
_KEPT = ("max_length", "precision", "sentence_pooling", "depth")


class Fits:
    """Adds to a plan the fits of transforms, on text of all languages that the run evaluates in."""

    def __init__(
        self, plan: Plan, suite: SuiteEntry, data: Data, recipe: Mapping[str, Any]
    ) -> None:
        self._plan = plan
        self._suite = suite
        self._data = data
        self._recipe = recipe

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
        if code in self._plan.stages[fit].spec["texts"]:
            return ""
        assert self._suite.text is not None
        reason = self._plan.gaps[f"{self._suite.text.source}: {code}"]
        return f"the transform was not fitted: {reason}"

    def add(
        self,
        arm: Arm,
        task: Mapping[str, Any],
        settings: Mapping[str, Any],
        encoder: Mapping[str, Any],
        parents: tuple[str, ...],
    ) -> str:
        """The key of the fit for a task on an encoder: ``{"encoder": ...}`` or ``{"finetune": key}``."""
        texts, places = self._texts
        spec = {
            **encoder,
            "objective": arm.transform,
            "unit": "token" if task["level"] in ("token", "span") else "sentence",
            "source": self._suite.source_language,
            "texts": texts,
            "settings": {
                "sentences": self._plan.spec.align["fit_sentences"],
                **{name: settings[name] for name in _KEPT if name in settings},
            },
        }
        label = f"{arm.label} for {task['name']}"
        recipe = {**self._recipe, "texts": places, "label": label}
        return self._plan.add(Stage("fit", spec, recipe, parents))

    @cached_property
    def _texts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """language -> its parallel text with the source language; and where that lies."""
        binding, source = self._suite.text, self._suite.source_language
        assert binding is not None
        texts, places = {}, {}
        for code in self._plan.spec.language or ():
            if code != source:
                try:
                    texts[code] = self._data.identity(binding, (source, code), binding.split)
                except MissingData as error:
                    self._plan.gaps[f"{binding.source}: {code}"] = str(error)
                    continue
                places[code] = self._data.where(binding, (source, code))
        return texts, places

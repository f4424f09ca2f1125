"""The stage that fits a transform on parallel text, as an encoder sees it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from xbench.catalogue.identity import Component
from xbench.keys import absent
from xbench.plan.artefacts import FITTED
from xbench.plan.records import DataId, DataPlace, EncoderId, Reading
from xbench.plan.stage import FINETUNE, Places, Stage, Stages

# xbench.api.transform has the same name, and imports torch, which plans, results and status do without.
Unit = Literal["token", "sentence"]


@dataclass(frozen=True)
class FitSettings:
    """What decides on the vectors that a transform is fitted on: those of a head, or of a retrieval."""

    sentences: int
    max_length: int
    precision: str
    sentence_pooling: str | None = absent()
    depth: float | None = absent()


@dataclass(frozen=True, kw_only=True)
class FitSpec:
    """A transform fitted on an encoder, or on the one of a ``finetune``; ``texts`` by language."""

    objective: Component
    unit: Unit
    source: str
    texts: Mapping[str, DataId]
    settings: FitSettings
    encoder: EncoderId | None = absent()
    finetune: str | None = absent()


@dataclass(frozen=True, kw_only=True)
class FitPlaces(Places):
    """Where the texts lie, by language."""

    texts: Mapping[str, DataPlace]


@dataclass(frozen=True)
class FitStage(Stage):
    """Fits a transform."""

    spec: FitSpec
    places: FitPlaces

    kind = "fit"
    schema = 2
    title = "fit"
    point = FINETUNE
    run = "xbench.stages.fit:run"

    def leaves(self) -> list[str]:
        """What the transform learnt."""
        return [FITTED]

    def lends(self, child: Stage, stages: Stages) -> list[str]:
        """What the transform learnt."""
        return [FITTED]

    def cost(self, stages: Stages) -> tuple[str, str]:
        """By transform and unit."""
        return self.spec.objective.name, self.spec.unit

    def reads(self) -> Iterator[Reading]:
        """The text of each language."""
        for code, data in self.spec.texts.items():
            yield Reading(data, self.places.texts[code], None, "parallel text")

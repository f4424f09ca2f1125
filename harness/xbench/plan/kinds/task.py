"""Stages of a task: fine-tuning, evaluation (of retrieval as well), score."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from xbench.catalogue.identity import Component
from xbench.catalogue.settings import EvaluateSettings, FinetuneSettings
from xbench.keys import absent, canonical, plain, to_json
from xbench.plan.artefacts import ENCODER, HEAD
from xbench.plan.kinds.pairs import PairPlace
from xbench.plan.records import DataId, DataPlace, EncoderId, Reading, TaskId
from xbench.plan.stage import FINETUNE, Places, Stage, Stages

# Settings of the evaluation that retrieval tasks alone read: they are in no other key.
_RETRIEVAL = (
    "max_length",
    "precision",
    "retrieval_depth",
    "retrieval_pooling",
    "retrieval_similarity",
)


@dataclass(frozen=True)
class PairSettings:
    """Of the alignment's settings those of an objective that acts beside a task's loss."""

    batch_size: int
    max_length: int
    max_pairs: int | None
    mlm_probability: float


@dataclass(frozen=True, kw_only=True)
class JointSpec:
    """An objective beside the task's loss, with its weight and what it reads.

    ``corpus``, ``guard`` and ``links`` are as of :class:`PairText`; ``translated`` are the task's
    examples in the other language of the pair.
    """

    objective: Component
    arm: str
    weight: float = 1.0
    corpus: DataId | None = absent()
    guard: tuple[DataId, ...] | None = absent()
    links: str | None = absent()
    settings: PairSettings | None = absent()
    translated: DataId | None = absent()


@dataclass(frozen=True)
class JointPlaces:
    """Where the parallel text and the translated examples lie."""

    pairs: PairPlace | None = None
    translated: DataPlace | None = None


@dataclass(frozen=True)
class SelectedOn:
    """What a model is selected by: development data of the source language, and a metric."""

    data: DataId
    metric: Component


@dataclass(frozen=True, kw_only=True)
class FinetuneSpec:
    """A task learnt on an encoder; ``transform`` is the key of a fit that its features go through."""

    encoder: EncoderId
    task: TaskId
    data: DataId
    mode: Literal["full", "linear"]
    settings: FinetuneSettings
    seed: int
    joint: JointSpec | None = absent()
    selected_on: SelectedOn | None = absent()
    merge: Component | None = absent()
    transform: str | None = absent()

    @property
    def is_plain(self) -> bool:
        """Whether the task's loss alone is learnt, and the last step's weights are kept."""
        return not self.joint and self.merge is None and self.settings.selection == "last"

    def to_json(self) -> dict[str, Any]:
        """Settings that play no part in this fine-tuning are left out."""
        whole: dict[str, Any] = plain(self)
        for name in idle(self.settings, self.mode, self.task.level):
            del whole["settings"][name]
        return whole


def idle(settings: FinetuneSettings, mode: str, level: str) -> Iterator[str]:
    """Settings of a fine-tuning that play no part in it: they are in no key."""
    yield "joint_weight"  # the objective beside the loss has it
    if mode == "linear":  # a frozen encoder has no learning rate
        yield "encoder_learning_rate"
    if level in ("token", "span"):  # every word is classified, no text is pooled
        yield "sentence_pooling"
    if settings.steps is not None:  # steps win over epochs
        yield "epochs"
    if settings.selection == "last":  # nothing is scored on the way
        yield "selection"
        yield "selection_every"


@dataclass(frozen=True, kw_only=True)
class TaskPlaces(Places):
    """Where a task's data lies; ``transform`` is the plugin of the spec's transform."""

    task: str
    data: DataPlace
    transform: Component | None = None
    joint: JointPlaces | None = None


@dataclass(frozen=True)
class FinetuneStage(Stage):
    """Phase II: learns a task in the source language."""

    spec: FinetuneSpec
    places: TaskPlaces

    kind = "finetune"
    schema = 2
    title = "fine-tune"
    point = FINETUNE
    run = "xbench.stages.finetune:run"

    def leaves(self) -> list[str]:
        """The head, and the encoder where that was tuned."""
        return [HEAD, ENCODER] if self.spec.mode == "full" else [HEAD]

    def lends(self, child: Stage, stages: Stages) -> list[str]:
        """All of it; the encoder to a fit, the head to a probe of the encoder that it lies on."""
        if getattr(child.spec, "head", None) == self.key:
            return [HEAD]
        return [ENCODER] if child.kind == "fit" else self.leaves()

    def model(self, stages: Stages) -> str:
        """Its own."""
        return self.key

    def job(self, stages: Stages) -> str:
        """Linear fine-tunings on one encoder and task go together: they share its features."""
        if self.spec.mode == "full":
            return self.key
        own = self.spec
        shared = {"task": own.task, "data": own.data, "transform": own.transform}
        settings = own.to_json()["settings"]
        return canonical(to_json({**shared, "encoder": own.encoder, "settings": settings}))

    def stack(self) -> str | None:
        """Full fine-tunings that differ in seed, weights of the encoder and learning rates."""
        spec, settings = self.spec, self.spec.settings
        whole_batches = settings.accumulate == 1 and settings.precision != "fp16"
        if spec.mode != "full" or not spec.is_plain or not whole_batches:
            return None
        alike = spec.to_json()["settings"]
        for rate in ("encoder_learning_rate", "head_learning_rate"):
            del alike[rate]
        model = self.places.model_digest
        shared = {
            "task": spec.task,
            "data": spec.data,
            "model": model,
            "device": self.places.device,
        }
        return canonical(to_json({**shared, "settings": alike}))

    def cost(self, stages: Stages) -> tuple[str, str]:
        """By task, mode, and an objective beside its loss."""
        joint = self.spec.joint
        beside = f" with {joint.objective.name}" if joint else ""
        return self.spec.task.name, f"{self.spec.mode}{beside}"

    def units(self, items: int) -> float:
        """Steps; ``items`` is how many examples there are."""
        settings = self.spec.settings
        if settings.steps:
            return float(settings.steps)
        limited = min(items, settings.max_train or items)
        return float((settings.epochs or 0) * math.ceil(limited / settings.batch_size))

    def reads(self) -> Iterator[Reading]:
        """The task's examples, and what an objective beside its loss reads."""
        task, label = self.places.task, self.places.label
        yield Reading(self.spec.data, self.places.data, task, label)
        joint, places = self.spec.joint, self.places.joint
        if joint is None or places is None:
            return
        if joint.corpus is not None and places.pairs is not None:
            yield Reading(joint.corpus, places.pairs.corpus, None, label)
        if joint.translated is not None and places.translated is not None:
            yield Reading(joint.translated, places.translated, task, label)


@dataclass(frozen=True, kw_only=True)
class EvaluateSpec:
    """Predictions of a fine-tuned model in one language.

    Of a retrieval task there is no ``finetune``: the ``encoder`` as it is searches between the
    ``source`` language and this one.
    """

    language: str
    data: DataId
    settings: EvaluateSettings
    finetune: str | None = absent()
    encoder: EncoderId | None = absent()
    task: TaskId | None = absent()
    source: str | None = absent()
    transform: str | None = absent()

    def to_json(self) -> dict[str, Any]:
        """Settings that retrieval alone reads are left out of all else."""
        whole: dict[str, Any] = plain(self)
        for name in _RETRIEVAL if self.finetune is not None else ():
            del whole["settings"][name]
        return whole


@dataclass(frozen=True)
class EvaluateStage(Stage):
    """Phase III: predicts in one language."""

    spec: EvaluateSpec
    places: TaskPlaces

    kind = "evaluate"
    schema = 3
    title = "evaluate"
    point = (*FINETUNE, "language")
    run = "xbench.stages.evaluate:run"
    fills = True

    def job(self, stages: Stages) -> str:
        """The model's; retrievals of a task with one encoder go together."""
        if self.spec.finetune is not None:
            return super().job(stages)
        return canonical(to_json({"encoder": self.spec.encoder, "task": self.spec.task}))

    def cost(self, stages: Stages) -> tuple[str, str]:
        """By task and mode."""
        model = stages.get(self.spec.finetune or "")
        return self.places.task, model.spec.mode if model else ""

    def units(self, items: int) -> float:
        """Test items."""
        return float(min(items, self.spec.settings.max_items or items))

    def reads(self) -> Iterator[Reading]:
        """The test items."""
        yield Reading(self.spec.data, self.places.data, self.places.task, self.places.label)


@dataclass(frozen=True)
class ScoreSpec:
    """The metrics of an evaluation's predictions."""

    evaluate: str
    metrics: tuple[Component, ...]


@dataclass(frozen=True)
class ScoreStage(Stage):
    """Predictions to metrics."""

    spec: ScoreSpec
    places: TaskPlaces

    kind = "score"
    schema = 1
    title = "score"
    point = (*FINETUNE, "language")
    run = "xbench.stages.score:run"
    asked = True
    fills = True

    def model(self, stages: Stages) -> str | None:
        """The evaluation's."""
        return stages[self.spec.evaluate].model(stages)

    def job(self, stages: Stages) -> str:
        """The evaluation's."""
        return stages[self.spec.evaluate].job(stages)

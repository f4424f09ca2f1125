"""The kinds of stages: of each one record of what it reads, leaves and costs, and who computes it.

A new kind is a record here, in the order in which stages build on each other, and a module of
``xbench.stages`` with its function; ``plan`` adds its stages to the graph.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xbench.plan.artefacts import ENCODER, FITTED, HEAD, LINKS, RESULT, checkpoint

if TYPE_CHECKING:
    from xbench.plan.graph import Stage

Stages = Mapping[str, "Stage"]
_ALIGN = ("objective", "variant", "arm", "pair", "align_seed")
_FINETUNE = (*_ALIGN, "task", "mode", "seed")


@dataclass(frozen=True)
class Reading:
    """A part of a stage's input: what identifies it, where it lies, the task that reads it, if any.

    ``label`` says what it is, for a person.
    """

    data: Mapping[str, Any]
    where: Mapping[str, Any]
    task: str | None
    label: str

    @property
    def name(self) -> str:
        """For a person: ``pos in deu, test``."""
        languages = "-".join(self.where["languages"])
        return f"{self.task or self.label} in {languages}, {self.data['split']}"


@dataclass(frozen=True)
class StageKind:
    """What is to be known of a kind of stage outside the function that computes it.

    ``schema`` is raised when the engine's own numbers change for that kind. ``label`` is its name for
    a person, ``point`` the coordinates that tell its stages apart. ``run`` is where its function is,
    as ``module:name``: it is imported in the process that computes. ``leaves`` are the files that a
    stage is there for, ``lends`` those of them that a child reads. Stages with the same ``cost``
    (what is computed, and how) take as long for each of their ``units``. ``reads`` is the text that
    is looked at before any work. ``asked`` says whether cells ask for it, so that all else is computed
    only as far as it lacks something; ``fills``, whether it belongs to one cell, so that its failure is
    the cell's own; ``alone``, whether each is a job of its own, before the others, since much waits
    for it.
    """

    name: str
    schema: int
    label: str
    point: tuple[str, ...]
    run: str
    cost: Callable[["Stage", Stages], tuple[str, str]]
    leaves: Callable[["Stage"], list[str]] = lambda stage: [RESULT]
    lends: Callable[["Stage", "Stage", Stages], list[str]] = lambda stage, child, stages: [RESULT]
    units: Callable[["Stage", int], float] = lambda stage, items: 1.0
    reads: Callable[["Stage"], Iterator[Reading]] = lambda stage: iter(())
    asked: bool = False
    fills: bool = False
    alone: bool = False


def encoder_of(stage: "Stage", stages: Stages) -> Mapping[str, Any]:
    """The weights that a stage starts from; an evaluation those of its fine-tuning."""
    if "encoder" not in stage.spec:
        stage = stages[stage.spec["finetune"]]
    found: Mapping[str, Any] = stage.spec["encoder"]
    return found


def _own_data(stage: "Stage") -> Iterator[Reading]:
    data = stage.spec.get("corpus", stage.spec.get("data"))
    if "binding" in stage.recipe and data is not None:
        yield Reading(data, stage.recipe, stage.recipe.get("task"), stage.recipe.get("label", ""))


def _guard(stage: "Stage") -> Iterator[Reading]:
    guarded = zip(stage.spec.get("guard", []), stage.recipe.get("guard", []), strict=True)
    for data, where in guarded:
        yield Reading(data, where, None, f"guard {where['binding']['source']}")


def _pairs(stage: "Stage") -> Iterator[Reading]:
    yield from _own_data(stage)
    if "dictionary" in stage.spec:
        label = f"dictionary of {stage.recipe.get('label', '')}"
        yield Reading(stage.spec["dictionary"], stage.recipe["dictionary"], None, label)
    yield from _guard(stage)


def _texts(stage: "Stage") -> Iterator[Reading]:
    for code, text in stage.spec.get("texts", {}).items():
        yield Reading(text, stage.recipe["texts"][code], None, "parallel text")
    for pair, data in stage.spec.get("dictionaries", {}).items():
        yield Reading(data, stage.recipe["dictionaries"][pair], None, "dictionary")


def _labelled(stage: "Stage") -> Iterator[Reading]:
    yield from _own_data(stage)
    joint, task = stage.spec.get("joint", {}), stage.recipe.get("task")
    if "corpus" in joint:
        pairs = stage.recipe["joint"]["pairs"]
        yield Reading(joint["corpus"], pairs, None, stage.recipe.get("label", ""))
    if "translated" in joint:
        translated = stage.recipe["joint"]["translated"]
        yield Reading(joint["translated"], translated, task, stage.recipe.get("label", ""))


def _finetune_cost(stage: "Stage", stages: Stages) -> tuple[str, str]:
    joint = stage.spec.get("joint")
    beside = f" with {joint['objective']['name']}" if joint else ""
    return stage.spec["task"]["name"], f"{stage.spec['mode']}{beside}"


def _evaluate_cost(stage: "Stage", stages: Stages) -> tuple[str, str]:
    model = stages.get(stage.spec.get("finetune", ""))
    return stage.recipe["task"], model.spec["mode"] if model else ""


def _finetune_units(stage: "Stage", items: int) -> float:
    """Steps; ``items`` is how many examples there are."""
    settings = stage.spec["settings"]
    if settings.get("steps"):
        return float(settings["steps"])
    limited = min(items, settings["max_train"] or items)
    return float(settings["epochs"] * math.ceil(limited / settings["batch_size"]))


def _finetune_leaves(stage: "Stage") -> list[str]:
    return [HEAD, ENCODER] if stage.spec["mode"] == "full" else [HEAD]


def _finetune_lends(stage: "Stage", child: "Stage", stages: Stages) -> list[str]:
    if child.spec.get("head") == stage.key:  # a probe of the encoder that it was fitted on
        return [HEAD]
    return [ENCODER] if child.kind == "fit" else _finetune_leaves(stage)


KINDS = {
    kind.name: kind
    for kind in (
        StageKind(
            "links",
            schema=2,
            label="word links",
            point=("pair", "arm"),
            run="xbench.stages.links:run",
            cost=lambda stage, stages: (stage.spec["aligner"]["name"], ""),
            leaves=lambda stage: [LINKS],
            lends=lambda stage, child, stages: [LINKS],
            reads=_pairs,
            alone=True,
        ),
        StageKind(
            "align",
            schema=2,
            label="align",
            point=_ALIGN,
            run="xbench.stages.align:run",
            cost=lambda stage, stages: (stage.spec["objective"]["name"], ""),
            leaves=lambda stage: [checkpoint(step) for step in stage.recipe["checkpoints"]],
            lends=lambda stage, child, stages: [checkpoint(encoder_of(child, stages)["step"])],
            units=lambda stage, items: float(stage.spec["settings"]["steps"]),
            reads=_pairs,
            alone=True,
        ),
        StageKind(
            "fit",
            schema=2,
            label="fit",
            point=_FINETUNE,
            run="xbench.stages.fit:run",
            cost=lambda stage, stages: (stage.spec["objective"]["name"], stage.spec["unit"]),
            leaves=lambda stage: [FITTED],
            lends=lambda stage, child, stages: [FITTED],
            reads=_texts,
        ),
        StageKind(
            "finetune",
            schema=2,
            label="fine-tune",
            point=_FINETUNE,
            run="xbench.stages.finetune:run",
            cost=_finetune_cost,
            leaves=_finetune_leaves,
            lends=_finetune_lends,
            units=_finetune_units,
            reads=_labelled,
        ),
        StageKind(
            "evaluate",
            schema=3,
            label="evaluate",
            point=(*_FINETUNE, "language"),
            run="xbench.stages.evaluate:run",
            cost=_evaluate_cost,
            units=lambda stage, items: float(
                min(items, stage.spec["settings"]["max_items"] or items)
            ),
            reads=_labelled,
            fills=True,
        ),
        StageKind(
            "score",
            schema=1,
            label="score",
            point=(*_FINETUNE, "language"),
            run="xbench.stages.score:run",
            cost=lambda stage, stages: ("", ""),
            asked=True,
            fills=True,
        ),
        StageKind(
            "probe",
            schema=3,
            label="probe",
            point=(*_FINETUNE, "probe"),
            run="xbench.stages.probe:run",
            cost=lambda stage, stages: (stage.spec["probe"]["name"], ""),
            reads=_texts,
            asked=True,
            fills=True,
        ),
    )
}
"""Name -> kind, in the order in which stages build on each other."""

"""What a stage costs: which stages cost the same, and how long each one is."""

import math
from collections.abc import Mapping
from typing import Any

from xbench.plan import Stage

Group = tuple[str, ...]


def group_of(stage: Stage, stages: Mapping[str, Stage]) -> Group:
    """Stages of a group cost the same per unit: kind, what is computed, model and device."""
    settings = stage.spec.get("settings", {})
    what, mode = "", ""
    if stage.kind == "align":
        what = stage.spec["objective"]["name"]
    elif stage.kind == "links":
        what = stage.spec["aligner"]["name"]
    elif stage.kind == "fit":
        what, mode = stage.spec["objective"]["name"], stage.spec["unit"]
    elif stage.kind == "finetune":
        what, mode = stage.spec["task"]["name"], stage.spec["mode"]
        if "joint" in stage.spec:
            mode += f" with {stage.spec['joint']['objective']['name']}"
    elif stage.kind == "probe":
        what = stage.spec["probe"]["name"]
    elif stage.kind == "evaluate":
        what = stage.recipe["task"]
        parent = stages.get(stage.spec.get("finetune", ""))
        mode = parent.spec["mode"] if parent else ""
    size = str(settings.get("batch_size", ""))
    device = str(stage.recipe["device"]).split(":")[0]
    return (stage.kind, what, mode, size, stage.recipe["model_digest"], device)


def units_of(stage: Stage, items: int) -> float:
    """Steps, or test items, that a stage goes through; ``items`` is how many its data has."""
    settings = stage.spec.get("settings", {})
    if stage.kind == "align":
        return float(settings["steps"])
    if stage.kind == "finetune":
        if settings.get("steps"):
            return float(settings["steps"])
        limited = min(items, settings["max_train"] or items)
        return float(settings["epochs"] * math.ceil(limited / settings["batch_size"]))
    if stage.kind == "evaluate":
        return float(min(items, settings["max_items"] or items))
    return 1.0


def measured(
    stage: Stage,
    stages: Mapping[str, Stage],
    result: Mapping[str, Any],
    seconds: float,
    memory: int,
) -> dict[str, Any]:
    """What is noted with a finished stage, for later estimates."""
    group = group_of(stage, stages)
    items = int(result.get("examples") or result.get("items") or 0)
    units = units_of(stage, items)
    note = {"group": list(group), "seconds": seconds, "memory": memory}
    return {**note, "units": units, "items": items}

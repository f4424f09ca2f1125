"""What a stage costs: which stages cost the same, and how long each one is."""

from collections.abc import Mapping
from typing import Any

from xbench.plan import Stage

CostGroup = tuple[str, ...]


def group_of(stage: Stage, stages: Mapping[str, Stage]) -> CostGroup:
    """Stages of a group cost the same per unit: kind, what is computed, model and device."""
    what, how = stage.cost(stages)
    device = stage.places.device.split(":")[0]
    return (stage.kind, what, how, stage.batch_size(), stage.places.model_digest, device)


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
    units = stage.units(items)
    note = {"group": list(group), "seconds": seconds, "memory": memory}
    return {**note, "units": units, "items": items}

"""The kinds of stages, each a class: what it is keyed by, reads, leaves and costs, and its function.

A new kind is a class here, with its name in the list below, and a module of ``xbench.stages`` with its
function; whatever plans it adds its stages to the graph.
"""

from collections.abc import Mapping
from typing import Any

from xbench.plan.kinds.fit import FitStage
from xbench.plan.kinds.pairs import AlignStage, LinksStage
from xbench.plan.kinds.probe import ProbeStage
from xbench.plan.kinds.task import EvaluateStage, FinetuneStage, ScoreStage
from xbench.plan.stage import Stage

KINDS: dict[str, type[Stage]] = {
    stage.kind: stage
    for stage in (
        LinksStage,
        AlignStage,
        FitStage,
        FinetuneStage,
        EvaluateStage,
        ScoreStage,
        ProbeStage,
    )
}
"""Name -> class, in the order in which stages build on each other."""


def read_stage(content: Mapping[str, Any]) -> Stage:
    """A stage as another process wrote it (:meth:`Stage.to_json`)."""
    return KINDS[content["kind"]].read(content)

"""A plan: stages with keys, and the cells of the matrix that they fill."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xbench.plan.stage import Stage
from xbench.spec.request import ResolvedSpec


@dataclass(frozen=True)
class Cell:
    """One point of the matrix: its coordinates, and the stages that fill it, the score last."""

    coordinates: Mapping[str, Any]
    score: str | None = None
    evaluate: str | None = None
    finetune: str | None = None
    fit: str | None = None
    align: str | None = None
    links: str | None = None
    probe: str | None = None
    unavailable: str = ""


@dataclass
class Plan:
    """The stages by key (parents before children), the cells, and what has no data.

    ``resolved`` are the commits of what came from the hub; ``unresolved`` is what a tentative plan
    could not look at; ``unguarded`` are the guarded test sets that are not here, and so guard
    nothing.
    """

    spec: ResolvedSpec
    stages: dict[str, Stage] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    gaps: dict[str, str] = field(default_factory=dict)
    unresolved: list[str] = field(default_factory=list)
    resolved: dict[str, str] = field(default_factory=dict)
    unguarded: dict[str, str] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """The device that its stages are computed on."""
        return next((stage.places.device for stage in self.stages.values()), "cpu")

    def add(self, stage: Stage) -> str:
        """Add a stage once; returns its key."""
        key = stage.key
        self.stages.setdefault(key, stage)
        return key

    def prune(self) -> None:
        """Leave out the stages that no cell needs any more."""
        needed = {key for cell in self.cells for key in (cell.score, cell.probe) if key}
        for key in reversed(list(self.stages)):  # children come before parents
            if key in needed:
                needed.update(self.stages[key].parents)
        self.stages = {key: stage for key, stage in self.stages.items() if key in needed}

    def of_kind(self, kind: str) -> list[str]:
        """Keys of one kind of stage, in planning order."""
        return [key for key, stage in self.stages.items() if stage.kind == kind]

"""How long a run will still take, from what its stages took so far and what stores know of others."""

from collections import defaultdict
from collections.abc import Mapping

from xbench.engine.cost import CostGroup, group_of
from xbench.engine.estimate import Rate
from xbench.engine.todo import Work
from xbench.plan import Plan, Stage


class Remaining:
    """Follows the stages of a run; :meth:`seconds` is what is left of it, where that can be told.

    ``rates`` are those of stages that were measured before: they count until the run has finished a
    stage of the same kind and cost itself. ``jobs`` stages are computed at a time.
    """

    def __init__(
        self, plan: Plan, work: Work, jobs: int, rates: Mapping[CostGroup, Rate] | None = None
    ) -> None:
        self._jobs = jobs
        self._rates = rates or {}
        self._left = {key: plan.stages[key] for key in work.todo}
        self._groups = {key: group_of(stage, plan.stages) for key, stage in self._left.items()}
        self._shares: dict[str, float] = {}
        self._took: dict[CostGroup, list[float]] = defaultdict(list)

    def settle(self, stage: Stage, seconds: float | None) -> None:
        """A stage is done, after so many seconds of work, or will not be."""
        if seconds is not None and stage.key in self._groups:
            self._took[self._groups[stage.key]].append(seconds)
        self._left.pop(stage.key, None)
        self._shares.pop(stage.key, None)

    def progress(self, stage: Stage, share: float) -> None:
        """A stage is on its way: this ``share`` of it, 0 to 1, is done."""
        self._shares[stage.key] = share

    def seconds(self) -> float | None:
        """Of wall time; None where a stage that is left is like none that was measured."""
        total = 0.0
        for key, stage in self._left.items():
            whole = self._expected(stage)
            if whole is None:
                return None
            total += whole * (1.0 - self._shares.get(key, 0.0))
        return total / max(1, min(self._jobs, len(self._left)))

    def _expected(self, stage: Stage) -> float | None:
        group = self._groups[stage.key]
        took = self._took.get(group)
        if took:
            return sum(took) / len(took)
        rate = self._rates.get(group)
        return None if rate is None else rate.start + rate.per_unit * stage.units(rate.items)

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
        self._groups = {key: group_of(plan.stages[key], plan.stages) for key in work.todo}
        self._left: dict[CostGroup, dict[str, Stage]] = defaultdict(dict)
        for key, group in self._groups.items():
            self._left[group][key] = plan.stages[key]
        self._shares: dict[str, float] = {}
        self._took: dict[CostGroup, tuple[float, int]] = {}  # seconds in all, of how many stages

    def settle(self, stage: Stage, seconds: float | None) -> None:
        """A stage is done, after so many seconds of work, or will not be."""
        group = self._groups.get(stage.key)
        if group is None:
            return
        if seconds is not None:
            total, count = self._took.get(group, (0.0, 0))
            self._took[group] = total + seconds, count + 1
        self._left[group].pop(stage.key, None)
        self._shares.pop(stage.key, None)

    def progress(self, stage: Stage, share: float) -> None:
        """A stage is on its way: this ``share`` of it, 0 to 1, is done."""
        if stage.key in self._groups:
            self._shares[stage.key] = share

    def seconds(self) -> float | None:
        """Of wall time; None where a stage that is left is like none that was measured."""
        total = 0.0
        for group, stages in self._left.items():
            taken, rate = self._took.get(group), self._rates.get(group)
            if taken is not None:  # asked at every event: no walk over thousands of stages
                total += taken[0] / taken[1] * (len(stages) - self._done_of(stages))
            elif rate is not None:
                total += sum(
                    rate.seconds(stage) * (1.0 - self._shares.get(key, 0.0))
                    for key, stage in stages.items()
                )
            elif stages:
                return None
        left = sum(map(len, self._left.values()))
        return total / max(1, min(self._jobs, left))

    def _done_of(self, stages: Mapping[str, Stage]) -> float:
        """How many whole stages the shares of those under way make up."""
        return sum(share for key, share in self._shares.items() if key in stages)

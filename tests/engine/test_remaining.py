"""What is left of a run, from what its stages took and what others took before."""

from pathlib import Path

import pytest

from xbench.engine.cost import group_of
from xbench.engine.estimate import Rate
from xbench.engine.remaining import Remaining
from xbench.engine.todo import find_work
from xbench.plan import Plan, Stage
from xbench.store import Store

from ..command import plan_of, request


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of(request(mode=["full"], seed=[15, 33, 42], arm=["none", "aligned"]))


def stages_of(plan: Plan, kind: str) -> list[Stage]:
    return [plan.stages[key] for key in plan.of_kind(kind)]


def remaining(plan: Plan, folder: Path, jobs: int = 1, known: float | None = None) -> Remaining:
    """Of the whole plan; with ``known``, each stage is known to take so many seconds."""
    work = find_work(plan, Store(folder))
    groups = {group_of(stage, plan.stages) for stage in plan.stages.values()}
    rates = None if known is None else {group: Rate(known, 0.0, 0, 0, 1) for group in groups}
    return Remaining(plan, work, jobs, rates)


def test_nothing_is_said_before_every_kind_was_measured(plan: Plan, tmp_path: Path) -> None:
    left = remaining(plan, tmp_path)
    for kind in ("align", "finetune", "evaluate"):
        assert left.seconds() is None
        left.settle(stages_of(plan, kind)[0], 10.0)
    assert left.seconds() is None
    left.settle(stages_of(plan, "score")[0], 1.0)
    todo = {kind: len(stages_of(plan, kind)) - 1 for kind in ("finetune", "evaluate", "score")}
    assert todo == {"finetune": 5, "evaluate": 11, "score": 11}
    assert left.seconds() == pytest.approx(5 * 10 + 11 * 10 + 11 * 1)


def test_what_this_run_took_counts_more_than_what_others_took(plan: Plan, tmp_path: Path) -> None:
    left = remaining(plan, tmp_path, known=2.0)
    assert left.seconds() == pytest.approx(2.0 * len(plan.stages))
    first, second, *others = stages_of(plan, "finetune")
    left.settle(first, 30.0)
    left.settle(second, 40.0)
    rest = len(plan.stages) - 2 - len(others)
    assert left.seconds() == pytest.approx(35.0 * len(others) + 2.0 * rest)


def test_what_is_under_way_counts_by_its_share(plan: Plan, tmp_path: Path) -> None:
    left = remaining(plan, tmp_path, known=8.0)
    before = left.seconds()
    assert before is not None
    left.progress(stages_of(plan, "align")[0], 0.75)
    assert left.seconds() == pytest.approx(before - 6.0)


def test_several_workers_share_what_is_left(plan: Plan, tmp_path: Path) -> None:
    left = remaining(plan, tmp_path, jobs=4, known=8.0)
    assert left.seconds() == pytest.approx(2.0 * len(plan.stages))
    *most, last = plan.stages.values()
    for stage in most:
        left.settle(stage, None)  # failed, say
    assert left.seconds() == pytest.approx(8.0)
    left.settle(last, 8.0)
    assert left.seconds() == 0

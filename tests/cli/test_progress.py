"""What a person is told while a run computes."""

from pathlib import Path
from typing import Any

import pytest

from xbench.cli import progress
from xbench.cli.progress import PlainProgress, describe
from xbench.engine.remaining import Remaining
from xbench.engine.todo import find_work
from xbench.store import Store

from ..command import plan_of, request


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_a_line_has_time_left_and_speed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    plan = plan_of(request(mode=["full"], arm=["none"]))
    work = find_work(plan, Store(tmp_path))
    counts = {kind: n["todo"] for kind, n in work.counts(plan).items()}
    watch = PlainProgress(counts, Remaining(plan, work, 1))
    (tuned,) = (plan.stages[key] for key in plan.of_kind("finetune"))
    evaluations = [plan.stages[key] for key in plan.of_kind("evaluate")]
    scores = [plan.stages[key] for key in plan.of_kind("score")]
    said: Any = {"steps": 40, "values": {"loss": 2.314}}
    watch.event("progress", tuned, {"step": 1, **said})
    clock.now += 12
    watch.event("progress", tuned, {"step": 31, **said})
    watch.event("done", tuned, {"seconds": 16.0})
    watch.event("done", evaluations[0], {"seconds": 60.0})
    watch.event("done", scores[0], {"seconds": 40.0})
    watch.line()
    first, under_way, last = capsys.readouterr().err.splitlines()
    assert first == "To compute: 1 fine-tune, 2 evaluate, 2 score"
    # 30 steps of 4 items in 12 seconds; of the kinds that are left none was measured
    assert under_way.endswith("step 31/40 loss 2.314, 10 items/s")
    assert "left" not in under_way
    assert last.startswith("[   12 s, about 2 min left] fine-tune 1/1  evaluate 1/2  score 1/2")


def test_a_step_is_described_as_far_as_it_is_known() -> None:
    assert describe({"step": 1, "steps": 9, "values": {}}) == "step 1/9"
    assert describe({"step": 1, "steps": 9, "values": {"loss": 1.0}}, 1234.2) == (
        "step 1/9 loss 1.000, 1234 items/s"
    )

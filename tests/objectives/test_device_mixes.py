"""Every objective on a device that is none: nothing of it stays behind on the CPU."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xbench.catalogue.catalogue import Catalogue
from xbench.engine import job
from xbench.engine.todo import find_work
from xbench.plan import Stage, build_plan
from xbench.spec.methods import find_method
from xbench.spec.resolve import resolve
from xbench.stages.resources import Resources
from xbench.store import Store

from ..command import request
from ..pretend_device import pretending

HERE = Catalogue.installed()
OPTIONS = {"align.steps": 2, "finetune.steps": 2, "align.accumulate": 2}
QUEUES = {"xlco": {"objective.xlco.queue": 64}}  # filled before training: thousands by default
NAMES = sorted(HERE.discovery.table.names("objectives"))


@pytest.fixture(autouse=True)
def nothing_asks_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "peak_memory", lambda device: 0)
    monkeypatch.setattr(Resources, "describe", lambda self, entry, stage: None)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_trained_and_evaluated_elsewhere(name: str, tmp_path: Path) -> None:
    phase = "during" if tuple(find_method(name, HERE).phases) == ("during",) else "before"
    asked = request(
        objective=[name],
        arm=["aligned"],
        mode=["full"],
        phase=[phase],
        language=["qac"],
        options=OPTIONS | QUEUES.get(name, {}),
    )
    spec = resolve(asked, HERE)
    assert isinstance(spec.objective, dict)
    last = {n: dict(list(variants.items())[-1:]) for n, variants in spec.objective.items()}
    plan = build_plan(spec.model_copy(update={"objective": last}), HERE, offline=True)
    stages = {key: elsewhere(stage) for key, stage in plan.stages.items()}
    store = Store(tmp_path / "store")
    store.prepare()
    failures: list[str] = []

    def report(event: str, stage: Stage, details: Mapping[str, Any]) -> None:
        if event == "failed":
            failures.append(f"{stage.kind}: {details['traceback']}")

    with pretending():
        resources = Resources(store, HERE)
        for part in find_work(plan, store).jobs:
            job.JobRunner(stages, resources, report, keep=False).run(part.stages)
    assert failures == []
    assert all(store.state(s.kind, key) == "done" for key, s in stages.items())


def elsewhere(stage: Stage) -> Stage:
    """The stage as it would be planned for a GPU."""
    return replace(stage, places=replace(stage.places, device="cuda"))

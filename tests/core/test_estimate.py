"""Estimates: disk by hand, time as a line through what was measured, unknown where nothing was."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from xbench.catalogue.identity import Component
from xbench.catalogue.settings import AlignSettings, FinetuneSettings
from xbench.engine.cost import group_of, measured
from xbench.engine.estimate import estimate, weights_bytes
from xbench.engine.todo import Job, Work
from xbench.plan import Plan, Stage
from xbench.plan.kinds.pairs import AlignPlaces, AlignSpec, AlignStage, PairPlace
from xbench.plan.kinds.task import FinetuneSpec, FinetuneStage, TaskPlaces
from xbench.plan.records import DataId, DataPlace, EncoderId, TaskId
from xbench.plan.stage import Machine
from xbench.store import Store

WEIGHTS = 10 * 30 * 4 + 8 * 4  # bytes in float32


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    half = {"a": np.zeros((10, 30), np.float16), "b": np.zeros(8, np.float16)}
    save_file(half, folder / "model.safetensors")
    return folder


DATA = DataId(split="train")
PLACE = DataPlace("somewhere", {}, None, None, ("deu",))


def machine(model: Path) -> Machine:
    return {"model_folder": str(model), "model_digest": "d", "device": "cpu"}


def align(model: Path, steps: int = 100, seed: int = 1, batch_size: int = 8) -> AlignStage:
    spec = AlignSpec(
        arm="aligned",
        corpus=DATA,
        model={},
        objective=Component(name="x"),
        settings=AlignSettings(steps, batch_size=batch_size),
        seed=seed,
    )
    places = AlignPlaces(**machine(model), text=PairPlace(PLACE), checkpoints=(50, 100))
    return AlignStage(spec, places)


def finetune(model: Path, mode: Any = "full", seed: int = 1, **settings: Any) -> FinetuneStage:
    spec = FinetuneSpec(
        encoder=EncoderId(base={}),
        task=TaskId(name="pos", level="token", labels=("X",)),
        data=DATA,
        mode=mode,
        settings=FinetuneSettings(**{"epochs": 3, **settings}),
        seed=seed,
    )
    return FinetuneStage(spec, TaskPlaces(**machine(model), task="pos", data=PLACE))


def plan_of(*stages: Stage) -> tuple[Plan, Work]:
    plan = Plan(None)  # type: ignore[arg-type]
    keys = [plan.add(stage) for stage in stages]
    return plan, Work(set(keys), [Job([key]) for key in keys])


def note(store: Store, stage: Stage, seconds: float, result: dict[str, int] | None = None) -> None:
    folder = store.root / stage.kind / stage.key
    folder.mkdir(parents=True)
    noted = measured(stage, {}, result or {}, seconds, 1000)
    (folder / "status.json").write_text(json.dumps({"state": "done", "measured": noted}))


def test_weights_are_counted_in_float32(model: Path) -> None:
    assert weights_bytes(model) == WEIGHTS


def test_disk_by_hand(model: Path, tmp_path: Path) -> None:
    stages = [align(model), align(model, seed=2), *(finetune(model, seed=s) for s in (1, 2, 3))]
    plan, work = plan_of(*stages)
    store = Store(tmp_path / "store")
    states = 2 * 3 * WEIGHTS  # two workers, each with weights and two moments
    by_default = estimate(plan, work, [store], jobs=2)
    assert by_default.disk_kept == 4 * WEIGHTS
    assert by_default.disk_peak == (4 + 2) * WEIGHTS + states
    everything = estimate(plan, work, [store], jobs=2, keep="all")
    assert everything.disk_kept == (4 + 3) * WEIGHTS
    assert estimate(plan, work, [store], jobs=2, keep="none").disk_kept == 0


def test_a_missing_model_leaves_the_disk_unknown(tmp_path: Path) -> None:
    plan, work = plan_of(align(tmp_path / "nowhere"))
    guess = estimate(plan, work, [Store(tmp_path / "store")], jobs=1)
    assert (guess.disk_peak, guess.disk_kept, guess.seconds) == (None, None, None)
    assert guess.unmeasured == ["align x"]


def test_time_is_a_line_through_what_was_measured(model: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    note(store, align(model, steps=5, seed=7), 3.0 + 5 * 0.2)
    note(store, align(model, steps=25, seed=7), 3.0 + 25 * 0.2)
    plan, work = plan_of(align(model), align(model, seed=2))
    guess = estimate(plan, work, [store], jobs=2)
    assert guess.seconds == pytest.approx(2 * (3.0 + 100 * 0.2) / 2)
    assert (guess.measured, guess.memory, guess.unmeasured) == (2, 1000, [])


def test_one_length_gives_a_rate(model: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    note(store, align(model, steps=10, seed=7), 4.0)
    plan, work = plan_of(align(model))
    assert estimate(plan, work, [store], jobs=1).seconds == pytest.approx(40.0)


def test_epochs_are_steps_once_the_data_was_seen(model: Path) -> None:
    assert finetune(model).units(100) == 3 * 7
    assert finetune(model, max_train=32).units(100) == 3 * 2
    assert finetune(model, steps=11).units(100) == 11


def test_another_model_device_or_batch_is_another_group(model: Path) -> None:
    base = group_of(align(model), {})
    other = align(model)
    change: dict[str, Any]
    for change in ({"model_digest": "e"}, {"device": "cuda:0"}):
        moved = replace(other, places=replace(other.places, **change))
        assert group_of(moved, {}) != base
    assert group_of(align(model, batch_size=9), {}) != base
    assert group_of(align(model, steps=7, seed=9), {}) == base


def test_damaged_notes_are_passed_over(model: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for name, text in (("a", "{"), ("b", "[]"), ("c", '{"measured": null}')):
        folder = store.root / "align" / name
        folder.mkdir(parents=True)
        (folder / "status.json").write_text(text)
    plan, work = plan_of(align(model))
    assert estimate(plan, work, [store], jobs=1).seconds is None

"""Two processes that share each batch of an alignment train what one process trains."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from xbench.catalogue.catalogue import Catalogue
from xbench.plan import Stage
from xbench.stages import align
from xbench.stages.resources import Resources
from xbench.store import Store

from ..command import plan_of, request
from ..command import with_new_workers as xbench

# Terms in the batch, of words, of masked tokens, with a frozen copy, and with weights of their own.
OBJECTIVES = ["hictl:S1W1M1", "sbert_distill", "labse_ams"]
STEPS = {"align.steps": 6, "align.accumulate": 4, "align.batch_size": 12, "align.clip": 0.5}


def stage_of(objective: str) -> Stage:
    plan = plan_of(request(objective=[objective], arm=["aligned"], options=STEPS))
    (key,) = plan.of_kind("align")
    return plan.stages[key]


def aligned(stage: Stage, store: Store, ranks: int) -> Path:
    torch.set_num_threads(1)
    store.prepare()
    resources = Resources(store, Catalogue.installed(), ranks=ranks)
    with store.write(stage.kind, stage.key, stage.spec) as entry:
        align.run(stage, resources, entry)  # type: ignore[arg-type]
    return store.folder(stage.kind, stage.key)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_two_processes_train_what_one_trains(objective: str, tmp_path: Path) -> None:
    stage = stage_of(objective)
    alone = aligned(stage, Store(tmp_path / "alone"), ranks=1)
    together = aligned(stage, Store(tmp_path / "together"), ranks=2)
    one, two = (load_file(folder / "step-6" / "model.safetensors") for folder in (alone, together))
    before = load_file(Path(stage.places.model_folder) / "model.safetensors")
    moved = [name for name in one if name in before and not torch.equal(one[name], before[name])]
    assert len(moved) > 10
    for name, value in one.items():
        if name.endswith("key.bias"):  # softmax does not depend on it: its gradient is rounding
            continue
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6)
    curves = [json.loads((f / "result.json").read_text())["curve"] for f in (alone, together)]
    for mine, other in zip(*curves, strict=True):
        assert mine == pytest.approx(other, rel=1e-5)


def test_a_team_saves_and_resumes(tmp_path: Path) -> None:
    stage = stage_of("hictl:S1W0M0")
    whole = aligned(stage, Store(tmp_path / "whole"), ranks=2)
    store = Store(tmp_path / "store")
    store.prepare()
    resources = Resources(store, Catalogue.installed(), state_interval=0.0, ranks=2)

    def stop(step: int, steps: int, values: Any) -> None:
        if step == steps:
            raise KeyboardInterrupt

    resources.progress = stop
    with (
        pytest.raises(KeyboardInterrupt),
        store.write(stage.kind, stage.key, stage.spec) as entry,
    ):
        align.run(stage, resources, entry)  # type: ignore[arg-type]
    (note,) = store.root.glob("work/*/state.json")
    assert json.loads(note.read_text())["step"] == 5
    resumed = aligned(stage, store, ranks=2)
    name = "step-6/model.safetensors"
    assert (resumed / name).read_bytes() == (whole / name).read_bytes()


def test_a_batch_that_cannot_be_shared_is_said_before_any_work(tmp_path: Path) -> None:
    done = xbench("run", "--objective", "hictl", "--ranks", "2", "--store", tmp_path)
    assert done.code == 2
    assert "-O align.accumulate=2" in done.err


def test_a_team_in_a_run(tmp_path: Path) -> None:
    small = ["--objective", "hictl:S1W0M0", "--task", "pos", "--arm", "aligned", "--mode", "linear"]
    small += ["--seed", "15", "--language", "qaa", "-O", "align.steps=3", "--max-train", "24"]
    small += ["-O", "align.accumulate=2", "--ranks", "2", "--no-report"]
    done = xbench("run", *small, "--store", tmp_path / "store")
    assert done.code == 0, done.err


DRAWS = '''
import torch
from torch import nn
from xbench.api import Objective, Term


class Draws(Objective):
    """Draws from torch itself: dropout of its own, and noise."""

    def setup(self, encoder):
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(encoder.config.hidden_size, 8))

    def terms(self, batch):
        source, target = self.head(batch.source.pooled()), self.head(batch.target.pooled())
        noise = torch.rand(len(source), 8, device=source.device)
        return {"draws": Term(((source - target + noise) ** 2).sum(), len(source))}
'''


def test_an_objective_draws_as_in_one_process(install: Callable[..., Path], tmp_path: Path) -> None:
    install("draws", {"objectives": {"draws": "drawing:Draws"}}, {"drawing.py": DRAWS})
    stage = stage_of("draws")
    alone = aligned(stage, Store(tmp_path / "alone"), ranks=1)
    together = aligned(stage, Store(tmp_path / "together"), ranks=2)
    curves = [json.loads((f / "result.json").read_text())["curve"] for f in (alone, together)]
    for mine, other in zip(*curves, strict=True):
        assert mine == pytest.approx(other, rel=1e-5)

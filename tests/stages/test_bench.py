"""The surroundings of stages: a model that was planned is the model that is loaded."""

import importlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from xbench.errors import XbenchError
from xbench.nn.encoders.encoder import Encoder
from xbench.store import Entry

from ..toys import World, model_folder


def test_a_model_that_changed_after_planning_is_refused(
    new_world: Callable[..., World], tmp_path: Path
) -> None:
    world = new_world(model_folder(tmp_path / "model"))
    stage = world.stage("align")
    world.resources().tokenizer(stage)
    encoder = Encoder.from_folder(world.model)
    Encoder.random(encoder.config, seed=2).save(world.model)
    with pytest.raises(XbenchError, match="has changed since this run was planned"):
        world.resources().tokenizer(stage)


def test_the_versions_of_what_results_pass_through_are_recorded(
    world: World, tmp_path: Path
) -> None:
    world.resources().describe(Entry(tmp_path), world.stage("finetune", arm=("none",)))
    found = json.loads((tmp_path / "env.json").read_text())
    for name in ("transformers", "tokenizers", "safetensors", "numpy"):
        assert found[name] == importlib.import_module(name).__version__
    assert found["torch"] == torch.__version__

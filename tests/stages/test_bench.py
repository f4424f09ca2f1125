"""The surroundings of stages: a model that was planned is the model that is loaded."""

from collections.abc import Callable
from pathlib import Path

import pytest

from xbench.errors import XbenchError
from xbench.nn.encoder import Encoder

from ..toys import World, model_folder


def test_a_model_that_changed_after_planning_is_refused(
    new_world: Callable[..., World], tmp_path: Path
) -> None:
    world = new_world(model_folder(tmp_path / "model"))
    stage = world.stage("align")
    world.bench().tokenizer(stage)
    encoder = Encoder.from_folder(world.model)
    Encoder.random(encoder.config, seed=2).save(world.model)
    with pytest.raises(XbenchError, match="has changed since this run was planned"):
        world.bench().tokenizer(stage)

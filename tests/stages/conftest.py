"""The toy world of every stage's tests."""

from pathlib import Path

import pytest
import torch

from xbench.store import Store

from ..toys import World, model_folder


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("toy-model"))


@pytest.fixture
def world(toy_model: Path, tmp_path: Path) -> World:
    store = Store(tmp_path / "store")
    store.prepare()
    return World(toy_model, store)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Bitwise equality is promised for a fixed number of threads."""
    torch.set_num_threads(1)

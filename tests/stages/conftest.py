"""The toy world of every stage's tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from xbench.nn.optimise import Optimiser
from xbench.store import Store

from ..toys import World, model_folder


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("toy-model"))


@pytest.fixture(scope="session")
def calm_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same without dropout."""
    folder = tmp_path_factory.mktemp("calm-model")
    return model_folder(folder, hidden_dropout=0.0, attention_dropout=0.0)


@pytest.fixture
def new_world(toy_model: Path, tmp_path: Path) -> Callable[..., World]:
    """Makes worlds, each with a store of its own."""
    made: list[World] = []

    def make(model: Path = toy_model, **fields: object) -> World:
        store = Store(tmp_path / f"store-{len(made)}")
        store.prepare()
        made.append(World(model, store, **fields))  # type: ignore[arg-type]
        return made[-1]

    return make


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    return new_world()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Bitwise equality is promised for a fixed number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Interruption(BaseException):
    """As a kill would: nothing below may catch it."""


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], None]:
    """``interrupted(step, work)``: do the work, and be killed in that step, before its update."""

    def run(step: int, work: Callable[[], object]) -> None:
        update = Optimiser.step

        def killed(self: Optimiser, now: int) -> None:
            if now == step:
                raise Interruption
            update(self, now)

        with monkeypatch.context() as patch:
            patch.setattr(Optimiser, "step", killed)
            with pytest.raises(Interruption):
                work()

    return run

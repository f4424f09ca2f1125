"""Saving and restoring a training in progress; watching its numbers."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from xbench.nn.optimise import Optimiser, ParameterGroup, Schedule
from xbench.nn.training_state import NOTE, Losses, TrainingState, check_weights


class Counting(nn.Module):
    """A layer and a buffer that the optimiser does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.register_buffer("seen", torch.zeros(2))


class Training:
    """Two modules, an optimiser and their state in a folder."""

    def __init__(self, folder: Path, seed: int, interval: float = 0.0) -> None:
        torch.manual_seed(seed)
        self.modules = {"model": Counting(), "model 2": nn.Linear(2, 1)}
        parameters = [p for module in self.modules.values() for p in module.parameters()]
        self.optimiser = Optimiser([ParameterGroup(tuple(parameters), 0.1, 2)], Schedule(9))
        self.state = TrainingState(folder, self.modules, self.optimiser, interval)

    def step(self, step: int) -> None:
        model = self.modules["model"]
        model.seen += step
        loss = self.modules["model 2"](model.layer(torch.ones(3))).square().sum()
        self.optimiser.backward(loss)
        self.optimiser.step(step)
        self.state.maybe_save(step + 1, {"curve": [{"step": step, "loss": 0.1 + 0.2}]})

    def tensors(self) -> dict[str, Tensor]:
        named = {
            f"{name}/{key}": value.clone()
            for name, module in self.modules.items()
            for key, value in module.state_dict().items()
        }
        return named | {name: value.clone() for name, value in self.optimiser.tensors().items()}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


@pytest.fixture
def saved(tmp_path: Path) -> Training:
    training = Training(tmp_path, seed=0)
    for step in range(4):
        training.step(step)
    return training


def test_everything_comes_back(saved: Training, tmp_path: Path) -> None:
    other = Training(tmp_path, seed=1)
    assert not same(other.tensors(), saved.tensors())
    assert other.state.restore() == (4, {"curve": [{"step": 3, "loss": 0.1 + 0.2}]})
    assert same(other.tensors(), saved.tensors())
    assert other.modules["model"].seen.tolist() == [6.0, 6.0]
    saved.step(4)
    other.step(4)
    assert same(other.tensors(), saved.tensors())


def test_a_state_of_other_tensors_is_none(saved: Training, tmp_path: Path) -> None:
    """Another version may have trained more of a matrix: the training starts over."""
    for change in ("shape", "name"):
        other = Training(tmp_path, seed=1)
        if change == "shape":
            other.modules["model"].seen = torch.zeros(5)
        else:
            other.modules["model"].register_buffer("more", torch.zeros(1))
        before = other.tensors()
        assert other.state.restore() == (0, {})
        assert same(other.tensors(), before)


def test_only_the_latest_state_takes_up_room(saved: Training, tmp_path: Path) -> None:
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "state-4.safetensors",
        NOTE,
    ]


def test_what_an_interruption_left_half_written_goes_with_the_next_state(
    saved: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*paths: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("xbench.nn.training_state.os.replace", stop)
        with pytest.raises(KeyboardInterrupt):
            saved.step(4)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    other = Training(tmp_path, seed=1)
    assert other.state.restore()[0] == 4
    other.step(4)
    assert [path.name for path in tmp_path.glob("*.safetensors")] == ["state-5.safetensors"]


def test_nothing_is_saved_before_the_interval_is_over(tmp_path: Path) -> None:
    Training(tmp_path / "new", seed=0, interval=3600).step(0)
    assert not (tmp_path / "new").exists()


def test_without_a_state_training_begins_at_the_start(tmp_path: Path) -> None:
    assert Training(tmp_path, seed=0).state.restore() == (0, {})


def cut_short(folder: Path) -> None:
    path = folder / "state-4.safetensors"
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(folder: Path) -> None:
    path = folder / "state-4.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))


def lose_the_tensors(folder: Path) -> None:
    (folder / "state-4.safetensors").unlink()


def lose_the_note(folder: Path) -> None:
    (folder / NOTE).unlink()


def cut_the_note(folder: Path) -> None:
    (folder / NOTE).write_text((folder / NOTE).read_text()[:20])


def strange_note(folder: Path) -> None:
    (folder / NOTE).write_text('["step"]')


def note_without_digest(folder: Path) -> None:
    note = json.loads((folder / NOTE).read_text())
    del note["sha256"]
    (folder / NOTE).write_text(json.dumps(note))


@pytest.mark.parametrize(
    "damage",
    [
        cut_short,
        flip_a_bit,
        lose_the_tensors,
        lose_the_note,
        cut_the_note,
        strange_note,
        note_without_digest,
    ],
)
def test_a_damaged_state_starts_over(saved: Training, tmp_path: Path, damage: object) -> None:
    damage(tmp_path)  # type: ignore[operator]
    other = Training(tmp_path, seed=1)
    before = other.tensors()
    assert other.state.restore() == (0, {})
    assert same(other.tensors(), before)
    other.step(0)
    assert Training(tmp_path, seed=2).state.restore()[0] == 1


def test_an_interruption_between_the_two_files_leaves_the_older_state(
    saved: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xbench.nn import training_state

    write, expected = training_state.write_atomic, saved.tensors()

    def only_tensors(path: Path, content: bytes) -> None:
        if path.name == NOTE:
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(training_state, "write_atomic", only_tensors)
    with pytest.raises(KeyboardInterrupt):
        saved.step(4)
    other = Training(tmp_path, seed=1)
    assert other.state.restore()[0] == 4
    assert same(other.tensors(), expected)


def test_a_state_whose_other_files_are_gone_is_not_used(saved: Training, tmp_path: Path) -> None:
    other = Training(tmp_path, seed=1)
    before = other.tensors()
    asked: list[int] = []
    assert other.state.restore(lambda step, notes: bool(asked.append(step))) == (0, {})
    assert asked == [4]
    assert same(other.tensors(), before)


def test_losses_are_looked_at_now_and_then() -> None:
    losses = Losses()
    shown = [losses.add(step, {"loss": torch.tensor(step / 2)}, step == 24) for step in range(25)]
    assert {step: value for step, value in enumerate(shown) if value is not None} == {
        0: {"loss": 0.0},
        10: {"loss": 5.0},
        20: {"loss": 10.0},
        24: {"loss": 12.0},
    }


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_a_loss_that_is_not_finite_is_named_with_its_own_step(value: float) -> None:
    losses = Losses()
    for step in range(10):
        bad = torch.tensor(value if step >= 4 else 1.0)
        losses.add(step, {"loss": bad, "word": bad, "mlm": torch.tensor(1.0)}, last=False)
    with pytest.raises(FloatingPointError, match=r"'loss' is -?(nan|inf) at step 4"):
        losses.add(10, {"loss": torch.tensor(1.0)}, last=False)


def test_weights_that_are_not_finite_are_named() -> None:
    module = Counting()
    check_weights(module, 3)
    module.layer.bias.data[1] = torch.nan
    with pytest.raises(FloatingPointError, match=r"layer.bias are not finite after step 3"):
        check_weights(module, 3)

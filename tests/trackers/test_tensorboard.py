"""The TensorBoard tracker: what it writes, when it does nothing, and what it says where it cannot."""

import builtins
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from xbench_plugins.trackers import tensorboard
from xbench_plugins.trackers.tensorboard import PLACE, Tracker, folder_of

from ..command import QUICK_OPTIONS, SMALL_OPTIONS
from ..command import with_workers as xbench


def stage(key: str = "0123456789", label: str = "hictl:S1W0M1 qaa-qac") -> Any:
    return SimpleNamespace(kind="align", key=key, label=label)


class Writer:
    """Remembers what it was told."""

    made: list["Writer"] = []

    def __init__(self, folder: str) -> None:
        self.folder, self.told, self.closed = Path(folder), [], False
        self.made.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        assert not self.closed
        self.told.append((name, value, step))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> list[Writer]:
    monkeypatch.setattr(Writer, "made", [])
    monkeypatch.setattr(tensorboard, "_summary_writer", lambda: Writer)
    return Writer.made


def test_a_curve_for_each_loss_of_each_stage(
    writers: list[Writer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PLACE, str(tmp_path))
    tracker, one, other = Tracker(), stage("a" * 64), stage("b" * 64)
    tracker.xbench_run_started()
    tracker.xbench_stage_progress(one, 1, {"loss": 2.0, "mlm": 1.5})
    tracker.xbench_stage_progress(other, 1, {"loss": 7.0})
    tracker.xbench_stage_progress(one, 2, {"loss": 1.0})
    first, second = writers
    assert first.told == [("loss/loss", 2.0, 1), ("loss/mlm", 1.5, 1), ("loss/loss", 1.0, 2)]
    assert second.told == [("loss/loss", 7.0, 1)]
    tracker.xbench_stage_finished(one)
    assert first.closed
    assert not second.closed
    tracker.xbench_run_finished()  # the other stage has failed
    assert second.closed


def test_a_stage_that_goes_on_has_the_same_folder(tmp_path: Path) -> None:
    assert folder_of(stage(), tmp_path) == tmp_path / "align" / "hictl-S1W0M1-qaa-qac-01234567"
    assert folder_of(stage("other"), tmp_path) != folder_of(stage(), tmp_path)
    assert folder_of(stage(label="../a b/c"), tmp_path).parent == tmp_path / "align"


def test_nothing_is_written_unasked(writers: list[Writer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PLACE, raising=False)
    tracker = Tracker()
    tracker.xbench_run_started()
    tracker.xbench_stage_progress(stage(), 1, {"loss": 2.0})
    tracker.xbench_stage_finished(stage())
    tracker.xbench_run_finished()
    assert writers == []


def test_importing_it_loads_neither_torch_nor_tensorboard() -> None:
    code = (
        "import sys, xbench_plugins.trackers.tensorboard;"
        "print([n for n in ('torch', 'tensorboard') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "torch.utils.tensorboard":
            raise ImportError("No module named 'tensorboard'")
        return before(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setenv(PLACE, str(tmp_path))
    with pytest.raises(ImportError, match=r"pip install 'xbench\[tensorboard\]'"):
        Tracker().xbench_run_started()


def test_a_run_is_tracked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    place, store = tmp_path / "curves", tmp_path / "store"
    monkeypatch.setenv(PLACE, str(place))
    outcome = xbench("run", *SMALL_OPTIONS, *QUICK_OPTIONS, "--store", store, "--jobs", "1")
    assert outcome.code == 0, outcome.err
    assert "Warning" not in outcome.err
    (folder,) = (place / "align").iterdir()
    found = reading.EventAccumulator(str(folder)).Reload()
    (result,) = store.glob("align/*/result.json")
    assert result.parent.name.startswith(folder.name[-8:])
    curve = json.loads(result.read_text())["curve"]
    assert set(found.Tags()["scalars"]) == {"loss/loss", "loss/sentence"}
    for name in ("loss", "sentence"):
        scalars = found.Scalars(f"loss/{name}")
        assert [s.value for s in scalars] == pytest.approx([point[name] for point in curve])
        assert [s.step for s in scalars] == [point["step"] + 1 for point in curve]
    assert {path.name for path in place.iterdir()} == {"align", "finetune"}

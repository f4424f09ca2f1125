"""Workers are spread over GPUs: each sees its own, whatever a scheduler calls it."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
import torch

from xbench.engine.launcher import LocalLauncher, WorkerSettings, default_settings
from xbench.engine.todo import find_work
from xbench.plan import Stage
from xbench.store import Store

from ..command import plan_of, request
from ..program import Worker


@pytest.mark.parametrize(
    ("there", "visible", "names"),
    [
        (0, None, ()),
        (4, None, ("0", "1", "2", "3")),
        (2, "2,5", ("2", "5")),
        (
            1,
            "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6",
            ("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6",),
        ),
        (0, "", ()),
    ],
)
def test_all_visible_gpus_are_used(
    there: int, visible: str | None, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    settings = default_settings("cuda", None)
    assert settings.gpus == names
    assert settings.jobs == max(1, len(names))
    assert default_settings("cuda", 6).jobs == 6
    one = default_settings("cuda:0", None)  # asked for by number: no other is touched
    assert (one.gpus, one.jobs) == ((), 1)


class _Hears:
    def event(self, event: str, stage: Stage, details: Mapping[str, Any]) -> None: ...

    def retry(self, stage: Stage, failure: Mapping[str, Any], attempt: int) -> bool:
        return False


def test_each_worker_sees_one(tmp_path: Path) -> None:
    seen: list[str] = []

    def start(command: list[str], **options: Any) -> Worker:
        seen.append(options["env"]["CUDA_VISIBLE_DEVICES"])
        return Worker(command, stderr=options["stderr"], env=options["env"])

    stand_in = SimpleNamespace(
        Popen=start, PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired
    )
    store = Store(tmp_path / "store")
    store.prepare()
    plan = plan_of(request(arm=["none"], seed=[1, 2, 3]))
    settings = WorkerSettings(jobs=3, gpus=("7", "GPU-a"))
    with patch("xbench.engine.launcher.subprocess", stand_in):
        lost = LocalLauncher(plan, store, settings, _Hears()).run(find_work(plan, store), tmp_path)
    assert not lost
    assert seen == ["7", "GPU-a", "7"]

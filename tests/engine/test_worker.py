import io
import os
import queue
import sys
from pathlib import Path

import pytest

from xbench.engine.worker import serve


class Gone(io.StringIO):
    """The pipe to a driver that has died."""

    def flush(self) -> None:
        raise BrokenPipeError


def test_a_worker_whose_driver_is_gone_ends_and_blames_no_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "_exit", sys.exit)
    settings = {"store": str(tmp_path), "state_interval": 60.0, "keep": False}
    with pytest.raises(SystemExit) as end:
        serve(settings, queue.Queue(), Gone())
    assert end.value.code == 0

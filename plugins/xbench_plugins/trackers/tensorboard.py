"""Losses of a run for TensorBoard, where the environment variable ``XBENCH_TENSORBOARD`` names a folder.

Needs ``pip install 'xbench[tensorboard]'``. Without the variable nothing is imported or written. Every
stage that trains has a folder of its own, named by its kind, what it is for, and the first digits of its
key: a training that is interrupted and resumed goes on in the same curve.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xbench.api import hookimpl

PLACE = "XBENCH_TENSORBOARD"


class Tracker:
    """One writer for each stage that is under way."""

    def __init__(self) -> None:
        self._writers: dict[str, Any] = {}

    @hookimpl
    def xbench_run_started(self) -> None:
        """Finds out at the start of a run, not in its middle, whether TensorBoard is there."""
        if os.environ.get(PLACE):
            _summary_writer()

    @hookimpl
    def xbench_stage_progress(self, stage: Any, step: int, values: Mapping[str, float]) -> None:
        """Each loss is a curve, ``loss/NAME``, over the steps of the stage."""
        place = os.environ.get(PLACE)
        if not place:
            return
        if stage.key not in self._writers:
            self._writers[stage.key] = _summary_writer()(str(folder_of(stage, Path(place))))
        for name, value in values.items():
            self._writers[stage.key].add_scalar(f"loss/{name}", value, step)

    @hookimpl
    def xbench_stage_finished(self, stage: Any) -> None:
        """Close the stage's file."""
        writer = self._writers.pop(stage.key, None)
        if writer is not None:
            writer.close()

    @hookimpl
    def xbench_run_finished(self) -> None:
        """Close what failed stages have left open."""
        while self._writers:
            self._writers.popitem()[1].close()


def folder_of(stage: Any, place: Path) -> Path:
    """``PLACE/align/hictl-S1W0M1-qaa-qac-3f0c9a12``."""
    label = re.sub(r"[^\w.@]+", "-", str(stage.label)).strip("-")
    return place / str(stage.kind) / f"{label}-{stage.key[:8]}"


def _summary_writer() -> Any:
    """The class that writes; raises ``ImportError`` saying what to install."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            f"{PLACE} is set and TensorBoard is not installed: pip install 'xbench[tensorboard]', "
            f"or unset {PLACE} ({error})"
        ) from error
    return SummaryWriter


tracker = Tracker()

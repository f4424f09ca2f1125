"""A few steps of each kind of stage, measured in a store of their own that is then thrown away."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from xbench.errors import XbenchError
from xbench.spec.request import ResolvedSpec
from xbench.store import Store

# Two lengths, to tell what a stage takes to begin from what a step takes.
STEPS = (5, 25)
ITEMS = (32, 128)


@contextmanager
def calibration(spec: ResolvedSpec, jobs: int, wanted: bool) -> Iterator[list[Store]]:
    """The store of a small run of the same kind as ``spec``, or nothing where it is not wanted."""
    if not wanted:
        yield []
        return
    with tempfile.TemporaryDirectory(prefix="xbench-calibration-") as folder:
        store = Path(folder) / "store"
        for steps, items in zip(STEPS, ITEMS, strict=True):
            path = Path(folder) / f"spec-{steps}.yaml"
            path.write_text(small(spec, steps, items).to_yaml(), encoding="utf-8")
            command = [sys.executable, "-m", "xbench", "run", str(path), "--store", str(store)]
            click.echo(f"Measuring {steps} steps of each kind of stage ...", err=True)
            _run([*command, "--jobs", str(jobs), "--no-report"])
        yield [Store(store)]


def _run(command: list[str]) -> None:
    """Run it, and pass on the lines that say how far it is."""
    said = []
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                said.append(line)
                if line.startswith(("[", "To compute")):
                    click.echo(f"  {line.rstrip()}", err=True)
        except BaseException:
            process.terminate()  # Ctrl-C: workers end with it
            raise
    if process.returncode != 0:
        raise XbenchError(f"The measurement failed:\n{''.join(said).strip()[-2000:]}")


def small(spec: ResolvedSpec, steps: int, items: int) -> ResolvedSpec:
    """One variant of each objective, one pair, seed and language, and few steps of it all."""
    objective = {name: dict(list(configs.items())[:1]) for name, configs in spec.objective.items()}
    finetune = {
        task: {mode: replace(settings, steps=steps) for mode, settings in modes.items()}
        for task, modes in spec.finetune.items()
    }
    changes = {
        "objective": objective,
        "align": replace(spec.align, steps=steps, checkpoints=(steps,)),
        "align_step": (steps,),
        "finetune": finetune,
        "evaluate": replace(spec.evaluate, max_items=items),
    }
    for axis in ("pair", "seed", "align_seed", "language"):
        changes[axis] = getattr(spec, axis)[:1]
    return spec.model_copy(update=changes)

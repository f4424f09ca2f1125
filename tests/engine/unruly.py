"""Objectives that misbehave, as a distribution of their own: installed as text, run in workers."""

from pathlib import Path

from ..command import fake_distribution

OBJECTIVES = '''
import os, signal, sys, time
import torch
from xbench.api import Objective, Term
from xbench.nn.training_state import TrainingState


class Pull(Objective):
    """Pulls the noisy vectors of translations together; keeps count of its alignments."""

    def setup(self, encoder):
        if "COUNT" in os.environ:
            with open(os.environ["COUNT"], "a") as file:
                file.write(f"{os.getpid()}\\n")

    def terms(self, batch):
        source, target = batch.source.pooled(), batch.target.pooled()
        noise = torch.rand(source.shape, generator=batch.generator)
        return {"pull": Term(((source - target) * noise).square().sum(), len(source))}


class Broken(Pull):
    """Raises in its second step, until it is repaired."""

    steps = 0

    def terms(self, batch):
        self.steps += 1
        if self.steps == 2 and "REPAIRED" not in os.environ:
            raise RuntimeError("the flux capacitor is empty")
        return super().terms(batch)


class Noisy(Pull):
    """Writes to stdout what looks like the engine's own messages, and reads its stdin."""

    def terms(self, batch):
        print("noise")
        print('{"event": "failed", "key": "nonsense", "error": "none"}', flush=True)
        os.write(1, b"raw noise without an end of line")
        os.system("echo noise of a child")
        assert sys.stdin.read() == ""
        return super().terms(batch)


def pausing(save):
    """Stop for good, once, after the training state of the step in PAUSE was saved, and say so."""
    kind, step, marker = os.environ["PAUSE"].split(":")

    def maybe_save(self, next_step, notes):
        save(self, next_step, notes)
        if kind == ("align" if "objective" in self._modules else "finetune"):
            if next_step == int(step) and not os.path.exists(marker):
                with open(marker + ".tmp", "w") as file:
                    file.write(str(os.getpid()))
                os.rename(marker + ".tmp", marker)
                time.sleep(600)

    return maybe_save


if "PAUSE" in os.environ:
    TrainingState.maybe_save = pausing(TrainingState.maybe_save)
'''
# Before a worker puts its stdout away, the interpreter may print as well.
STARTUP = """
import os
print('[1, 2]\\nhello')
if "PAUSE" in os.environ:
    import acme_unruly
"""
CLASSES = {"pull": "Pull", "broken": "Broken", "noisy": "Noisy"}


def install_unruly(folder: Path) -> Path:
    """The objectives ``pull``, ``broken`` and ``noisy`` in a folder for ``sys.path``."""
    targets = {name: f"acme_unruly:{cls}" for name, cls in CLASSES.items()}
    modules = {"acme_unruly.py": OBJECTIVES, "sitecustomize.py": STARTUP}
    return fake_distribution(folder, "acme", {"objectives": targets}, modules)

"""The probe of gradients beside the forward and backward passes that it cannot do without.

A language's gradients of a task are compared with those of an alignment objective, each in two of
four disjoint parts. The plain passes take the same losses of the same batches and keep nothing. Both
take turns, so that a machine whose speed drifts is fair to both. Prints milliseconds a pair of
batches (one of the task, one of the objective), the ratio, and memory at its highest. For Linux.
"""

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from xbench.catalogue.catalogue import Catalogue
from xbench.cli.session import open_session
from xbench.engine.job import JobRunner
from xbench.nn.memory import trim_memory
from xbench.nn.text_view import TextView
from xbench.spec.request import make_spec
from xbench.stages import finetune
from xbench.stages.align import total
from xbench.stages.probing.gradients import EncoderGradients
from xbench.stages.probing.probe_text import ProbedText
from xbench.stages.resources import Resources
from xbench.stages.training.features import features_of
from xbench.stages.training.objective import build_objective
from xbench.store import Store
from xbench_plugins.probes.gradients import GradientAgreement

ASKED: dict[str, Any] = {
    "objective": ["hictl:S1W0M0"],
    "task": ["pos"],
    "arm": ["aligned"],
    "mode": ["linear"],
    "seed": [15],
    "language": ["qaa"],
    "probe": ["gradients"],
    "device": "cpu",
}
QUICK = {"align.steps": 1, "finetune.steps": 1, "finetune.max_train": 64}
LANGUAGE = "qaa"


@dataclass
class OneLanguage:
    """As much of a view as the probe needs."""

    gradients: EncoderGradients
    source: str = LANGUAGE
    languages: tuple[str, ...] = (LANGUAGE,)


def prepare(model: str | None, folder: Path, options: dict[str, int]) -> EncoderGradients:
    """Gradients with respect to an encoder that was aligned and had a head fitted, for one step each."""
    asked = ASKED | {"options": QUICK | options} | ({"model": model} if model else {})
    store = Store(folder)
    session = open_session(make_spec(asked, "the benchmark"), store, offline=True)
    stages, resources = session.plan.stages, Resources(store, Catalogue.installed())
    runner = JobRunner(stages, resources, lambda *_: None, keep=False)
    runner.run([key for key, stage in stages.items() if stage.kind in ("align", "finetune")])
    stage = next(stage for stage in stages.values() if stage.kind == "probe")
    tuned = finetune.load(stages[stage.spec.head], resources)
    encoder = resources.encoder(stage).eval()
    return EncoderGradients(stage, resources, encoder, ProbedText(stage, resources), tuned)


def probe(gradients: EncoderGradients) -> None:
    """One language's gradients of the task against those of the objective."""
    config = GradientAgreement.Config(comparisons=("task_vs_objective",))
    if not list(GradientAgreement(config).measure(OneLanguage(gradients))):  # type: ignore[arg-type]
        raise SystemExit("nothing was measured")


def plain(gradients: EncoderGradients, parts: int = 4) -> None:
    """The same losses of the same batches, forward and backward."""
    encoder, tuned = gradients._encoder.requires_grad_(True), gradients._tuned
    asked = gradients._stage.spec.objective
    objective = build_objective(asked, gradients._resources.catalogue, encoder, 0).eval()
    examples, pairs = gradients._examples(LANGUAGE), gradients._pairs()
    assert tuned is not None
    for part in range(parts // 2):
        for rows in gradients._part(range(len(examples)), part, parts, "task"):
            found = examples.batch(rows, gradients._format.vocabulary.pad_id, "cpu")
            view = TextView(encoder, found.text, gradients._format, ("plain",))
            logits = tuned.head.eval()(features_of(view, found, examples.level, "mean"))
            torch.autograd.backward(F.cross_entropy(logits, found.labels))
    for part in range(parts // 2, parts):
        for number, batch in enumerate(gradients._part(pairs, part, parts, "objective")):
            loss, _ = total(objective, gradients._views(batch, part, number))
            torch.autograd.backward(loss)
    encoder.zero_grad(set_to_none=True)


def measured(run: Callable[[], None]) -> tuple[float, float]:
    """(seconds, megabytes at the highest beyond those held before)."""
    trim_memory()  # what was freed counts as held otherwise
    before = _megabytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    began = time.perf_counter()
    run()
    return time.perf_counter() - began, _megabytes("VmHWM") - before


def _megabytes(what: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(f"{what}:"))


def main() -> None:
    """Time both and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="A folder or a registry name (default: the embedded one).")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=32, help="Of all four parts of a gradient.")
    parser.add_argument("--batch-size", type=int, default=16)
    options = parser.parse_args()
    settings = {
        "probing.gradient_batches": options.batches,
        "probing.gradient_batch_size": options.batch_size,
    }
    with tempfile.TemporaryDirectory() as folder:
        gradients = prepare(options.model, Path(folder), settings)
        ways = {"probe": lambda: probe(gradients), "plain passes": lambda: plain(gradients)}
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for number in range(options.rounds + 1):
            for name, way in ways.items():
                one = measured(way)
                if number:  # the first is a warm-up
                    found[name].append(one)
        weights = sum(p.numel() * p.element_size() for p in gradients._encoder.parameters()) / 1e6
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"encoder of {weights:.0f} MB; batches of {options.batch_size}")
    pairs = options.batches // 4 * 2
    for name, both in found.items():
        seconds, memory = (statistics.median(values) for values in zip(*both, strict=True))
        print(f"{name:<13}{1000 * seconds / pairs:8.1f} ms a pair of batches{memory:8.0f} MB")
    rounds = zip(found["probe"], found["plain passes"], strict=True)
    print(f"probe / plain passes: {statistics.median(a / b for (a, _), (b, _) in rounds):.2f}")


if __name__ == "__main__":
    main()

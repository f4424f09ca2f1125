"""Memory of a worker by kind of stage: xbench beside a plain loop over transformers. For Linux.

Takes the options of ``xbench run`` (by default one alignment of the embedded suite, and fine-tuning
on it). Each side is a process of its own, which does the same on the same batches: HiCTL's five
encodings of a batch of pairs with its three kinds of loss, fine-tuning of the whole encoder for a
word-level task, and predictions for the test data. Prints MB: resident memory at its highest, and
what of it is the process' own (no mapped files) early in the training, late, and after the stage.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from xbench.catalogue.catalogue import Catalogue
from xbench.cli.options import spec_from, spec_options
from xbench.cli.session import Session, open_session
from xbench.nn.memory import keep_memory_flat
from xbench.store import Store

DEFAULT = {"objective": "hictl:S1W1M1", "arm": "aligned", "mode": "full", "seed": "15"}
TAKES = ("align", "finetune", "evaluate")


@dataclass
class Stretch:
    """What one stage took: its peak, and what the process held along the way."""

    kind: str
    peak: float = 0.0
    held: list[float] = field(default_factory=list)
    left: float = 0.0


class Meter:
    """Follows the memory of this process, stage by stage."""

    def __init__(self) -> None:
        self.stretches: list[Stretch] = []

    def start(self, kind: str) -> None:
        """A stage begins."""
        self.look_back()
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        self.stretches.append(Stretch(kind))

    def look(self) -> None:
        """Somewhere in a stage."""
        self.stretches[-1].held.append(_megabytes("RssAnon"))

    def step(self, step: int) -> None:
        """A step is done: a look at every tenth, as xbench reports them."""
        if step % 10 == 0:
            self.look()

    def stop(self) -> None:
        """A stage ends."""
        self.stretches[-1].peak = _megabytes("VmHWM")

    def look_back(self) -> None:
        """What the last stage left behind."""
        if self.stretches:
            self.stretches[-1].left = _megabytes("RssAnon")

    def rows(self) -> dict[str, dict[str, float]]:
        """By kind of stage: the highest of each number."""
        self.look_back()
        found: dict[str, dict[str, float]] = {}
        for kind in TAKES:
            own = [one for one in self.stretches if one.kind == kind]
            if own:
                found[kind] = {
                    "stages": len(own),
                    "peak": max(one.peak for one in own),
                    "early": max((one.held[0] for one in own if one.held), default=0.0),
                    "late": max((one.held[-1] for one in own if one.held), default=0.0),
                    "after": max(one.left for one in own),
                }
        return found


def _megabytes(name: str) -> float:
    """A line of the kernel's account of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    found = next(line for line in lines if line.startswith(f"{name}:"))
    return int(found.split()[1]) * 1024 / 1e6


def as_worker(session: Session, store: Store, meter: Meter) -> None:
    """Compute the jobs as a worker process does."""
    keep_memory_flat()
    import torch

    from xbench.engine.job import JobRunner
    from xbench.plan import Stage
    from xbench.stages.resources import Resources

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)

    def hear(event: str, stage: Stage, details: Mapping[str, Any]) -> None:
        if event == "started":
            meter.start(stage.kind)
        else:
            meter.stop()
        if event == "failed":
            raise RuntimeError(details["traceback"])

    resources = Resources(store, Catalogue.installed(), lambda step, steps, values: meter.look())
    for job in session.work.jobs:
        JobRunner(session.plan.stages, resources, hear, keep=False).run(job.stages)


def plainly(session: Session, store: Store, meter: Meter) -> None:
    """The same with transformers, as one would write it down."""
    import torch
    from transformers.utils import logging

    from xbench.stages.resources import Resources

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    resources, plan = Resources(store, Catalogue.installed()), session.plan
    for kind, compute in (("align", _align), ("finetune", _finetune)):
        for key in plan.of_kind(kind):
            meter.start(kind)
            model = compute(plan.stages[key], resources, meter)
            meter.stop()
            children = [plan.stages[k] for k in plan.of_kind("evaluate")]
            for child in (stage for stage in children if key in stage.parents):
                meter.start("evaluate")
                _predict(child, plan.stages[key], resources, model)
                meter.stop()
            del model


def _model(stage: Any, head: str) -> Any:
    import torch
    import transformers

    found = getattr(transformers, head).from_pretrained(
        stage.places.model_folder, local_files_only=True, dtype=torch.float32
    )
    return found.train()


def _updates(model: Any, rate: float) -> Callable[[Any], None]:
    import torch

    adam = torch.optim.AdamW(model.parameters(), lr=rate, fused=True)

    def update(loss: Any) -> None:
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        adam.zero_grad()

    return update


def _align(stage: Any, resources: Any, meter: Meter) -> Any:
    """Sentence contrast, words against the embeddings, and masked LM, on the stage's own pairs."""
    import torch
    import torch.nn.functional as F

    from xbench.stages.inputs.pairs import Corpus, PairInput, pair_table, pair_texts

    settings = stage.spec.settings
    text = PairInput(stage.spec, stage.places.text, settings, stage.spec.links is not None)
    tokenizer = resources.tokenizer(stage)
    corpus = Corpus(pair_table(text, stage, resources, tokenizer), text, stage.spec.seed)
    model = _model(stage, "AutoModelForMaskedLM")
    update = _updates(model, settings.learning_rate)
    pad_id, mask_id = tokenizer.vocabulary.pad_id, tokenizer.vocabulary.mask_id
    longest = resources.max_length(stage, 512)

    def pooled(ids: Any, depth: float) -> Any:
        there = ids != pad_id
        states = model.base_model(ids, there, output_hidden_states=True).hidden_states
        chosen = states[round(depth * (len(states) - 1))]
        return (chosen * there.unsqueeze(-1)).sum(1) / there.sum(1, keepdim=True)

    def masked(ids: Any) -> Any:
        chosen = (torch.rand(ids.shape) < settings.mlm_probability) & (ids != pad_id)
        shown = ids.masked_fill(chosen, mask_id)
        labels = ids.masked_fill(~chosen, -100)
        return model(shown, ids != pad_id, labels=labels).loss

    for step in range(settings.steps):
        texts = pair_texts(corpus.batch(step), tokenizer, longest)
        first, second = (F.normalize(pooled(t.ids, 2 / 3)) for t in (texts.source, texts.target))
        loss = F.cross_entropy(first @ second.T / 0.1, torch.arange(len(first)))
        queries = F.normalize(pooled(texts.joint.ids, 1.0))
        words = F.normalize(model.get_input_embeddings().weight)[texts.source.ids[:, 1]]
        loss = loss + F.cross_entropy(queries @ words.T / 0.1, torch.arange(len(first)))
        update(loss + masked(texts.source.ids) + masked(texts.target.ids))
        meter.step(step)
    return model


def _examples(stage: Any, parent: Any, resources: Any, split: str, most: int | None) -> Any:
    from xbench.stages.inputs.examples import load_examples

    limits = {"max_length": parent.spec.settings.max_length, "max_items": most}
    return load_examples(stage, resources, resources.tokenizer(stage), split, limits)


def _finetune(stage: Any, resources: Any, meter: Meter) -> Any:
    """Token classification on the stage's own examples."""
    import torch
    import torch.nn.functional as F

    settings = stage.spec.settings
    examples = _examples(stage, stage, resources, "train", settings.max_train)
    model = _model(stage, "AutoModel")
    model.tagger = torch.nn.Linear(model.config.hidden_size, len(stage.spec.task.labels))
    update = _updates(model, settings.encoder_learning_rate)
    pad_id, size = resources.tokenizer(stage).vocabulary.pad_id, settings.batch_size
    order = torch.randperm(len(examples)).tolist()
    starts = list(range(0, len(order), size))
    count = settings.steps or settings.epochs * len(starts)
    for step in range(count):
        start = starts[step % len(starts)]
        batch = examples.batch(order[start : start + size], pad_id, "cpu")
        states = model(batch.ids, batch.ids != pad_id).last_hidden_state
        scores = model.tagger(states[batch.owner, batch.places])
        update(F.cross_entropy(scores, batch.labels))
        meter.step(step)
    return model


def _predict(stage: Any, parent: Any, resources: Any, model: Any) -> None:
    import torch

    settings = stage.spec.settings
    examples = _examples(stage, parent, resources, settings.split, settings.max_items)
    pad_id, size = resources.tokenizer(stage).vocabulary.pad_id, settings.batch_size
    model.eval()
    with torch.no_grad():
        for start in range(0, len(examples), size):
            rows = range(start, min(start + size, len(examples)))
            batch = examples.batch(rows, pad_id, "cpu")
            states = model(batch.ids, batch.ids != pad_id).last_hidden_state
            model.tagger(states[batch.owner, batch.places]).argmax(-1)


SIDES = {"xbench": as_worker, "transformers": plainly}


@click.command(help=__doc__)
@spec_options
@click.option("--side", type=click.Choice(list(SIDES)), hidden=True)
def main(side: str | None, **values: Any) -> None:
    """Measure both sides and print, or one side in this process."""
    if side is not None:
        values = {**values, **{n: v for n, v in DEFAULT.items() if values.get(n) is None}}
        with tempfile.TemporaryDirectory(prefix="xbench-memory-") as folder:
            store, meter = Store(Path(folder) / "store"), Meter()
            store.prepare()
            SIDES[side](open_session(spec_from(values), store, offline=True), store, meter)
            click.echo(json.dumps(meter.rows()))
        return
    names = ("stages", "peak", "early", "late", "after")
    click.echo(f"{'':<14}{'':<10}" + "".join(f"{name:>8}" for name in names))
    for name in SIDES:
        command = [sys.executable, __file__, *sys.argv[1:], "--side", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        for kind, row in json.loads(done.stdout.splitlines()[-1]).items():
            numbers = "".join(f"{row[each]:>8.0f}" for each in names)
            click.echo(f"{name:<14}{kind:<10}{numbers}")


if __name__ == "__main__":
    main()

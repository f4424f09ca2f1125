"""Phase II: learn a task in the source language, with the whole encoder or a linear head only.

Writes ``head.safetensors`` and, in mode ``full``, the tuned encoder under ``encoder/``.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from xbench.api.merge import Merge
from xbench.catalogue.configs import make_component
from xbench.catalogue.settings import FinetuneSettings
from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.encoder_config import EncoderConfig, read_config
from xbench.nn.encoders.loading import AnyEncoder, load_encoder
from xbench.nn.encoders.vocabulary import TrimmedVocabulary
from xbench.nn.finite import check_logits
from xbench.nn.heads import Head
from xbench.nn.optimise import Optimiser, ParameterGroup, Schedule
from xbench.nn.random_streams import seed_dropout
from xbench.nn.text_view import TextView
from xbench.nn.training_state import Losses, TrainingState, check_weights
from xbench.plan.kinds.task import FinetuneStage
from xbench.stages.inputs.examples import Examples, load_examples
from xbench.stages.resources import Resources, text_format
from xbench.stages.training.features import all_features, features_of, transformed
from xbench.stages.training.joint import Joint
from xbench.stages.training.selection import BestStep, LastStep, evaluating
from xbench.stages.training.snapshots import Snapshots
from xbench.stages.training.stack import Stacks
from xbench.stages.training.tuning import FineTuning, Tuned
from xbench.store import Entry

INFERENCE_BATCH = 64
# rows, labels of the whole batch, step, chunk -> the loss, and what is noted beside it
LossOf = Callable[[list[int], int, int, int], tuple[Tensor, dict[str, Tensor]]]


def run(stage: FinetuneStage, resources: Resources, entry: Entry) -> Tuned:
    """Fine-tune; the model is written to the entry and also returned for the stages below."""
    work = prepare(stage, resources)
    if stage.spec.mode == "linear":
        tuned, notes = _linear(work)
    else:
        tuned, notes = _full(work)
        folder = entry.folder / "encoder"
        folder.mkdir()
        tuned.encoder.save(folder)
        resources.copy_tokenizer(stage, folder)
    save_file(dict(tuned.head.state_dict()), entry.folder / "head.safetensors")
    entry.result = {**notes, "examples": len(work.examples), "steps": work.steps}
    return tuned


def load(stage: FinetuneStage, resources: Resources) -> Tuned:
    """The model of a fine-tuning that is in the store, verified."""
    path = resources.store.file("finetune", stage.key, "head.safetensors")
    head = new_head(stage, stage.spec.settings, hidden_size=None, weights=load_file(path))
    if stage.spec.mode == "linear":
        return Tuned(stage, frozen_encoder(stage, resources), head)
    folder = resources.store.file("finetune", stage.key, "encoder/model.safetensors").parent
    encoder = load_encoder(folder).to(stage.places.device).eval()
    return Tuned(stage, encoder, head)


def frozen_encoder(stage: FinetuneStage, resources: Resources) -> AnyEncoder:
    """The encoder of a linear probe: loaded once per job, in evaluation mode, never updated."""
    folder = resources.encoder_folder(stage)
    encoder = resources.keep(("encoder", folder), lambda: resources.encoder(stage).eval())
    return encoder.requires_grad_(False)


def prepare(stage: FinetuneStage, resources: Resources) -> FineTuning:
    settings = stage.spec.settings
    tokenizer = resources.tokenizer(stage)
    limits = {"max_length": settings.max_length, "max_items": settings.max_train}
    examples = load_examples(stage, resources, tokenizer, "train", limits)
    return FineTuning(stage, resources, settings, examples, text_format(tokenizer))


def new_head(
    stage: FinetuneStage,
    settings: FinetuneSettings,
    hidden_size: int | None,
    weights: dict[str, Tensor] | None = None,
) -> Head:
    classes = len(stage.spec.task.labels)
    width = hidden_size if weights is None else weights["weight"].shape[1]
    assert width is not None
    head = Head(width, classes, settings.head_dropout, stage.spec.seed, stage.spec.task.name)
    if weights is not None:
        head.load_state_dict(weights)
    return head.to(stage.places.device)


def _full(work: FineTuning) -> tuple[Tuned, dict[str, Any]]:
    settings, stage = work.settings, work.stage
    companions = work.resources.companions(stage.key)
    if companions:
        config, _ = read_config(work.resources.encoder_folder(stage))
        if isinstance(config, EncoderConfig):
            return _stacked(work, companions, config.hidden_size)
    encoder = work.resources.encoder(stage).train()
    head = new_head(stage, settings, encoder.config.hidden_size).train()
    joint = Joint(work, encoder) if stage.spec.joint else None
    rate = settings.encoder_learning_rate
    vocabulary = trimmed(work, encoder)
    groups = [
        ParameterGroup(tuple(encoder.parameters()), rate, matrix_dims=encoder.matrix_dims),
        ParameterGroup(tuple(head.parameters()), settings.head_learning_rate, matrix_dims=2),
    ]
    if joint is not None:
        groups.append(ParameterGroup(tuple(joint.objective.parameters()), rate, matrix_dims=2))
    optimiser = _optimiser(work, groups)
    device = stage.places.device

    def loss_of(
        rows: list[int], labels: int, step: int, chunk: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        batch = work.examples.batch(rows, work.format.vocabulary.pad_id, device)
        stream = (work.seed, "finetune", step, chunk)
        view = TextView(encoder, batch.text, work.format, stream)
        pooling = settings.sentence_pooling
        vectors = features_of(view, batch, work.examples.level, pooling)
        seed_dropout(*stream, "head")
        loss = F.cross_entropy(head(vectors), batch.labels, reduction="sum") / labels
        if joint is None:
            return loss, {}
        beside, terms = joint.loss(rows, batch, view, head, step)
        terms.pop("loss")
        return loss + beside, {"task": loss.detach(), **terms}

    def dev_features(dev: Examples) -> list[Tensor]:
        pooling, precision = settings.sentence_pooling, settings.precision
        return all_features(encoder, dev, work.format, pooling, precision, INFERENCE_BATCH)

    modules = {"encoder": encoder, "head": head}
    notes = _train(work, modules, optimiser, loss_of, dev_features, joint)
    if vocabulary is not None:
        vocabulary.restore(optimiser.schedule.decay(rate, settings.weight_decay))
    return Tuned(stage, encoder.eval(), head.eval()), notes


def _stacked(
    work: FineTuning, companions: Sequence[FinetuneStage], hidden_size: int
) -> tuple[Tuned, dict[str, Any]]:
    """The fine-tuning as a part of a stack, which is trained when its first one is asked for."""
    stage, resources, settings = work.stage, work.resources, work.settings

    def works() -> list[tuple[FineTuning, Head]]:
        every = [work, *(prepare(other, resources) for other in companions[1:])]
        return [(one, new_head(one.stage, one.settings, hidden_size)) for one in every]

    stacks = resources.keep("stacks", Stacks)
    encoder, weights, notes = stacks.take(stage.key, works)
    head = new_head(stage, settings, None, weights)
    return Tuned(stage, encoder.eval(), head.eval()), notes


def trimmed(work: FineTuning, encoder: AnyEncoder) -> TrimmedVocabulary | None:
    """Only the word embeddings that the training text reads are trained, where that is the same.

    Not where other text is read or whole models are kept on the way, and not in float16, where a step
    may be left out, with its weight decay.
    """
    half = work.settings.precision == "fp16"
    if not work.stage.spec.is_plain or half or not isinstance(encoder, Encoder):
        return None
    return TrimmedVocabulary(encoder, torch.from_numpy(work.examples.table.distinct("ids")).long())


def _linear(work: FineTuning) -> tuple[Tuned, dict[str, Any]]:
    settings, stage = work.settings, work.stage
    encoder = frozen_encoder(stage, work.resources)
    vectors = source_features(work, encoder, work.examples)
    head = new_head(stage, settings, encoder.config.hidden_size).train()
    groups = [ParameterGroup(tuple(head.parameters()), settings.head_learning_rate, matrix_dims=2)]
    optimiser = _optimiser(work, groups)
    device = stage.places.device
    gold = [
        torch.from_numpy(work.examples.labels(row).astype("int64")) for row in range(len(vectors))
    ]

    def loss_of(
        rows: list[int], labels: int, step: int, chunk: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        seed_dropout(work.seed, "finetune", step, chunk, "head")
        logits = head(torch.cat([vectors[row] for row in rows]))
        wanted = torch.cat([gold[row] for row in rows]).to(device)
        return F.cross_entropy(logits, wanted, reduction="sum") / labels, {}

    def dev_features(dev: Examples) -> list[Tensor]:
        return source_features(work, encoder, dev, "dev")

    notes = _train(work, {"head": head}, optimiser, loss_of, dev_features)
    return Tuned(work.stage, encoder, head.eval()), notes


def source_features(
    work: FineTuning, encoder: AnyEncoder, examples: Examples, split: str = "train"
) -> list[Tensor]:
    """Features of the source language's data under the frozen encoder, computed once per job.

    With a transform that was fitted on this encoder, they are transformed.
    """
    settings = work.settings
    pooling, precision = settings.sentence_pooling, settings.precision

    def encode() -> list[Tensor]:
        found = all_features(encoder, examples, work.format, pooling, precision, INFERENCE_BATCH)
        transform = work.resources.transform(work.stage)
        return transformed(found, transform, work.stage.places.data.languages[0])

    fitted = work.stage.spec.transform
    data = (work.stage.places.task, split, settings.max_length, settings.max_train, fitted)
    name = ("features", work.resources.encoder_folder(work.stage), *data, pooling, precision)
    return work.resources.keep(name, encode)


def _optimiser(work: FineTuning, groups: Sequence[ParameterGroup]) -> Optimiser:
    settings = work.settings
    schedule = Schedule(work.steps, settings.schedule, settings.warmup)
    return Optimiser(groups, schedule, settings.weight_decay, settings.clip, settings.precision)


def _train(
    work: FineTuning,
    modules: dict[str, Any],
    optimiser: Optimiser,
    loss_of: LossOf,
    dev_features: Callable[[Examples], list[Tensor]],
    joint: Joint | None = None,
) -> dict[str, Any]:
    """The loop that both modes share; returns what is noted of it.

    ``loss_of(rows, labels, step, chunk)`` is a chunk's share of the loss; ``dev_features`` encodes
    the development split with the encoder as it is; ``joint`` acts beside the task's loss.
    """
    folder = work.resources.store.work_folder(work.stage.key)
    trained = {**modules, "objective": joint.objective} if joint else modules
    resources = work.resources
    state = TrainingState(folder, trained, optimiser, resources.state_interval, resources.leaving)
    keeper = _keeper(work, folder, modules, dev_features)
    start, notes = state.restore(keeper.usable)
    keeper.resume(notes)
    if joint is not None and start == 0:
        joint.prepare(optimiser)
    curve: list[dict[str, Any]] = notes.get("curve", [])
    losses = Losses()
    for step in range(start, work.steps):
        of_step = _update(work, optimiser, loss_of, step)
        if joint is not None:
            joint.objective.after_step(joint.encoder, step)
        values = losses.add(step, of_step, last=step == work.steps - 1)
        if values is not None:
            curve.append({"step": step, **values})
            work.resources.progress(step + 1, work.steps, values)
        kept = keeper.look(step + 1, last=step == work.steps - 1)
        state.maybe_save(step + 1, {"curve": curve, **kept})
    for module in modules.values():
        check_weights(module, work.steps - 1)
    return {"curve": curve, **keeper.finish()}


def _update(
    work: FineTuning, optimiser: Optimiser, loss_of: LossOf, step: int
) -> dict[str, Tensor]:
    """One update of the weights; returns its losses, the whole one last.

    Where that is not finite, the term that spoilt it is then named first.
    """
    rows = work.rows(step)
    labels = sum(len(work.examples.labels(row)) for row in rows)
    parts: list[Tensor] = []
    beside: dict[str, Tensor] = {}
    for chunk in range(min(work.settings.accumulate, len(rows))):
        with optimiser.autocast():
            loss, beside = loss_of(rows[chunk :: work.settings.accumulate], labels, step, chunk)
        optimiser.backward(loss)
        parts.append(loss.detach())
    optimiser.step(step)
    return {**beside, "loss": torch.stack(parts).sum()}


def _keeper(
    work: FineTuning,
    folder: Path,
    modules: dict[str, Any],
    dev_features: Callable[[Examples], list[Tensor]],
) -> Snapshots | BestStep | LastStep:
    """What decides on the weights that are left: a merge, the development split, or nothing."""
    asked = work.stage.spec.merge
    if asked is not None:
        merge: Merge = make_component("objectives", asked, work.resources.catalogue)
        return Snapshots(folder, modules, merge, work.steps)
    if work.settings.selection == "last":
        return LastStep()
    return _selection(work, folder, modules, dev_features)


def _selection(
    work: FineTuning,
    folder: Path,
    modules: dict[str, Any],
    dev_features: Callable[[Examples], list[Tensor]],
) -> BestStep:
    """What judges the steps, where the settings ask for the best one."""
    stage, resources = work.stage, work.resources
    on = stage.spec.selected_on
    assert on is not None
    limits = {"max_length": work.settings.max_length, "max_items": None}
    dev = load_examples(stage, resources, resources.tokenizer(stage), "dev", limits, on.data)
    metric = resources.metric(on.metric.name, resources.task(stage).labels)
    labels = resources.task(stage).labels

    @torch.inference_mode()
    def score() -> float:
        vectors = dev_features(dev)
        logits = modules["head"](torch.cat(vectors))
        check_logits(logits, dev.of)
        parts = logits.argmax(-1).cpu().split([len(vector) for vector in vectors])
        gold = [[labels[n] for n in dev.labels(row)] for row in range(len(dev))]
        predicted = [[labels[n] for n in part.tolist()] for part in parts]
        return float(metric.aggregate(metric.items(gold, predicted).sum(0)))

    every = work.settings.selection_every or work.per_epoch
    return BestStep(folder, modules, evaluating(modules, score), every)

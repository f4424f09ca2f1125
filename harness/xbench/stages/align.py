"""Phase I: tune the encoder with an alignment objective on parallel text.

Writes ``step-N/`` folders in the Hugging Face format, each with its tokenizer, and the loss curve.
"""

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from xbench.api.batch import PairBatch
from xbench.api.objective import Objective
from xbench.catalogue.settings import AlignSettings
from xbench.files import sync_file
from xbench.nn.data_parallel import Team, shared_batch
from xbench.nn.encoders.loading import AnyEncoder
from xbench.nn.optimise import Optimiser, ParameterGroup, Schedule
from xbench.nn.random_streams import seed_dropout
from xbench.nn.replay import ReplayedBatch
from xbench.nn.training_state import Losses, TrainingState, check_weights
from xbench.plan import Stage
from xbench.plan.artefacts import LINKS
from xbench.plan.kinds.pairs import AlignStage
from xbench.stages.inputs.pairs import Batches, Corpus, PairInput, excluded, pair_table
from xbench.stages.inputs.word_links import Links
from xbench.stages.resources import Resources, text_format
from xbench.stages.training.objective import build_objective
from xbench.stages.training.team import team_of
from xbench.store import Entry


def run(stage: AlignStage, resources: Resources, entry: Entry) -> None:
    """Align, leaving checkpoints in the entry's folder."""
    with team_of(stage, resources) as team:
        curve, counts = align(stage, resources, team)
        if team is not None:
            dist.barrier()
    work = resources.store.work_folder(stage.key)
    for step in stage.places.checkpoints:
        (work / f"step-{step}").rename(entry.folder / f"step-{step}")
    entry.result = {"curve": curve, **counts}


def align(
    stage: AlignStage, resources: Resources, team: Team | None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Train, leaving checkpoints in the work folder; the loss curve, and how many pairs there were.

    Of a ``team`` each process does the same, and the first one alone writes and tells.
    """
    settings = stage.spec.settings
    text = PairInput(stage.spec, stage.places.text, settings, stage.spec.links is not None)
    encoder = resources.encoder(stage).train()
    objective = build_objective(
        stage.spec.objective, resources.catalogue, encoder, stage.spec.seed
    ).to(stage.places.device)
    batches = pair_batches(text, stage, resources, encoder)
    optimiser = _optimiser(encoder, objective, settings)
    work = resources.store.work_folder(stage.key)
    modules = {"encoder": encoder, "objective": objective}
    state = TrainingState(work, modules, optimiser, resources.state_interval, resources.leaving)
    start, notes = state.restore(lambda step, notes: _has_checkpoints(work, stage, step))
    curve: list[dict[str, Any]] = notes.get("curve", [])
    if start == 0:
        prepare(objective, batches, optimiser)
    if team is not None:
        dist.barrier()  # all have read the state before the first one writes another
    leads = team is None or team.rank == 0
    losses = Losses()
    for step in range(start, settings.steps):
        of_step = _step(batches, objective, optimiser, step, team)
        objective.after_step(encoder, step)
        values = losses.add(step, of_step, last=step == settings.steps - 1)
        if values is not None:
            curve.append({"step": step, **values})
            resources.progress(step + 1, settings.steps, values)
        if not leads:
            continue
        if step + 1 in stage.places.checkpoints:
            check_weights(encoder, step)
            _save(encoder, stage, resources, work / f"step-{step + 1}")
        state.maybe_save(step + 1, {"curve": curve})
    corpus = batches.corpus
    counts: dict[str, Any] = {"pairs": corpus.size, "pairs_available": corpus.available}
    if stage.spec.guard:
        counts["excluded"] = excluded(corpus.table, stage.places.text.guard)
    return curve, counts


def pair_batches(
    text: PairInput, stage: Stage, resources: Resources, encoder: AnyEncoder
) -> Batches:
    """The batches of parallel text that an objective reads, with word links where it needs them."""
    tokenizer = resources.tokenizer(stage)
    table = pair_table(text, stage, resources, tokenizer)
    seed = stage.spec.seed
    links = None
    if text.text.links is not None:
        links = Links.read(resources.store.file("links", text.text.links, LINKS))
    corpus = Corpus(table, text, seed, links)
    format = text_format(tokenizer, text.settings.mlm_probability)
    device = stage.places.device
    return Batches(corpus, encoder, tokenizer, format, device, seed, text.settings)


def prepare(objective: Objective, batches: Batches, optimiser: Optimiser) -> None:
    """Let the objective look at the corpus before the first step."""
    seed_dropout(batches.seed, "prepare")
    with torch.no_grad(), optimiser.autocast():
        objective.prepare(iter(batches.prepared()))


def _has_checkpoints(work: Path, stage: AlignStage, step: int) -> bool:
    """Whether the checkpoints up to a step are there, so that training may go on from it."""
    due = [saved for saved in stage.places.checkpoints if saved <= step]
    return all((work / f"step-{saved}" / "model.safetensors").is_file() for saved in due)


def _save(encoder: AnyEncoder, stage: Stage, resources: Resources, folder: Path) -> None:
    encoder.save(folder)
    resources.copy_tokenizer(stage, folder)
    for path in folder.iterdir():  # the training state that is saved next relies on them
        sync_file(path)


def _optimiser(encoder: AnyEncoder, objective: Objective, settings: AlignSettings) -> Optimiser:
    groups = [
        ParameterGroup(
            tuple(encoder.parameters()), settings.learning_rate, matrix_dims=encoder.matrix_dims
        ),
        ParameterGroup(tuple(objective.parameters()), settings.learning_rate, matrix_dims=2),
    ]
    schedule = Schedule(settings.steps, settings.schedule, settings.warmup)
    return Optimiser(groups, schedule, settings.weight_decay, settings.clip, settings.precision)


def _step(
    batches: Batches, objective: Objective, optimiser: Optimiser, step: int, team: Team | None
) -> dict[str, Tensor]:
    """One update; returns each term's mean over the whole batch and, as ``loss``, their sum."""
    # For what an objective draws from torch itself, in its own dropout, say.
    seed_dropout(*batches.stream(step))
    if batches.chunks == 1:
        with optimiser.autocast():
            loss, losses = total(objective, batches.chunk(step, 0))
        optimiser.backward(loss)
    else:
        with optimiser.autocast():
            kind = ReplayedBatch if team is None else shared_batch(team)
            batch = kind(lambda index: batches.chunk(step, index), batches.chunks)
            loss, losses = total(objective, batch)
        optimiser.backward(loss)
        if team is not None:
            team.drop_repeated(optimiser.parameters)
        batch.replay(optimiser.autocast)
        if team is not None:
            team.sum_gradients(optimiser.parameters)
    optimiser.step(step)
    return losses


def total(objective: Objective, batch: PairBatch) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum of the terms' means; a term without items (nothing was masked) adds nothing."""
    losses = {name: term.mean for name, term in objective.terms(batch).items()}
    if not losses:
        raise ValueError(f"{type(objective).__name__}.terms gave no term at all")
    loss = torch.stack(list(losses.values())).sum()
    detached = {name: value.detach() for name, value in losses.items()}
    # The sum comes last: where it is not finite, the term that spoilt it is named first.
    return loss, {**detached, "loss": loss.detach()}

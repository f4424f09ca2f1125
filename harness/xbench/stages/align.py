"""Phase I: tune the encoder with an alignment objective on parallel text.

Writes ``step-N/`` folders in the Hugging Face format, each with its tokenizer, and the loss curve.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import Tensor

from xbench.api.batch import PairBatch
from xbench.api.examples import ParallelText
from xbench.api.objective import Objective
from xbench.data.overlap import digests, is_known, texts_of
from xbench.data.ragged import RaggedTable, cached
from xbench.data.tokenise import tokenise_numbered_pairs
from xbench.data.tokenizer import Tokenizer
from xbench.files import sync_file
from xbench.keys import key_of
from xbench.nn.loading import AnyEncoder
from xbench.nn.optimise import Group, Optimiser, Schedule
from xbench.nn.replay import ReplayedBatch
from xbench.nn.streams import Part, permutation, seed_dropout
from xbench.nn.training_state import Losses, TrainingState, check_weights
from xbench.nn.views import PairTexts, PairViews, Text, TextFormat, pad
from xbench.plan import Stage, open_source
from xbench.registry import Binding
from xbench.settings import AlignSettings
from xbench.stages.bench import Bench, data_identity, text_format
from xbench.store import Entry


def run(stage: Stage, bench: Bench, entry: Entry) -> None:
    """Align, leaving checkpoints in the entry's folder."""
    settings: AlignSettings = TypeAdapter(AlignSettings).validate_python(
        dict(stage.spec["settings"])
    )
    tokenizer = bench.tokenizer(stage)
    table = _table(stage, bench, tokenizer, settings)
    corpus = Corpus(table, stage, settings)
    encoder = bench.encoder(stage).train()
    objective = _objective(stage, bench, encoder).to(stage.recipe["device"])
    format = text_format(tokenizer, settings.mlm_probability)
    batches = Batches(corpus, encoder, tokenizer, format, stage, settings)
    optimiser = _optimiser(encoder, objective, settings)
    work = bench.store.work_folder(stage.key)
    modules = {"encoder": encoder, "objective": objective}
    state = TrainingState(work, modules, optimiser, bench.state_interval)
    start, notes = state.restore(lambda step, notes: _has_checkpoints(work, stage, step))
    curve: list[dict[str, Any]] = notes.get("curve", [])
    losses = Losses()
    for step in range(start, settings.steps):
        of_step = _step(batches, objective, optimiser, step)
        objective.after_step(encoder, step)
        values = losses.add(step, of_step, last=step == settings.steps - 1)
        if values is not None:
            curve.append({"step": step, **values})
            bench.progress(step + 1, settings.steps, values)
        if step + 1 in stage.recipe["checkpoints"]:
            check_weights(encoder, step)
            _save(encoder, stage, bench, work / f"step-{step + 1}")
        state.maybe_save(step + 1, {"curve": curve})
    for step in stage.recipe["checkpoints"]:
        (work / f"step-{step}").rename(entry.folder / f"step-{step}")
    counts: dict[str, Any] = {"pairs": corpus.size, "pairs_available": corpus.available}
    if stage.spec.get("guard"):
        counts["excluded"] = excluded(table, stage)
    entry.result = {"curve": curve, **counts}


def _has_checkpoints(work: Path, stage: Stage, step: int) -> bool:
    """Whether the checkpoints up to a step are there, so that training may go on from it."""
    due = [saved for saved in stage.recipe["checkpoints"] if saved <= step]
    return all((work / f"step-{saved}" / "model.safetensors").is_file() for saved in due)


def _save(encoder: AnyEncoder, stage: Stage, bench: Bench, folder: Path) -> None:
    encoder.save(folder)
    bench.copy_tokenizer(stage, folder)
    for path in folder.iterdir():  # the training state that is saved next relies on them
        sync_file(path)


def _objective(stage: Stage, bench: Bench, encoder: AnyEncoder) -> Objective:
    asked = stage.spec["objective"]
    objective_class = bench.context.discovery.table.get("objectives", asked["name"]).load()
    config = TypeAdapter(objective_class.Config).validate_python(dict(asked["config"]))
    seed_dropout(stage.spec["seed"], "objective")  # initial weights of heads come from it too
    objective: Objective = objective_class(config)
    objective.setup(encoder)
    return objective.train()


def _table(
    stage: Stage, bench: Bench, tokenizer: Tokenizer, settings: AlignSettings
) -> RaggedTable:
    languages = [bench.context.languages.get(code) for code in stage.recipe["languages"]]
    max_length = bench.max_length(stage, settings.max_length)

    guard = stage.spec.get("guard", [])

    def rows() -> Iterable[Mapping[str, Any]]:
        known = [_guarded(where, bench) for where in stage.recipe.get("guard", [])]
        hits: dict[int, list[int]] = {}  # by place in the corpus: the tokeniser is fed ahead

        def pairs() -> Iterable[ParallelText]:
            for number, pair in enumerate(bench.source(stage).read(languages, "train")):
                texts = (pair.source, pair.target)
                found = [n for n, d in enumerate(known) if any(is_known(t, d) for t in texts)]
                if found:
                    hits[number] = found
                yield pair

        for number, source, target in tokenise_numbered_pairs(tokenizer, pairs(), max_length):
            yield {"source": source, "target": target, "guarded": hits.get(number, [])}

    identity = data_identity(
        stage, tokenizer, kind="pairs", max_length=max_length, guard=key_of(guard)
    )
    return cached(bench.cache_folder(), identity, rows)


def _guarded(where: Mapping[str, Any], bench: Bench) -> set[bytes]:
    """The digests of a guarded test set's sentences, in the languages of the pair."""
    place = Path(where["place"]) if where["place"] else None
    binding = Binding.model_validate(where["binding"])
    source = open_source(binding, place, bench.context, where["hub_files"])
    languages = [bench.context.languages.get(code) for code in where["languages"]]
    return digests(text for one in source.read(languages, "test") for text in texts_of(one))


def excluded(table: RaggedTable, stage: Stage) -> dict[str, int]:
    """How many pairs of the corpus hold a sentence of each guarded test set."""
    guard = stage.recipe.get("guard", [])
    counts = dict.fromkeys((where["binding"]["source"] for where in guard), 0)
    for row in np.flatnonzero(table.lengths("guarded")) if guard else ():
        hit = {guard[n]["binding"]["source"] for n in table.row("guarded", int(row))}
        for name in hit:
            counts[name] += 1
    return counts


def _optimiser(encoder: AnyEncoder, objective: Objective, settings: AlignSettings) -> Optimiser:
    groups = [
        Group(tuple(encoder.parameters()), settings.learning_rate, matrix_dims=encoder.matrix_dims),
        Group(tuple(objective.parameters()), settings.learning_rate, matrix_dims=2),
    ]
    schedule = Schedule(settings.steps, settings.schedule, settings.warmup)
    return Optimiser(groups, schedule, settings.weight_decay, settings.clip, settings.precision)


class Corpus:
    """The pairs that are trained on: a fixed sample, in a random order of its own each epoch.

    In the arm ``shuffled`` every source sentence keeps one wrong partner, drawn so that no
    sentence keeps its own.
    """

    def __init__(self, table: RaggedTable, stage: Stage, settings: AlignSettings) -> None:
        self._table = table
        self._seed = stage.spec["seed"]
        self._batch_size = settings.batch_size
        allowed = np.arange(len(table))
        if "guarded" in table.columns:
            allowed = np.flatnonzero(table.lengths("guarded") == 0)
        self.available = len(allowed)
        # The sample does not depend on the seed: all alignments of a pair see the same text.
        chosen = permutation(len(allowed), "sample")[: settings.max_pairs].sort().values.numpy()
        self._rows = allowed[chosen]
        self.size = len(self._rows)
        if self.size < settings.batch_size:
            raise ValueError(
                f"the corpus has {self.size} usable pairs, fewer than one batch of "
                f"{settings.batch_size}; lower align.batch_size or add text"
            )
        self._partners = self._rows
        if stage.spec["arm"] == "shuffled":
            self._partners = wrong_partners(self._rows)
        self._epoch: tuple[int, np.ndarray] = (-1, self._rows)

    def batch(self, step: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """The token ids of both sides of the pairs of a step; a last, smaller batch is left out."""
        per_epoch = self.size // self._batch_size
        epoch, index = divmod(step, per_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, permutation(self.size, self._seed, "pairs", epoch).numpy())
        chosen = self._epoch[1][index * self._batch_size : (index + 1) * self._batch_size]
        return [
            (self._table.row("source", self._rows[i]), self._table.row("target", self._partners[i]))
            for i in chosen
        ]


def wrong_partners(rows: np.ndarray) -> np.ndarray:
    """Each row's partner in the shuffled arm: one random cycle through all rows, so never itself."""
    cycle = permutation(len(rows), "wrong partners").numpy()
    partners = np.empty_like(rows)
    partners[cycle] = rows[np.roll(cycle, -1)]
    return partners


@dataclass(frozen=True)
class Batches:
    """Builds the batches of pairs of every step, whole or in chunks."""

    corpus: Corpus
    encoder: AnyEncoder
    tokenizer: Tokenizer
    format: TextFormat
    stage: Stage
    settings: AlignSettings

    @property
    def chunks(self) -> int:
        """How many chunks a batch is processed in: no more than it has pairs."""
        return min(self.settings.accumulate, self.settings.batch_size)

    def stream(self, step: int) -> tuple[Part, ...]:
        """The name of a step's random streams."""
        return (self.stage.spec["seed"], "align", step)

    def chunk(self, step: int, index: int) -> PairViews:
        """The ``index``-th chunk of a step's pairs: a run of them, of the same size to one."""
        pairs = self.corpus.batch(step)
        start, end = (len(pairs) * part // self.chunks for part in (index, index + 1))
        device = self.stage.recipe["device"]
        texts = pair_texts(pairs[start:end], self.tokenizer, self.encoder.config.max_positions)
        moved = PairTexts(texts.source.to(device), texts.target.to(device), texts.joint.to(device))
        return PairViews(self.encoder, moved, self.format, (*self.stream(step), index))


def pair_texts(
    pairs: list[tuple[np.ndarray, np.ndarray]], tokenizer: Tokenizer, max_positions: int
) -> PairTexts:
    """Both sides of the pairs, and each pair as one input no longer than the encoder takes."""
    pad_id = tokenizer.vocabulary.pad_id
    room = max_positions - tokenizer.special_tokens_pair
    joint = []
    for source, target in pairs:
        # Where both do not fit, each keeps at least its half.
        keep = max(room // 2, room - len(target))
        cut = source[:keep]
        joint.append(tokenizer.build_pair(cut.tolist(), target[: room - len(cut)].tolist()))
    types = pad([types for _, types in joint], 0)
    return PairTexts(
        Text(pad([tokenizer.build_single(s.tolist()) for s, _ in pairs], pad_id)),
        Text(pad([tokenizer.build_single(t.tolist()) for _, t in pairs], pad_id)),
        Text(pad([ids for ids, _ in joint], pad_id), types if bool(types.any()) else None),
    )


def _step(
    batches: Batches, objective: Objective, optimiser: Optimiser, step: int
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
            batch = ReplayedBatch(lambda index: batches.chunk(step, index), batches.chunks)
            loss, losses = total(objective, batch)
        optimiser.backward(loss)
        batch.replay(optimiser.autocast)
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

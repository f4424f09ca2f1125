"""Phase ``during``: an alignment objective as a second loss beside the task's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from xbench.api.batch import TaskBatch, View, Vocabulary
from xbench.api.objective import Objective
from xbench.catalogue.settings import AlignSettings
from xbench.nn.encoders.loading import AnyEncoder
from xbench.nn.heads import Head
from xbench.nn.optimise import Optimiser
from xbench.nn.random_streams import generator, permutation, seed_dropout
from xbench.nn.text import TextFormat
from xbench.nn.text_view import TextView
from xbench.plan.kinds.pairs import PairText
from xbench.plan.kinds.task import FinetuneStage
from xbench.stages.align import pair_batches, prepare, total
from xbench.stages.inputs.examples import Batch, Examples, load_translations
from xbench.stages.inputs.pairs import Batches, PairInput
from xbench.stages.training.features import features_of
from xbench.stages.training.objective import build_objective

if TYPE_CHECKING:
    from xbench.stages.training.tuning import FineTuning


@dataclass(frozen=True)
class TaskViews:
    """The labelled examples of a step (:class:`xbench.api.TaskBatch`)."""

    view: View
    batch: Batch
    head: Head
    level: str
    pooling: str
    other: TextView | None = None

    @property
    def labels(self) -> Tensor:
        """[N] class numbers."""
        return self.batch.labels

    def logits(self, view: View) -> Tensor:
        """[N, C] of the head on a view of this batch's text."""
        logits_NC: Tensor = self.head(features_of(view, self.batch, self.level, self.pooling))
        return logits_NC

    @property
    def translated(self) -> View:
        """The same examples in the other language of the pair."""
        if self.other is None:
            raise ValueError(
                "there are no translated examples: an objective that reads them says "
                "needs = {'task', 'translated_task'}"
            )
        return self.other


class TaskOnly:
    """A batch without parallel text, for an objective that asks for none (``PairBatch``)."""

    def __init__(self, encoder: AnyEncoder, format: TextFormat, stream: tuple[Any, ...]) -> None:
        self._encoder = encoder
        self.vocabulary: Vocabulary = format.vocabulary
        self.generator = generator(*stream, "objective")
        self.task: TaskBatch

    def attach(self, task: TaskBatch) -> None:
        """The labelled examples of this step."""
        self.task = task

    def embeddings(self, ids: Tensor | None = None) -> Tensor:
        """[..., D] rows of the input word embeddings."""
        words_VD = self._encoder.word_embeddings.squeeze(0)
        return words_VD if ids is None else nn.functional.embedding(ids, words_VD)

    def weights(self) -> Mapping[str, Tensor]:
        """The encoder's trainable parameters by name."""
        return {n: p for n, p in self._encoder.named_parameters() if p.requires_grad}

    def __getattr__(self, name: str) -> Any:
        raise ValueError(
            f"there is no {name} here: an objective that reads parallel text says "
            f"needs = {{'pairs', ...}}"
        )


class Joint:
    """The objective, its weight, and what it reads in each step of a fine-tuning."""

    def __init__(self, work: "FineTuning", encoder: AnyEncoder) -> None:
        stage, resources = work.stage, work.resources
        asked = stage.spec.joint
        assert asked is not None
        self._work = work
        self.encoder = encoder
        self.weight = asked.weight
        device = stage.places.device
        seed = stage.spec.seed
        self.objective: Objective = build_objective(
            asked.objective, resources.catalogue, encoder, seed
        ).to(device)
        self.pairs: Batches | None = None
        if asked.corpus is not None:
            self.pairs = pair_batches(pair_input(stage), stage, resources, encoder)
        self.translations = translations_of(work) if asked.translated is not None else None

    def prepare(self, optimiser: Optimiser) -> None:
        """Let the objective look at the corpus before the first step."""
        if self.pairs is not None:
            prepare(self.objective, self.pairs, optimiser)

    def loss(
        self, rows: list[int], batch: Batch, view: TextView, head: Head, step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the objective's terms on this step's data, and each term."""
        work = self._work
        stream = (work.seed, "joint", step)
        seed_dropout(*stream)  # for what the objective draws from torch itself
        views: Any
        if self.pairs is None:
            views = TaskOnly(self.encoder, work.format, stream)
        else:
            views = self.pairs.chunk(step, 0)
        pooling = work.settings.sentence_pooling
        level = work.examples.level
        other = self._translated(rows, stream)
        views.attach(TaskViews(view, batch, head, level, pooling, other))
        loss, terms = total(self.objective, views)
        return self.weight * loss, terms

    def _translated(self, rows: list[int], stream: tuple[Any, ...]) -> TextView | None:
        if self.translations is None:
            return None
        examples, partner = self.translations
        wanted = [partner[row] for row in rows]
        pad_id = self._work.format.vocabulary.pad_id
        batch = examples.batch(wanted, pad_id, self._work.stage.places.device)
        return TextView(self.encoder, batch.text, self._work.format, (*stream, "translated"))


def pair_input(stage: FinetuneStage) -> PairInput:
    """The parallel text of the objective, in the words of an alignment."""
    asked, places = stage.spec.joint, stage.places.joint
    assert asked is not None
    assert places is not None
    assert asked.corpus is not None
    assert asked.settings is not None
    assert places.pairs is not None
    text = PairText(arm=asked.arm, corpus=asked.corpus, guard=asked.guard, links=asked.links)
    settings = AlignSettings(steps=1, **vars(asked.settings))
    return PairInput(text, places.pairs, settings, asked.links is not None)


def translations_of(work: "FineTuning") -> tuple[Examples, dict[int, int]]:
    """The task's examples in the other language, and for each row the row that translates it.

    Items are joined by their id. In the arm ``shuffled`` each gets another item's translation. Of
    items that fill several rows the n-th goes with the n-th, or with the last.
    """
    other = load_translations(work.stage, work.resources, work.settings.max_length)
    own, theirs = _rows_by_name(work.examples), _rows_by_name(other)
    lacking = [name for name in own if name not in theirs]
    if lacking:
        raise ValueError(
            f"{len(lacking)} of {len(own)} training items have no translation: the task's data in "
            f"the other language has no item {lacking[0]!r}"
        )
    names = list(own)
    partners = dict(zip(names, names, strict=True))
    joint = work.stage.spec.joint
    if joint is not None and joint.arm == "shuffled":
        cycle = [names[n] for n in permutation(len(names), "wrong translations").tolist()]
        partners = dict(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
    return other, {
        row: theirs[partners[name]][min(part, len(theirs[partners[name]]) - 1)]
        for name, rows in own.items()
        for part, row in enumerate(rows)
    }


def _rows_by_name(examples: Examples) -> dict[str, list[int]]:
    """item's id -> its rows. Raises ``ValueError`` where several items have one id."""
    names = examples.names()
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(
            f"several items have the id {twice!r}: which one translates which cannot be told"
        )
    found: dict[str, list[int]] = {}
    for row in range(len(examples)):
        found.setdefault(names[int(examples.table.row("item", row)[0])], []).append(row)
    return found

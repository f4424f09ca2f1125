"""Phase ``during``: an alignment objective as a second loss beside the task's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from xbench.api.batch import TaskBatch, View, Vocabulary
from xbench.api.objective import Objective
from xbench.nn.heads import Head
from xbench.nn.loading import AnyEncoder
from xbench.nn.optimise import Optimiser
from xbench.nn.streams import generator, permutation
from xbench.nn.views import Text, TextFormat, TextView
from xbench.settings import AlignSettings
from xbench.stages.align import pair_batches, prepare, total
from xbench.stages.examples import Batch, Examples, load_examples
from xbench.stages.features import features_of
from xbench.stages.losses import build_objective
from xbench.stages.pairs import Batches, PairText


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

    def __init__(self, work: Any, encoder: AnyEncoder) -> None:
        stage, bench = work.stage, work.bench
        asked = stage.spec["joint"]
        if work.settings.accumulate != 1:
            raise ValueError(
                "an objective beside the task's loss sees whole batches: finetune.accumulate=1"
            )
        self._work = work
        self.encoder = encoder
        self.weight = float(asked["weight"])
        device = stage.recipe["device"]
        seed = stage.spec["seed"]
        self.objective: Objective = build_objective(
            asked["objective"], bench.context, encoder, seed
        ).to(device)
        self.pairs: Batches | None = None
        if "corpus" in asked:
            settings = AlignSettings(steps=1, **asked["settings"])
            text = PairText(asked, stage.recipe["joint"]["pairs"], settings)
            self.pairs = pair_batches(text, stage, bench, encoder)
        self.translations = _translations(work) if "translated" in asked else None

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
        batch = examples.batch(wanted, pad_id, self._work.stage.recipe["device"])
        text: Text = batch.text
        return TextView(self.encoder, text, self._work.format, (*stream, "translated"))


def _translations(work: Any) -> tuple[Examples, dict[int, int]]:
    """The task's examples in the other language, and for each row the row that translates it.

    Items are joined by their id. In the arm ``shuffled`` each gets another item's translation.
    """
    stage, bench = work.stage, work.bench
    asked, where = stage.spec["joint"], stage.recipe["joint"]["translated"]
    limits = {"max_length": work.settings.max_length, "max_items": None}
    tokenizer = bench.tokenizer(stage)
    other = load_examples(
        stage, bench, tokenizer, asked["translated"]["split"], limits, asked["translated"], where
    )
    by_name = _first_rows(other)
    own = _first_rows(work.examples)
    shared = [name for name in own if name in by_name]
    if len(shared) < len(work.examples):
        raise ValueError(
            f"{len(work.examples) - len(shared)} of {len(work.examples)} training items have no "
            f"translation: the task's data in the other language has none of that id"
        )
    partners = list(shared)
    if asked["arm"] == "shuffled":
        cycle = permutation(len(shared), "wrong translations").tolist()
        following = dict(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        partners = [shared[following[n]] for n in range(len(shared))]
    rows = {own[name]: by_name[p] for name, p in zip(shared, partners, strict=True)}
    return other, rows


def _first_rows(examples: Examples) -> dict[str, int]:
    """item's id -> its (first) row."""
    found: dict[str, int] = {}
    for row in range(len(examples)):
        name = bytes(examples.table.row("name", row).astype("uint8")).decode("utf-8")
        found.setdefault(name, row)
    return found

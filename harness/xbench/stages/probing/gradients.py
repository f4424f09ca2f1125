"""Gradients of losses on held-out text (:class:`xbench.api.Gradients`)."""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from xbench.api.objective import Objective
from xbench.api.probe import Gradient
from xbench.api.source import MissingData
from xbench.nn.encoders.loading import AnyEncoder
from xbench.nn.optimise import float32
from xbench.nn.pair_views import PairViews
from xbench.nn.replay import ReplayedBatch
from xbench.nn.text import Text, pad
from xbench.nn.text_view import MaskedTextView, TextView
from xbench.plan.kinds.probe import BatchSettings, ProbeStage
from xbench.stages.align import total
from xbench.stages.inputs.examples import Examples, load_examples
from xbench.stages.inputs.pairs import Integers, PairRow, pair_texts
from xbench.stages.probing.parts import Parts
from xbench.stages.probing.probe_text import ProbedText
from xbench.stages.resources import Resources, text_format
from xbench.stages.training.features import features_of
from xbench.stages.training.objective import build_objective
from xbench.stages.training.tuning import Tuned

Item = TypeVar("Item")
OBJECTIVE = "objective"
_KINDS = (
    ("embeddings", re.compile(r"(^|\.)(embeddings|embed_tokens|tok_embeddings)(\.|$)")),
    ("norm", re.compile(r"norm", re.IGNORECASE)),
    ("attention", re.compile(r"(^|\.)(query|key|value|attention|attention_output|attn)")),
    ("feed_forward", re.compile(r"(^|\.)(expand|contract|intermediate|output|mlp)")),
)
_LAYER = re.compile(r"(?:^|\.)layers?\.(\d+)\.")
_HEAD = re.compile(r"^(mlm_head|lm_head|lm_predictions|decoder|head|model\.(cls|lm_|head|decoder))")


class EncoderGradients:
    """Gradients with respect to the parameters of one encoder: dropout off, in float32 throughout.

    The precision of the run plays no part: in bfloat16 rounding is as large as many a cosine.

    The objective's loss is the one that was trained: its batches have the alignment's size and
    chunks, since a contrast has the others of its batch as negatives, and are cut and masked as
    the alignment's. It is set up afresh: what it learnt beside the encoder (a projection, say) is
    not part of a checkpoint.
    """

    def __init__(
        self,
        stage: ProbeStage,
        resources: Resources,
        encoder: AnyEncoder,
        text: ProbedText,
        tuned: Tuned | None,
    ) -> None:
        self._text = text
        self._stage = stage
        self._resources = resources
        self._encoder = encoder
        self._tuned = tuned
        self._settings = stage.spec.settings
        self._tokenizer = resources.tokenizer(stage)
        self._format = text_format(self._tokenizer)
        self._device = stage.places.device

    @property
    def task(self) -> str | None:
        """The task that there is a head for."""
        return self._stage.places.task if self._tuned is not None else None

    @property
    def objective(self) -> str | None:
        """The alignment objective behind the checkpoint."""
        asked = self._stage.spec.objective
        return None if asked is None else asked.name

    def of_task(self, language: str, part: int, parts: int) -> Gradient:
        """The task's loss, summed over labels and divided by their number in the part."""
        if self._tuned is None or language not in self._stage.places.items:
            raise MissingData(f"no labelled text of {language} to take a gradient of")
        examples = labelled_examples(self._stage, self._resources, language)
        rows = self._parts(range(len(examples)), parts, "task").part(part)
        labels = sum(len(examples.labels(row)) for batch in rows for row in batch)
        tuned = self._tuned

        def loss(batch: Sequence[int]) -> Tensor:
            found = examples.batch(batch, self._format.vocabulary.pad_id, self._device)
            view = TextView(self._encoder, found.text, self._format, ("gradient",))
            pooling = self._stage.spec.pooling or "mean"
            vectors = features_of(view, found, examples.level, pooling)
            logits = tuned.head.eval()(vectors)
            return F.cross_entropy(logits, found.labels, reduction="sum") / labels

        return self._sum(loss, rows)

    def of_objective(self, part: int, parts: int) -> Gradient:
        """The objective's loss, the mean over the batches of the part."""
        asked = self._stage.spec.objective
        if asked is None:
            raise MissingData("the untouched encoder has no objective to take a gradient of")
        objective = build_objective(asked, self._resources.catalogue, self._encoder, 0).to(
            self._device
        )
        objective.eval()
        losses = (each for each in objective.modules() if isinstance(each, Objective))
        lacking = sorted({need for each in losses for need in each.needs} - {"pairs", "text"})
        if lacking:
            raise MissingData(
                f"{self.objective} learns from {', '.join(lacking)}, which held-out pairs have none of"
            )
        cut = self._parts(aligned_pairs(self._stage, self._resources, self._text), parts, OBJECTIVE)
        batches, unused = cut.part(part), cut.unused(part)
        with torch.no_grad(), self._float32():  # a queue of negatives, say, is filled
            objective.prepare(self._views(batch, "prepare", n) for n, batch in enumerate(unused))
        count = min(self._aligned.accumulate, self._aligned.batch_size)

        def descend(numbered: tuple[int, list[PairRow]]) -> None:
            number, pairs = numbered
            whole: PairViews | ReplayedBatch
            if count == 1:
                whole = self._views(pairs, part, number)
            else:  # as the alignment had it, with the loss of the whole batch
                whole = ReplayedBatch(lambda n: self._chunk(pairs, n, count, part, number), count)
            torch.autograd.backward(total(objective, whole)[0] / len(batches))
            if isinstance(whole, ReplayedBatch):
                whole.replay()

        return self._over(descend, list(enumerate(batches)))

    def _chunk(self, pairs: list[PairRow], index: int, count: int, *stream: str | int) -> PairViews:
        start, end = (len(pairs) * n // count for n in (index, index + 1))
        return self._views(pairs[start:end], *stream, index, index=index)

    def _views(self, batch: list[PairRow], *stream: str | int, index: int = 0) -> PairViews:
        texts = pair_texts(batch, self._tokenizer, self._encoder.config.max_positions)
        format = text_format(self._tokenizer, self._aligned.mlm_probability)
        name = ("gradient", *stream)
        return PairViews(self._encoder, texts.to(self._device), format, name, index)

    @property
    def _aligned(self) -> BatchSettings:
        """The settings of the objective's batches: those that the encoder was aligned with."""
        settings = self._stage.spec.objective_settings
        assert settings is not None
        return settings

    def of_masked_lm(self, language: str, part: int, parts: int) -> Gradient:
        """The masked LM loss, summed over masked positions and divided by their number."""
        batches = self._parts(self._sentences(language), parts, "masked").part(part)
        views = [self._masked(batch, number, part) for number, batch in enumerate(batches)]
        positions = sum(len(view.labels) for view in views)
        if not positions:
            raise MissingData(f"nothing was masked in the text of {language}")

        def loss(view: Any) -> Tensor:
            losses_M: Tensor = view.losses()
            return losses_M.sum() / positions

        return self._sum(loss, views)

    def module_of(self, name: str) -> tuple[int | None, str]:
        """(layer from 1 on, kind of module) of a parameter."""
        found = _LAYER.search(name)
        layer = int(found.group(1)) + 1 if found else None
        kind = next((kind for kind, pattern in _KINDS if pattern.search(name)), "other")
        return layer, kind if layer is not None or kind == "embeddings" else "embeddings"

    def _sum(self, loss: Callable[[Any], Tensor], batches: Sequence[Any]) -> Gradient:
        """The gradient of the sum of the batches' losses."""
        return self._over(lambda batch: torch.autograd.backward(loss(batch)), batches)

    def _over(self, descend: Callable[[Any], None], batches: Sequence[Any]) -> Gradient:
        """The gradient that ``descend`` adds up over the batches; one copy, whatever their number."""
        self._encoder.requires_grad_(True)
        self._encoder.zero_grad(set_to_none=True)
        with self._float32():
            for batch in batches:
                descend(batch)
        own = {
            name: parameter.grad.detach().float().cpu()
            for name, parameter in self._encoder.named_parameters()
            if parameter.grad is not None and not _HEAD.search(name)
        }
        self._encoder.zero_grad(set_to_none=True)
        return own

    def _float32(self) -> AbstractContextManager[None]:
        return float32(self._device)

    def _parts(self, items: Sequence[Item], parts: int, name: str) -> Parts[Item]:
        aligned = name == OBJECTIVE
        size = self._aligned.batch_size if aligned else self._settings.gradient_batch_size or 0
        return Parts(items, parts, int(size), self._settings.gradient_batches or 0, name)

    def _sentences(self, language: str) -> list[Integers]:
        """Content ids of the parallel text, cut to length."""
        texts = self._text.sentences(language).values()
        found = _content_ids(texts, self._settings.max_length, self._stage, self._resources)
        return [ids for ids in found if len(ids)]

    def _masked(self, batch: Sequence[Integers], number: int, part: int) -> MaskedTextView:
        rows = [self._tokenizer.build_single(ids.tolist()) for ids in batch]
        ids = pad(rows, self._format.vocabulary.pad_id).to(self._device)
        stream = ("gradient", part, number)
        return TextView(self._encoder, Text(ids), self._format, stream).masked


def labelled_examples(stage: ProbeStage, resources: Resources, language: str) -> Examples:
    """The labelled text of a language that gradients of the task are taken over."""
    place, data = stage.places.items[language], (stage.spec.items or {})[language]
    limits = {"max_length": stage.spec.settings.max_length, "max_items": None, "sample": False}
    tokenizer = resources.tokenizer(stage)
    return load_examples(stage, resources, tokenizer, data.split, limits, data, place)


def aligned_pairs(stage: ProbeStage, resources: Resources, text: ProbedText) -> list[PairRow]:
    """Held-out sentence pairs of the languages that were aligned, cut as the alignment cut its own."""
    assert stage.spec.pair is not None
    assert stage.spec.objective_settings is not None
    pairs, longest = text.pairs(stage.spec.pair), stage.spec.objective_settings.max_length
    sides = (
        _content_ids([texts[side] for texts in pairs], longest, stage, resources) for side in (0, 1)
    )
    rows = [PairRow(source, target) for source, target in zip(*sides, strict=True)]
    return [row for row in rows if len(row.source) and len(row.target)]


def _content_ids(
    texts: Iterable[str], longest: int, stage: ProbeStage, resources: Resources
) -> list[Integers]:
    """The ids of each text without special tokens, cut so that the whole has ``longest`` tokens."""
    tokenizer = resources.tokenizer(stage)
    room = resources.max_length(stage, longest) - tokenizer.special_tokens_single
    return [np.asarray(ids[:room], dtype=np.int32) for ids in tokenizer.encode_texts(list(texts))]

"""A tiny random encoder, and batches of clone-language text over it, as training makes them.

Everything is in memory and on the CPU, in float32.
"""

from collections.abc import Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.encoder_config import EncoderConfig
from xbench.nn.heads import Head
from xbench.nn.pair_views import PairTexts, PairViews
from xbench.nn.replay import Ask, Chunks, ReplayedBatch
from xbench.nn.text import Text, TextFormat, pad
from xbench.nn.text_view import TextView
from xbench.stages.inputs.examples import WORD_LEVELS, Batch
from xbench.stages.inputs.pairs import PairRow, pair_texts
from xbench.stages.training.joint import TaskOnly, TaskViews
from xbench.testing.toys.clones import BEGIN, END, PAD, VOCABULARY, CloneTokenizer, Pair, Sentence

CLASSES = 3
WIDTH = 32
TOKENIZER: Any = CloneTokenizer()
# Few texts, so a good share of them is masked.
FORMAT = TextFormat(VOCABULARY, (BEGIN, END), 0.25, TOKENIZER.build_single)
SPREAD = 0.2  # of the weights: with the usual 0.02 a tiny encoder hardly tells texts apart


def toy_encoder(dropout: float = 0.0) -> Encoder:
    """Two layers of width :data:`WIDTH`, the same random weights each time, in training mode."""
    return deepcopy(_encoder(dropout)).train()


@cache
def _encoder(dropout: float) -> Encoder:
    config = EncoderConfig(
        model_type="xlm-roberta",
        vocab_size=VOCABULARY.size,
        hidden_size=WIDTH,
        num_layers=2,
        num_heads=2,
        intermediate_size=2 * WIDTH,
        max_positions=64,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        hidden_dropout=dropout,
        attention_dropout=dropout,
        activation="gelu",
        pad_id=PAD,
    )
    encoder = Encoder.random(config, seed=0)
    stream = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "norm" not in name:
                parameter.add_(SPREAD * torch.randn(parameter.shape, generator=stream))
    return encoder


@dataclass(frozen=True)
class Layout:
    """How the pairs come as a batch.

    ``step`` names the random streams, ``padding`` adds that many columns of it, ``index`` is the
    chunk's number, ``level`` says what a task labels: texts (``sentence``) or words (``token``).
    """

    step: int = 0
    padding: int = 0
    index: int = 0
    level: str = "sentence"

    @property
    def stream(self) -> tuple[str | int, ...]:
        """The name of the batch's random streams."""
        return (7, "align", self.step, self.index)


PLAIN = Layout()


def toy_batch(
    encoder: Encoder,
    pairs: Sequence[Pair],
    needs: Collection[str] = ("pairs",),
    layout: Layout = PLAIN,
    head: Head | None = None,
) -> Any:
    """A batch (:class:`xbench.api.PairBatch`) with what ``needs`` names, and nothing else.

    With ``task`` the source sides are labelled; with ``translated_task`` the target sides are
    their translations.
    """
    batch: Any = TaskOnly(encoder, FORMAT, layout.stream)
    if {"pairs", "links"} & set(needs):
        texts = _pair_texts(pairs, "links" in needs, layout.padding)
        batch = PairViews(encoder, texts, FORMAT, layout.stream, layout.index)
    if {"task", "translated_task"} & set(needs):
        batch.attach(_task(encoder, pairs, "translated_task" in needs, layout, head or toy_head()))
    return batch


def toy_head() -> Head:
    """A task's head, always the same: :data:`CLASSES` classes, dropout off."""
    return Head(WIDTH, CLASSES, 0.0, "toy")


class _WithGraphs(Chunks):
    """Chunks whose answers keep their graphs."""

    def ask(self, ask: Ask, count: int | None = None) -> Tensor:
        """Joined with its graph."""
        return self.data(ask, count=count)


class Undivided(ReplayedBatch):
    """The slow reference of a replay: all chunks keep their graphs, and nothing is encoded twice."""

    chunks = _WithGraphs


def chunked(
    encoder: Encoder,
    pairs: Sequence[Pair],
    needs: Collection[str],
    chunks: int,
    kind: type[ReplayedBatch] = ReplayedBatch,
) -> ReplayedBatch:
    """The same pairs, processed in chunks."""
    bounds = [len(pairs) * part // chunks for part in range(chunks + 1)]

    def chunk(index: int) -> PairViews:
        own = pairs[bounds[index] : bounds[index + 1]]
        batch: PairViews = toy_batch(encoder, own, needs, Layout(index=index))
        return batch

    return kind(chunk, chunks)


def _pair_texts(pairs: Sequence[Pair], with_words: bool, padding: int) -> PairTexts:
    rows = [_row(pair, with_words) for pair in pairs]
    texts = pair_texts(rows, TOKENIZER, max_positions=64)
    source, target, joint = (_padded(t, padding) for t in (texts.source, texts.target, texts.joint))
    return PairTexts(source, target, joint, texts.links)


def _row(pair: Pair, with_words: bool) -> PairRow:
    if not with_words:
        return PairRow(pair.source.ids, pair.target.ids)
    links = np.array(pair.links, dtype=np.int64).reshape(-1, 2)
    return PairRow(pair.source.ids, pair.target.ids, pair.source.owners, pair.target.owners, links)


def _padded(text: Text, columns: int) -> Text:
    owners, sides = (
        None if values is None else F.pad(values, (0, columns), value=-1)
        for values in (text.owners, text.sides)
    )
    return replace(text, ids=F.pad(text.ids, (0, columns), value=PAD), owners=owners, sides=sides)


def _task(
    encoder: Encoder, pairs: Sequence[Pair], translated: bool, layout: Layout, head: Head
) -> TaskViews:
    batch = _labelled([pair.source for pair in pairs], layout)
    view = TextView(encoder, batch.text, FORMAT, (*layout.stream, "task"))
    other = None
    if translated:
        text = _text([pair.target for pair in pairs], layout.padding)
        other = TextView(encoder, text, FORMAT, (*layout.stream, "translated"))
    return TaskViews(view, batch, head, layout.level, "mean", other)


def _labelled(sentences: Sequence[Sentence], layout: Layout) -> Batch:
    """Words labelled by their number; a text by that of its least word."""
    text = _text(sentences, layout.padding)
    if layout.level not in WORD_LEVELS:
        rows = torch.arange(len(sentences))
        labels = torch.tensor([min(sentence.words) % CLASSES for sentence in sentences])
        return Batch(text, rows, torch.zeros_like(rows), labels)
    places = [np.unique(sentence.owners, return_index=True)[1] + 1 for sentence in sentences]
    owner = np.repeat(np.arange(len(sentences)), [len(place) for place in places])
    labels = torch.tensor([word % CLASSES for sentence in sentences for word in sentence.words])
    return Batch(text, torch.from_numpy(owner), torch.from_numpy(np.concatenate(places)), labels)


def _text(sentences: Sequence[Sentence], padding: int) -> Text:
    ids: Tensor = pad([TOKENIZER.build_single(s.ids.tolist()) for s in sentences], PAD)
    return Text(F.pad(ids, (0, padding), value=PAD))

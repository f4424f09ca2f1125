"""Batches over the harness' own encoder and views, for what a toy cannot show: attention, chunks."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM

from xbench.api import Objective
from xbench.nn.encoders.encoder import Encoder
from xbench.nn.pair_views import PairTexts, PairViews
from xbench.nn.replay import ReplayedBatch
from xbench.nn.text import Text, pad
from xbench.nn.text_view import TextView

from ..nn.batches import END, FORMAT, Pair, random_pairs, text, tiny_encoder

PAIRS = random_pairs((6, 8), (12, 4), (2, 2), (10, 14), (4, 12))
# Words of two tokens: every word of the shorter side is linked, one of them twice.
LINKS = [(r, w, w) for r, (s, t) in enumerate(PAIRS) for w in range(min(len(s), len(t)) // 2)]
LINKS = sorted([*LINKS, (0, 0, 3)])
OFTEN = replace(FORMAT, mlm_probability=0.4)  # few texts, so that much is masked


def side(rows: Iterable[Sequence[int]], padding: int) -> Text:
    """Framed texts; two neighbouring tokens make a word."""
    rows = [list(row) for row in rows]
    plain = text(rows, padding)
    owners = pad([[-1, *(i // 2 for i in range(len(row))), -1] for row in rows], -1)
    return replace(plain, owners=nn.functional.pad(owners, (0, padding), value=-1))


def joint(pairs: Sequence[Pair], padding: int) -> Text:
    """Each pair as one input, and which of its tokens belong to which text."""
    plain = text([[*source, END, END, *target] for source, target in pairs], padding)
    sides = pad([[-1] + [0] * len(s) + [-1, -1] + [1] * len(t) + [-1] for s, t in pairs], -1)
    return replace(plain, sides=nn.functional.pad(sides, (0, padding), value=-1))


def real_batch(
    encoder: Encoder,
    pairs: Sequence[Pair] = PAIRS,
    links: Iterable[tuple[int, int, int]] = LINKS,
    padding: int = 0,
    index: int = 0,
) -> PairViews:
    """A batch as training sees it; the links of pairs that are not there are left out."""
    linked = torch.tensor([link for link in links if link[0] < len(pairs)], dtype=torch.int64)
    sides = [side((pair[i] for pair in pairs), padding) for i in (0, 1)]
    texts = PairTexts(*sides, joint(pairs, padding), linked.view(-1, 3))
    return PairViews(encoder, texts, OFTEN, (7, "align", 3, index), index)


def chunked(encoder: Encoder, sizes: Sequence[int]) -> ReplayedBatch:
    """The same pairs, processed in chunks of these sizes."""
    starts = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
    pieces = list(pairwise(starts))

    def chunk(index: int) -> PairViews:
        first, end = pieces[index]
        links = [(row - first, s, t) for row, s, t in LINKS if first <= row < end]
        return real_batch(encoder, PAIRS[first:end], links, index=index)

    return ReplayedBatch(chunk, len(sizes))


class Joined:
    """The slow reference of a replay: the same chunks, all encoded with a graph, terms added up."""

    def __init__(self, encoder: Encoder, sizes: Sequence[int]) -> None:
        self.chunks = chunked(encoder, sizes)._first

    def terms(self, objective: Objective) -> dict[str, Tensor]:
        """The mean of each term over all chunks."""
        found = [objective.terms(chunk) for chunk in self.chunks]
        return {
            name: sum(terms[name].sum for terms in found)
            / max(1, sum(float(terms[name].count) for terms in found))
            for name in found[0]
        }


class ToyTask:
    """Labelled texts in two languages; the head reads the pooled text."""

    def __init__(self, view: TextView, translated: TextView, head: nn.Linear) -> None:
        self.view, self.translated, self.head = view, translated, head
        self.labels = torch.arange(len(view.ids)) % head.out_features

    def logits(self, view: TextView) -> Tensor:
        return self.head(view.pooled(1.0, "cls"))


def task_batch(
    encoder: Encoder, pairs: Sequence[Pair] = PAIRS, classes: int = 3, padding: int = 0
) -> PairViews:
    """With labelled examples: the sources, of which the targets are translations."""
    batch = real_batch(encoder, pairs, padding=padding)
    torch.manual_seed(3)
    head = nn.Linear(encoder.config.hidden_size, classes).double()
    batch.attach(ToyTask(batch.source, batch.target, head))
    return batch


def transformers_loss(encoder: Encoder, views: Iterable[Any], folder: Path) -> float:
    """The masked-LM loss of transformers' own model, mean over all masked positions of the views."""
    encoder.save(folder)
    theirs = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float64).eval()
    total, count = 0.0, 0
    for view in views:
        masked = view.masked
        labels = view.ids.new_full(view.ids.shape, -100)
        labels[masked.chosen] = view.ids[masked.chosen]
        found = theirs(masked.ids, view.attention_mask.long(), labels=labels)
        number = int((labels >= 0).sum())
        total, count = total + float(found.loss.detach()) * number, count + number
    return total / count


def check_slope(loss: Callable[[], Tensor], module: nn.Module) -> None:
    """The gradient along a random direction of all parameters is the central difference."""
    module.zero_grad()
    loss().backward()
    found = gradients(module)
    stream = torch.Generator().manual_seed(5)
    parameters = dict(module.named_parameters())
    step = {
        n: 1e-5 * torch.randn(g.shape, generator=stream, dtype=g.dtype) for n, g in found.items()
    }
    expected = sum(float((found[name] * move).sum()) for name, move in step.items())
    values = []
    for sign in (1, -2):  # ahead, then back past the start
        with torch.no_grad():
            for name, move in step.items():
                parameters[name] += sign * move
            values.append(float(loss()))
    assert abs(expected) > 1e-9
    assert (values[0] - values[1]) / 2 == pytest.approx(expected, rel=1e-5)


def gradients(module: nn.Module) -> dict[str, Tensor]:
    """By name, of the parameters that received one."""
    return {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}


def check_chunks(objective: Objective, sizes: Sequence[int]) -> None:
    """Processing in chunks has the values and the gradients of the batch as a whole.

    The objective was set up with ``tiny_encoder()``.
    """
    whole, replayed = tiny_encoder(), tiny_encoder()
    expected = Joined(whole, sizes).terms(objective)
    sum(expected.values()).backward()
    batch = chunked(replayed, sizes)
    found = {name: term.mean for name, term in objective.terms(batch).items()}
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    sum(found.values()).backward()
    batch.replay()
    torch.testing.assert_close(gradients(replayed), gradients(whole), rtol=1e-8, atol=1e-10)

"""Contrast between linked words, on a tiny encoder in float64 whose words are two tokens long."""

import math
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from xbench_plugins.losses.contrastive import nt_xent
from xbench_plugins.losses.word_links import one_to_one
from xbench_plugins.objectives.word_contrastive import WordContrastive

from .fake_batch import FakeBatch, TinyEncoder
from .real_batch import tiny_encoder
from .slow_contrast import (
    PAIRS,
    check_chunks,
    check_gradient,
    close,
    gradients_after,
    others,
    ready,
    slow_loss,
    values,
)
from .slow_contrast import batch as plain_batch

# The first word of the first pair has two links.
LINKS = [
    (row, word, word)
    for row, (x, y) in enumerate(PAIRS)
    for word in range(min((len(x) + 1) // 2, (len(y) + 1) // 2))
] + [(0, 0, 1)]
CHOICES: list[dict[str, Any]] = [
    {},
    {"loss": "strong", "word_vector": "last", "depth": 2 / 3, "one_to_one": False},
    {"loss": "strong", "candidates": "all", "projection": "none", "word_vector": "mean"},
    {"candidates": "all", "temperature": 0.4, "similarity": "dot", "one_to_one": False},
]


def objective(**settings: Any) -> WordContrastive:
    return ready(WordContrastive(WordContrastive.Config(**settings)))


def batch(pairs: list[Any] = PAIRS, links: Any = LINKS, **options: Any) -> FakeBatch:
    return plain_batch(pairs, links=links, **options)


def word(view: Any, row: int, place: int, config: Any) -> Tensor:
    """One word's vector, from its tokens 2p and 2p + 1 behind the first special one."""
    end = min(2 * place + 3, int(view.attention_mask[row].sum()) - 1)
    own = view.states(config.depth)[row, 2 * place + 1 : end]
    return {"first": own[0], "last": own[-1], "mean": own.mean(0)}[config.word_vector]


def slow_words(loss: WordContrastive, b: FakeBatch) -> tuple[float, int]:
    config = loss.config
    links = [tuple(link) for link in b.links.tolist()]
    if config.one_to_one:
        links = [
            (r, i, j)
            for r, i, j in links
            if sum((r, i) == (s, k) for s, k, _ in links) == 1
            and sum((r, j) == (s, k) for s, _, k in links) == 1
        ]
    names: list[list[tuple[int, int]]] = [
        sorted({(r, i) for r, i, _ in links}),
        sorted({(r, j) for r, _, j in links}),
    ]
    if config.candidates == "all":
        names = [
            [(r, w) for r, pair in enumerate(PAIRS) for w in range((len(pair[side]) + 1) // 2)]
            for side in (0, 1)
        ]
    vectors = [
        [loss.projection(word(view, *name, config)) for name in names[side]]
        for side, view in enumerate((b.source, b.target))
    ]
    total = 0.0
    for r, i, j in links:
        places = (names[0].index((r, i)), names[1].index((r, j)))
        for own in (0, 1):
            mine, theirs = vectors[own], vectors[1 - own]
            a, p = places[own], places[1 - own]
            negatives = others(theirs, p)
            if config.loss == "strong":
                negatives += others(mine, a)
            total += slow_loss(mine[a], theirs[p], negatives, config.temperature, config.similarity)
    return total, 2 * len(links)


@pytest.mark.parametrize("settings", CHOICES)
def test_words_are_the_slow_loop(settings: dict[str, Any]) -> None:
    loss, b = objective(**settings), batch()
    total, count = slow_words(loss, b)
    assert count > 10
    assert values(loss, b)["words"] == (pytest.approx(total, rel=1e-9), count)


def linked(loss: WordContrastive, b: FakeBatch) -> tuple[Tensor, Tensor]:
    """Projected vectors of the one-to-one links."""
    rows, i, j = one_to_one(b.links).unbind(1)
    config = loss.config
    return (
        loss.projection(b.source.words(config.depth, config.word_vector)[rows, i]),
        loss.projection(b.target.words(config.depth, config.word_vector)[rows, j]),
    )


def test_strong_is_nt_xent_and_agrees_with_pytorch_metric_learning() -> None:
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    loss, b = ready(WordContrastive(WordContrastive.variants["strong"])), batch()
    u, v = linked(loss, b)
    found = loss.terms(b)["words"]
    torch.testing.assert_close(found.sum, nt_xent(u, v, 0.1)[0], rtol=1e-9, atol=0)
    labels = torch.arange(len(u)).repeat(2)
    reference = losses.NTXentLoss(0.1)(torch.cat([u, v]), labels)
    torch.testing.assert_close(found.mean, reference, rtol=1e-9, atol=1e-9)


def test_weak_agrees_with_sentence_transformers() -> None:
    losses = pytest.importorskip("sentence_transformers.sentence_transformer.losses")
    loss, b = ready(WordContrastive(WordContrastive.variants["weak"])), batch()
    reference = losses.MultipleNegativesRankingLoss(
        torch.nn.Identity(),
        scale=10.0,
        directions=("query_to_doc", "doc_to_query"),
        partition_mode="per_direction",
    )
    expected = reference.compute_loss_from_embeddings(list(linked(loss, b)), None)
    torch.testing.assert_close(loss.terms(b)["words"].mean, expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("kind", ["weak", "strong"])
def test_all_candidates_are_the_linked_ones_where_every_word_is_linked(kind: str) -> None:
    pairs = [(x[:4], y[:4]) for x, y in PAIRS if len(x) > 3 and len(y) > 3]
    links = [(row, w, w) for row in range(len(pairs)) for w in range(2)]
    assert len(pairs) > 1
    found = [
        values(objective(loss=kind, candidates=which), batch(pairs, links))["words"]
        for which in ("linked", "all")
    ]
    assert found[0] == (pytest.approx(found[1][0], rel=1e-12), found[1][1])


def test_unlinked_words_only_make_it_harder() -> None:
    few = LINKS[:3]
    for kind in ("weak", "strong"):
        linked_only, every = (
            values(objective(loss=kind, candidates=which), batch(links=few))["words"]
            for which in ("linked", "all")
        )
        assert linked_only[1] == every[1]
        assert linked_only[0] < every[0]


@pytest.mark.parametrize(("kind", "negatives"), [("weak", 3), ("strong", 6)])
def test_the_optimum_of_identical_orthonormal_words(kind: Any, negatives: int) -> None:
    class View:
        word_mask = torch.ones(1, 4, dtype=torch.bool)

        def words(self, depth: float, how: str) -> Tensor:
            return torch.eye(4, dtype=torch.float64)[None]

    class Batch:
        source = target = View()
        links = torch.tensor([[0, w, w] for w in range(4)])

    config = replace(WordContrastive.variants["gaschi"], loss=kind)
    term = WordContrastive(config).terms(Batch())["words"]
    expected = math.log(1 + negatives * math.exp(-10))
    assert float(term.mean) == pytest.approx(expected, rel=1e-9)


# The regulariser


def test_the_regulariser_is_the_norm_of_how_far_the_weights_went() -> None:
    encoder = TinyEncoder()
    loss = ready(WordContrastive(WordContrastive.Config(regulariser=0.5)), encoder)
    b = FakeBatch(encoder, PAIRS, links=LINKS)
    term = loss.terms(b)["regulariser"]
    assert (float(term.sum.detach()), term.count) == (0.0, 1)
    term.sum.backward()
    assert all(not p.grad.any() for p in encoder.parameters())  # and not NaN
    start = [p.detach().clone() for p in encoder.parameters()]
    stream = torch.Generator().manual_seed(3)
    for p in encoder.parameters():
        p.data += torch.randn(p.shape, generator=stream, dtype=p.dtype)
        p.grad = None
    squares = sum(((p - s) ** 2).sum() for p, s in zip(encoder.parameters(), start, strict=True))
    term = loss.terms(FakeBatch(encoder, PAIRS, links=LINKS))["regulariser"]
    assert float(term.sum.detach()) == pytest.approx(0.5 * math.sqrt(float(squares.detach())))
    term.sum.backward()
    direction = torch.cat([p.grad.flatten() for p in encoder.parameters()])
    assert float(direction.norm()) == pytest.approx(0.5)  # it pulls as hard wherever it is
    (p, s) = next(zip(encoder.parameters(), start, strict=True))
    assert F.cosine_similarity(p.grad.flatten(), (p - s).detach().flatten(), dim=0) > 0.999999


def test_frozen_weights_are_not_tied() -> None:
    encoder = TinyEncoder()
    encoder.words.weight.requires_grad_(False)
    loss = ready(WordContrastive(), encoder)
    encoder.words.weight += 1.0
    term = loss.terms(FakeBatch(encoder, PAIRS, links=LINKS))["regulariser"]
    assert float(term.sum.detach()) == 0.0


def test_without_a_regulariser_no_copy_is_kept() -> None:
    loss = ready(WordContrastive(WordContrastive.variants["gaschi"]))
    assert set(loss.terms(batch())) == {"words"}
    assert loss.state_dict() == {}


def test_a_restored_state_continues_bit_for_bit() -> None:
    encoder, first, second = TinyEncoder(), objective(), WordContrastive()
    second.setup(TinyEncoder(seed=4))
    encoder.own[0].weight.data += 0.1
    b = FakeBatch(encoder, PAIRS, links=LINKS)
    assert values(first, b) != values(second, b)
    second.load_state_dict(first.state_dict())
    assert values(first, b) == close(values(second, b))


def test_the_projection_is_two_layers_without_biases() -> None:
    named = {n: tuple(p.shape) for n, p in objective().projection.named_parameters()}
    assert named == {"0.weight": (6, 6), "2.weight": (128, 6)}


# What must not matter


@pytest.mark.parametrize("settings", CHOICES)
def test_padding_and_order_change_nothing(settings: dict[str, Any]) -> None:
    expected = values(objective(**settings), batch())
    order = [4, 2, 0, 5, 1, 3]
    moved = [(order.index(row), i, j) for row, i, j in LINKS]
    turned = batch([PAIRS[i] for i in order], sorted(moved, reverse=True))
    for other in (batch(padding=5), turned):
        found = values(objective(**settings), other)
        for name, (total, count) in expected.items():
            assert found[name] == (pytest.approx(total, rel=1e-12), count)


@pytest.mark.parametrize("settings", CHOICES)
def test_gradient(settings: dict[str, Any]) -> None:
    links = [link for link in LINKS if link[0] < 3]
    if settings.get("projection") != "none":
        settings = {**settings, "projection_size": 3}
    check_gradient(objective(regulariser=0.0, **settings), links=links)


@pytest.mark.parametrize("settings", CHOICES)
@pytest.mark.parametrize("sizes", [[2, 3], [1, 1, 1, 1, 1]])
def test_chunks_change_nothing(sizes: list[int], settings: dict[str, Any]) -> None:
    loss = ready(WordContrastive(WordContrastive.Config(**settings)), tiny_encoder())
    loss.start.encoder.word_embeddings.data += 0.01  # the regulariser has a direction
    check_chunks(loss, sizes)
    assert WordContrastive.coupled == {"words"}


# Degenerate input


@pytest.mark.parametrize("settings", CHOICES)
@pytest.mark.parametrize(
    ("pairs", "links"),
    [
        (PAIRS, []),
        (PAIRS, [(1, 0, 0)]),
        (PAIRS[:1], [(0, 0, 0)]),
        ([([], []), PAIRS[0]], [(1, 0, 0)]),
        ([([], [])], []),
        ([PAIRS[0], PAIRS[0]], [(0, 0, 0), (1, 0, 0)]),
    ],
    ids=["no-links", "one-link", "one-pair", "an-empty-pair", "only-an-empty-pair", "a-pair-twice"],
)
def test_degenerate_batches_give_finite_numbers(
    pairs: Any, links: Any, settings: dict[str, Any]
) -> None:
    loss = objective(**settings)
    assert all(math.isfinite(total) for total, _ in values(loss, batch(pairs, links)).values())
    assert all(g.isfinite().all() for g in gradients_after(loss, batch(pairs, links)))


def test_no_links_are_a_sum_of_zero_over_zero() -> None:
    for settings in CHOICES:
        assert values(objective(**settings), batch(links=[]))["words"] == (0.0, 0)


def test_one_link_among_linked_candidates_costs_nothing() -> None:
    for kind in ("weak", "strong"):
        assert values(objective(loss=kind), batch(links=[(1, 0, 0)]))["words"] == (0.0, 2)


def test_training_brings_linked_words_together_and_not_those_of_wrong_pairs() -> None:
    links = [(row, 0, 0) for row in range(len(PAIRS))]
    wrong = [(x, PAIRS[(i + 1) % len(PAIRS)][1]) for i, (x, _) in enumerate(PAIRS)]
    found = {}
    for name, pairs in (("true", PAIRS), ("wrong", wrong)):
        encoder = TinyEncoder()
        loss = ready(WordContrastive(WordContrastive.variants["gaschi"]), encoder)
        optimiser = torch.optim.Adam(encoder.parameters(), lr=0.02)
        for _ in range(60):
            optimiser.zero_grad()
            loss.terms(FakeBatch(encoder, pairs, links=links))["words"].mean.backward()
            optimiser.step()
        b = FakeBatch(encoder, PAIRS)
        u, v = (F.normalize(view.words()[:, 0], dim=-1) for view in (b.source, b.target))
        found[name] = float(((u @ v.T).argmax(1) == torch.arange(len(u))).double().mean())
    assert found["true"] == 1.0
    assert found["wrong"] <= 1 / len(PAIRS)  # chance


# Configuration


@pytest.mark.parametrize(
    "bad",
    [
        {"temperature": 0},
        {"loss": "joint"},
        {"candidates": "some"},
        {"word_vector": "max"},
        {"projection": "linear"},
        {"projection_size": 0},
        {"regulariser": -1},
        {"depth": 1.1},
        {"lambda_": 1},
    ],
)
def test_a_bad_setting_is_refused_and_named(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        WordContrastive.Config(**bad)


def test_variants_and_sources() -> None:
    config = WordContrastive.Config
    assert set(WordContrastive.sources) == {field.name for field in fields(config)}
    assert WordContrastive.variants["weak"] == config()
    assert WordContrastive.variants["strong"] == config(loss="strong")
    assert WordContrastive.variants["gaschi"].candidates == "all"
    assert WordContrastive.needs == {"pairs", "links"}

"""Squared distances of linked words, and of one language to where it was."""

import copy
import math
from collections import Counter
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from xbench_plugins.objectives.l2_contextual import L2Contextual

from .fake_batch import FakeBatch, TinyEncoder, random_pairs
from .real_batch import check_chunks, check_slope, gradients, real_batch, tiny_encoder
from .test_sbert_distill import moved

FEW = random_pairs(6, seed=3)
Links = list[tuple[int, int, int]]


def link_all(pairs: Any) -> Links:
    """Word w to word w of the shorter side, and the first word to the last one too."""
    found: Links = []
    for row, (x, y) in enumerate(pairs):
        sizes = [math.ceil(len(text) / 2) for text in (x, y)]
        found += [(row, w, w) for w in range(min(sizes))]
        found += [(row, 0, sizes[1] - 1)] if min(sizes) else []
    return sorted(set(found))


LINKS = link_all(FEW)
CHOICES: list[dict[str, Any]] = [
    {},
    {"reduction": "mean", "subword": "mean"},
    {"target": "frozen", "frame": False},
    {"anchored_side": "source", "one_to_one": False, "depth": 2 / 3, "subword": "first"},
    {"regulariser": 0.0},
    {"target": "frozen", "anchored_side": "source", "regulariser": 0.5, "reduction": "mean"},
]
choices = pytest.mark.parametrize("settings", CHOICES)


def objective(encoder: nn.Module, **settings: Any) -> L2Contextual:
    made = L2Contextual(L2Contextual.Config(**settings))
    made.setup(encoder)
    return made.train()


def batch(encoder: TinyEncoder, pairs: Any = FEW, links: Any = LINKS, **options: Any) -> FakeBatch:
    return FakeBatch(encoder, pairs, links=links, **options)


def values(made: L2Contextual, b: Any) -> dict[str, tuple[float, float]]:
    return {
        name: (float(term.sum.detach()), float(term.count)) for name, term in made.terms(b).items()
    }


def slow(settings: dict[str, Any], start: TinyEncoder, now: TinyEncoder) -> dict[str, float]:
    """The mean of each term, word by word."""
    config = L2Contextual.Config(**settings)
    b, b0 = batch(now), batch(start)
    swap = config.anchored_side == "source"
    x, y, y0 = (b.target, b.source, b0.source) if swap else (b.source, b.target, b0.target)

    def word(view: Any, row: int, number: int) -> Tensor:
        inside = [c for c in range(view.ids.shape[1]) if int(view._owners[row, c]) == number]
        states = [view.states(config.depth)[row, c] for c in inside]
        wanted = {"last": states[-1:], "first": states[:1], "mean": states}[config.subword]
        return torch.stack(wanted).mean(0)

    def frame(view: Any, row: int) -> list[Tensor]:
        if not config.frame:
            return []
        states = view.states(config.depth)[row][view.attention_mask[row]]
        return [states[0], states[-1]]

    links = [(r, t, s) if swap else (r, s, t) for r, s, t in LINKS]
    if config.one_to_one:
        first, second = Counter((r, i) for r, i, _ in links), Counter((r, j) for r, _, j in links)
        links = [(r, i, j) for r, i, j in links if first[r, i] == second[r, j] == 1]
    goal = y0 if config.target == "frozen" else y
    aligned = [(word(x, r, i), word(goal, r, j)) for r, i, j in links]
    held = []
    for row in range(len(FEW)):
        aligned += zip(frame(x, row), frame(goal, row), strict=True)
        held += zip(frame(y, row), frame(y0, row), strict=True)
        numbers = sorted(set(y._owners[row].tolist()) - {-1})
        held += [(word(y, row, j), word(y0, row, j)) for j in numbers]

    def mean(pairs: list[tuple[Tensor, Tensor]]) -> float:
        total = sum(float(((a - c) ** 2).sum().detach()) for a, c in pairs)
        return total / (len(FEW) if config.reduction == "sum" else len(pairs) * 6)

    found = {"alignment": mean(aligned)}
    if config.regulariser:
        found["regulariser"] = config.regulariser * mean(held)
    return found


@choices
def test_is_the_slow_loop(settings: dict[str, Any]) -> None:
    start = TinyEncoder()
    now = moved(start)
    found = values(objective(start, **settings), batch(now))
    means = {name: total / count for name, (total, count) in found.items()}
    assert means == pytest.approx(slow(settings, start, now), rel=1e-9)


def test_the_variant_efimov_is_two_mean_squared_errors() -> None:
    start = TinyEncoder()
    now = moved(start)
    pairs = [([7, 8, 9, 10], [11, 12, 13, 14])]
    b, b0 = batch(now, pairs, [(0, 0, 1), (0, 1, 0)]), batch(start, pairs)
    made = L2Contextual(L2Contextual.variants["efimov"])
    made.setup(start)

    def rows(view: Any, order: list[int]) -> Tensor:
        words, states = view.words(1.0, "mean")[0], view.states()[0]
        return torch.stack([states[0], *(words[i] for i in order), states[5]])

    expected = {
        "alignment": F.mse_loss(rows(b.source, [0, 1]), rows(b.target, [1, 0])),
        "regulariser": F.mse_loss(rows(b.target, [0, 1]), rows(b0.target, [0, 1])),
    }
    for name, term in made.terms(b).items():
        torch.testing.assert_close(term.mean, expected[name], rtol=1e-12, atol=0)


def test_before_the_first_step_the_regulariser_is_zero_and_so_is_a_frozen_target() -> None:
    encoder = tiny_encoder()
    terms = objective(encoder).terms(real_batch(encoder))
    assert float(terms["regulariser"].sum.detach()) == 0.0
    frozen = objective(encoder, target="frozen").terms(real_batch(encoder))
    torch.testing.assert_close(frozen["alignment"].sum, terms["alignment"].sum)


def test_equal_sentences_are_at_the_optimum() -> None:
    encoder = TinyEncoder()
    pairs = [(x, x) for x, _ in FEW]
    links = [(r, w, w) for r, (x, _) in enumerate(pairs) for w in range(math.ceil(len(x) / 2))]
    assert {
        total for total, _ in values(objective(encoder), batch(encoder, pairs, links)).values()
    } == {0.0}


@choices
def test_padding_and_order_change_nothing(settings: dict[str, Any]) -> None:
    made, now = objective(TinyEncoder(), **settings), moved(TinyEncoder())
    expected = values(made, batch(now))
    turned = FEW[::-1]
    links = [(len(FEW) - 1 - r, s, t) for r, s, t in LINKS]
    for other in (batch(now, padding=4), batch(now, turned, links), batch(now, links=LINKS[::-1])):
        for name, (total, count) in values(made, other).items():
            assert expected[name] == (pytest.approx(total, rel=1e-12), count)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_pairs_add_up(reduction: str) -> None:
    made, now = objective(TinyEncoder(), reduction=reduction), moved(TinyEncoder())
    whole = values(made, batch(now))
    first = values(made, batch(now, FEW[:2], [link for link in LINKS if link[0] < 2]))
    rest = [(r - 2, s, t) for r, s, t in LINKS if r >= 2]
    second = values(made, batch(now, FEW[2:], rest))
    for name, (total, count) in whole.items():
        assert first[name][0] + second[name][0] == pytest.approx(total, rel=1e-12)
        assert first[name][1] + second[name][1] == count


@choices
def test_chunks(settings: dict[str, Any]) -> None:
    check_chunks(objective(moved(tiny_encoder()), **settings), [2, 3])


@choices
def test_the_gradient_is_the_slope_and_the_encoders_alone(settings: dict[str, Any]) -> None:
    made, encoder = objective(tiny_encoder(), **settings), moved(tiny_encoder())

    def loss() -> Tensor:
        terms = made.terms(real_batch(encoder))
        return torch.stack([term.mean for term in terms.values()]).sum()

    check_slope(loss, encoder)
    assert not gradients(made)


def test_a_frozen_target_gives_the_anchored_language_no_gradient_from_the_links() -> None:
    pairs, links = [([7, 8], [21, 22])], [(0, 0, 0)]
    for target, reached in (("both", True), ("frozen", False)):
        encoder = moved(TinyEncoder())
        made = objective(TinyEncoder(), target=target, regulariser=0.0)
        made.terms(batch(encoder, pairs, links))["alignment"].sum.backward()
        assert bool(encoder.words.weight.grad[[21, 22]].any()) is reached
        assert bool(encoder.words.weight.grad[[7, 8]].any())


def test_a_copy_is_kept_only_where_it_is_read() -> None:
    assert not objective(TinyEncoder(), regulariser=0.0).state_dict()
    assert objective(TinyEncoder(), regulariser=0.0, target="frozen").state_dict()


def train(made: L2Contextual, encoder: TinyEncoder, steps: int) -> None:
    optimiser = torch.optim.SGD(encoder.parameters(), lr=0.01)
    for _ in range(steps):
        optimiser.zero_grad()
        torch.stack([t.mean for t in made.terms(batch(encoder)).values()]).sum().backward()
        optimiser.step()


def test_a_restored_state_goes_on_bit_for_bit() -> None:
    straight, first = TinyEncoder(), TinyEncoder()
    train(objective(straight), straight, 6)
    before = objective(first)
    train(before, first, 3)
    saved = copy.deepcopy((first.state_dict(), before.state_dict()))
    resumed = TinyEncoder(seed=9)
    resumed.load_state_dict(saved[0])
    after = objective(resumed)
    after.load_state_dict(saved[1])
    train(after, resumed, 3)
    for one, two in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, two)


def test_training_pulls_linked_words_together() -> None:
    encoder = TinyEncoder()
    made = objective(encoder)
    start = values(made, batch(encoder))["alignment"][0]
    train(made, encoder, 100)
    assert values(made, batch(encoder))["alignment"][0] < start / 2


@choices
@pytest.mark.parametrize(
    ("pairs", "links"),
    [
        (FEW[:1], []),
        (FEW[:1], [(0, 0, 0)]),
        ([([], [])], []),
        ([([], []), ([7], [8])], [(1, 0, 0)]),
    ],
    ids=["no-links", "one-pair", "no-words", "an-empty-pair"],
)
def test_degenerate_batches_give_finite_numbers(settings: Any, pairs: Any, links: Any) -> None:
    encoder = moved(TinyEncoder())
    terms = objective(TinyEncoder(), **settings).terms(batch(encoder, pairs, links))
    torch.stack([term.mean for term in terms.values()]).sum().backward()
    assert all(math.isfinite(float(term.mean.detach())) for term in terms.values())
    assert all(bool(g.isfinite().all()) for g in gradients(encoder).values())


def test_without_links_and_frame_there_is_nothing_to_align() -> None:
    for reduction, count in (("sum", 6), ("mean", 0)):
        made = objective(TinyEncoder(), frame=False, reduction=reduction, regulariser=0.0)
        assert values(made, batch(TinyEncoder(), links=[])) == {"alignment": (0.0, count)}


def test_settings_are_checked_and_have_their_origins() -> None:
    assert set(L2Contextual.sources) == set(L2Contextual.Config.__dataclass_fields__)
    assert next(iter(L2Contextual.variants.values())) == L2Contextual.Config()
    for wrong in ({"regulariser": -1.0}, {"subword": "middle"}, {"lambda": 1.0}):
        with pytest.raises(ValidationError):
            L2Contextual.Config(**wrong)

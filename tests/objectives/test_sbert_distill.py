"""Distillation of the encoder's own vectors of one language into both."""

import copy
import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from xbench_plugins.objectives.sbert_distill import SbertDistill

from .fake_batch import FakeBatch, TinyEncoder, random_pairs
from .real_batch import check_chunks, check_slope, gradients, real_batch, tiny_encoder

FEW = random_pairs(6)
CHOICES: list[dict[str, Any]] = [
    {},
    {"teacher_side": "target"},
    {"pooling": "cls", "depth": 2 / 3},
]
choices = pytest.mark.parametrize("settings", CHOICES)


def objective(encoder: nn.Module, **settings: Any) -> SbertDistill:
    """Set up with ``encoder`` as the teacher."""
    made = SbertDistill(SbertDistill.Config(**settings))
    made.setup(encoder)
    return made.train()


def moved(module: nn.Module, seed: int = 1) -> Any:
    """A copy with other weights."""
    other = copy.deepcopy(module)
    stream = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=stream, dtype=torch.float64)
    return other


def values(made: SbertDistill, batch: Any) -> dict[str, float]:
    terms = made.terms(batch)
    assert all(term.count == len(batch.source.ids) for term in terms.values())
    return {name: float(term.mean.detach()) for name, term in terms.items()}


@choices
def test_is_the_mean_squared_error_to_the_teachers_vectors(settings: dict[str, Any]) -> None:
    teacher = TinyEncoder()
    student = moved(teacher)
    batch, taught = FakeBatch(student, FEW), FakeBatch(teacher, FEW)
    made = objective(teacher, **settings)
    how = (made.config.depth, made.config.pooling)
    wanted = getattr(taught, made.config.teacher_side).pooled(*how).detach()
    expected = {
        side: float(nn.MSELoss()(getattr(batch, side).pooled(*how), wanted).detach())
        for side in ("source", "target")
    }
    assert values(made, batch) == pytest.approx(expected, rel=1e-12)
    assert min(expected.values()) > 0


def test_is_the_slow_loop() -> None:
    teacher = TinyEncoder()
    student = moved(teacher)
    batch, taught = FakeBatch(student, FEW), FakeBatch(teacher, FEW)
    s, f = taught.source.pooled().tolist(), batch.target.pooled().tolist()
    expected = sum(
        (a - b) ** 2 for x, y in zip(s, f, strict=True) for a, b in zip(x, y, strict=True)
    ) / (len(FEW) * 6)
    assert values(objective(teacher), batch)["target"] == pytest.approx(expected, rel=1e-12)


def test_before_the_first_step_the_teachers_language_costs_nothing() -> None:
    encoder = tiny_encoder()
    terms = objective(encoder).terms(real_batch(encoder))
    assert float(terms["source"].sum.detach()) == 0.0
    assert float(terms["target"].sum.detach()) > 0


def test_a_pair_of_equal_sentences_is_at_the_optimum() -> None:
    encoder = TinyEncoder()
    batch = FakeBatch(encoder, [(x, x) for x, _ in FEW])
    assert values(objective(encoder), batch) == {"source": 0.0, "target": 0.0}


@choices
def test_padding_and_the_order_of_the_pairs_change_nothing(settings: dict[str, Any]) -> None:
    made = objective(TinyEncoder(), **settings)
    student = moved(TinyEncoder())
    expected = pytest.approx(values(made, FakeBatch(student, FEW)), rel=1e-12)
    assert values(made, FakeBatch(student, FEW, padding=4)) == expected
    assert values(made, FakeBatch(student, FEW[::-1])) == expected


def test_the_gradient_is_the_encoders_alone() -> None:
    teacher, encoder = tiny_encoder(), moved(tiny_encoder())
    made = objective(teacher)

    def loss() -> Tensor:
        terms = made.terms(real_batch(encoder))
        return terms["source"].mean + terms["target"].mean

    check_slope(loss, encoder)
    assert gradients(encoder)
    assert not gradients(made)
    assert not [p for p in made.parameters() if p.requires_grad]


def test_chunks() -> None:
    check_chunks(objective(moved(tiny_encoder())), [2, 3])


def train(made: SbertDistill, encoder: TinyEncoder, steps: int, pairs: Any = FEW) -> None:
    optimiser = torch.optim.SGD(encoder.parameters(), lr=0.3)
    for _ in range(steps):
        optimiser.zero_grad()
        torch.stack(
            [t.mean for t in made.terms(FakeBatch(encoder, pairs)).values()]
        ).sum().backward()
        optimiser.step()
        made.after_step(encoder, 0)


def test_a_restored_state_goes_on_bit_for_bit() -> None:
    straight, first = TinyEncoder(), TinyEncoder()
    undisturbed = objective(straight)
    train(undisturbed, straight, 6)
    before = objective(first)
    train(before, first, 3)
    saved = copy.deepcopy((first.state_dict(), before.state_dict()))
    resumed = TinyEncoder(seed=9)
    resumed.load_state_dict(saved[0])
    after = objective(resumed)  # its teacher would be the encoder half-way
    after.load_state_dict(saved[1])
    train(after, resumed, 3)
    for one, two in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, two)


def test_training_brings_translations_to_the_teacher_and_keeps_its_language() -> None:
    encoder = TinyEncoder()
    made = objective(encoder)
    start = values(made, FakeBatch(encoder, FEW))
    train(made, encoder, 200)
    end = values(made, FakeBatch(encoder, FEW))
    assert end["target"] < start["target"] / 4
    assert end["source"] < start["target"] / 4


@choices
@pytest.mark.parametrize("pairs", [FEW[:1], [([], [])], [FEW[0], ([], [7])]])
def test_degenerate_batches_give_finite_numbers(settings: dict[str, Any], pairs: Any) -> None:
    student = moved(TinyEncoder())
    found = objective(TinyEncoder(), **settings).terms(FakeBatch(student, pairs))
    torch.stack([term.mean for term in found.values()]).sum().backward()
    assert all(math.isfinite(float(term.sum.detach())) for term in found.values())
    assert all(bool(g.isfinite().all()) for g in gradients(student).values())


def test_settings_are_checked_and_have_their_origins() -> None:
    assert set(SbertDistill.sources) == set(SbertDistill.Config.__dataclass_fields__)
    for wrong in ({"teacher_side": "english"}, {"depth": 1.5}, {"polling": "cls"}):
        with pytest.raises(ValidationError):
            SbertDistill.Config(**wrong)

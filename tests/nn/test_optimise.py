"""The optimiser against torch's own, transformers' schedule, and itself after an interruption."""

import copy
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import (
    get_constant_schedule_with_warmup,
    get_linear_schedule_with_warmup,
)

from xbench.nn.optimise import Optimiser, ParameterGroup, Schedule, autocast

from .batches import tiny_encoder, view

STEPS = 12


class Small(nn.Module):
    """An embedding, a norm and two layers, one of which only even steps use."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(7, 4)
        self.norm = nn.LayerNorm(4)
        self.first = nn.Linear(4, 5)
        self.sometimes = nn.Linear(5, 5)
        self.double()

    def forward(self, step: int) -> Tensor:
        ids = torch.randint(7, (6,), generator=torch.Generator().manual_seed(step))
        states = self.first(self.norm(self.words(ids)))
        if step % 2 == 0:
            states = self.sometimes(states)
        return 30 * F.cross_entropy(states, ids % 5)


def optimiser(module: nn.Module, **settings: object) -> Optimiser:
    group = ParameterGroup(tuple(module.parameters()), 0.03, matrix_dims=2)
    schedule = Schedule(STEPS, "linear", 0.25)
    return Optimiser([group], schedule, **{"weight_decay": 0.1, **settings})  # type: ignore[arg-type]


def train(module: Small, ours: Optimiser, steps: range) -> None:
    for step in steps:
        ours.backward(module(step))
        ours.step(step)


@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_it_is_adamw_with_the_usual_groups(clip: float) -> None:
    module, reference = Small(), Small()
    train(module, optimiser(module, clip=clip), range(STEPS))

    plain = ("bias", "norm.weight")
    decayed = [p for n, p in reference.named_parameters() if not n.endswith(plain)]
    other = [p for n, p in reference.named_parameters() if n.endswith(plain)]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": other, "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=0.03, betas=(0.9, 0.999), eps=1e-8, foreach=False)
    for step in range(STEPS):
        # 3 of the 12 steps rise to the peak, then 9 fall
        factor = step / 3 if step < 3 else (12 - step) / 9
        for group in adam.param_groups:
            group["lr"] = 0.03 * factor
        adam.zero_grad()
        reference(step).backward()
        if clip:
            nn.utils.clip_grad_norm_(reference.parameters(), clip)
        adam.step()
    for found, expected in zip(module.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


def test_clipping_is_over_all_groups_together() -> None:
    """With Adam's first step only signs survive, so the moments are looked at."""
    first, second = (nn.Parameter(torch.tensor([value])) for value in (1.0, 1.0))
    groups = [
        ParameterGroup((first,), 0.1, matrix_dims=2),
        ParameterGroup((second,), 0.2, matrix_dims=2),
    ]
    ours = Optimiser(groups, Schedule(1), clip=1.0)
    ours.backward(3 * first.sum() + 4 * second.sum())
    ours.step(0)
    moments = ours.tensors()
    assert moments["0.exp_avg"].item() == pytest.approx(0.1 * 3 / 5, rel=1e-5)
    assert moments["1.exp_avg"].item() == pytest.approx(0.1 * 4 / 5, rel=1e-5)
    assert (1.0 - first.item(), 1.0 - second.item()) == pytest.approx((0.1, 0.2), rel=1e-4)


def test_matrices_of_an_encoder_decay_and_biases_and_norms_do_not() -> None:
    encoder = tiny_encoder()
    before = copy.deepcopy(encoder.state_dict())
    ours = Optimiser(
        [ParameterGroup(tuple(encoder.parameters()), 0.5, matrix_dims=3)],
        Schedule(1),
        weight_decay=0.1,
    )
    for parameter in encoder.parameters():
        parameter.grad = torch.zeros_like(parameter)
    ours.step(0)
    for name, value in encoder.named_parameters():
        decays = not (name.endswith("bias") or "norm" in name)
        expected = before[name] * (1 - 0.5 * 0.1) if decays else before[name]
        torch.testing.assert_close(value.detach(), expected, atol=1e-14, rtol=0, msg=name)


def test_what_got_no_gradient_is_neither_updated_nor_decayed() -> None:
    encoder = tiny_encoder()
    before = copy.deepcopy(encoder.state_dict())
    group = ParameterGroup(tuple(encoder.parameters()), 0.1, matrix_dims=3)
    ours = Optimiser([group], Schedule(3), weight_decay=0.1, clip=1.0)
    for step in range(3):
        ours.backward(view(encoder, [[5, 6, 7]]).states(1 / 3).square().sum())
        ours.step(step)
    changed = {n for n, p in encoder.named_parameters() if not torch.equal(p, before[n])}
    assert "layers.0.query.weight" in changed
    assert not [name for name in changed if name.startswith(("layers.1", "layers.2", "mlm_head"))]


def test_gradients_do_not_pile_up() -> None:
    module = Small()
    ours = optimiser(module)
    train(module, ours, range(1))
    assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize(
    ("steps", "warmup"),
    [(10, 0.0), (20, 0.1), (30, 0.1), (100, 0.06), (7, 0.5), (1, 0), (25, 0.05), (3, 0.9)],
)
@pytest.mark.parametrize("shape", ["linear", "constant"])
def test_every_step_has_the_rate_that_transformers_gives_it(
    shape: str, steps: int, warmup: float
) -> None:
    dummy = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    rising = math.ceil(steps * warmup)  # TrainingArguments.get_warmup_steps
    if shape == "linear":
        theirs = get_linear_schedule_with_warmup(dummy, rising, steps)
    else:
        theirs = get_constant_schedule_with_warmup(dummy, rising)
    ours = Schedule(steps, shape, warmup)
    for step in range(steps):
        assert ours.factor(step) == pytest.approx(theirs.get_last_lr()[0], abs=1e-12), step
        dummy.step()
        theirs.step()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("stop", [1, 2, 7])
def test_going_on_from_saved_moments_is_bitwise_the_same(
    stop: int, precision: str, tmp_path: Path
) -> None:
    undisturbed = Small().float()
    train(undisturbed, optimiser(undisturbed, clip=1.0, precision=precision), range(STEPS))

    module = Small().float()
    ours = optimiser(module, clip=1.0, precision=precision)
    train(module, ours, range(stop))
    save_file(ours.tensors(), tmp_path / "moments.safetensors")
    weights = module.state_dict()

    resumed = Small().float()
    resumed.load_state_dict(weights)
    again = optimiser(resumed, clip=1.0, precision=precision)
    again.restore(load_file(tmp_path / "moments.safetensors"))
    train(resumed, again, range(stop, STEPS))
    for found, expected in zip(resumed.parameters(), undisturbed.parameters(), strict=True):
        assert torch.equal(found, expected)


def test_an_overflow_in_fp16_skips_the_step_and_is_remembered() -> None:
    module = Small().float()
    before = copy.deepcopy(module.state_dict())
    ours = optimiser(module, precision="fp16")
    scale = ours.tensors()["scaler.scale"].item()
    ours.backward(module(0) * torch.inf)
    ours.step(0)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert ours.tensors()["scaler.scale"].item() == scale / 2
    again = optimiser(module, precision="fp16")
    again.restore(ours.tensors())
    assert again.tensors()["scaler.scale"].item() == scale / 2


def test_precision_decides_what_products_are_computed_in() -> None:
    a = torch.ones(2, 2)
    for precision, dtype in (
        ("fp32", torch.float32),
        ("bf16", torch.bfloat16),
        ("fp16", torch.float16),
    ):
        with autocast(precision, "cpu"):
            assert (a @ a).dtype == dtype

"""Gradients of a large table that are added in place are torch's own."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xbench.nn.encoders import table_gradient, vocabulary_loss
from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.encoder_config import EncoderConfig
from xbench.nn.encoders.table_gradient import added_in_place, look_up
from xbench.nn.optimise import Optimiser, ParameterGroup, Schedule

V, D, PAD = 30, 8, 1
IDS = torch.tensor([[0, 5, 5, PAD], [29, 7, PAD, PAD]])
LABELS = torch.tensor([3, 29, 0])


@pytest.fixture(autouse=True)
def every_table_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_gradient, "LARGE", 1)


def new_table() -> nn.Parameter:
    return nn.Parameter(torch.randn(1, V, D, dtype=torch.float64, generator=torch.manual_seed(2)))


def of_torch(ids: Tensor, table: Tensor, padding_row: int | None) -> Tensor:
    return F.embedding(ids, table.squeeze(0), padding_row)


def loss(table: Tensor, rows_of: Callable[[Tensor, Tensor, int | None], Tensor]) -> Tensor:
    """Two look-ups, and the whole table."""
    rows = rows_of(IDS, table, PAD), rows_of(IDS[:, :2], table, None)
    return sum((part.sin().sum() for part in rows), start=table.square().sum())


def test_a_look_up_is_differentiated_twice() -> None:
    table = new_table()
    assert torch.autograd.gradcheck(lambda t: look_up(IDS, t, None), [table])
    assert torch.autograd.gradgradcheck(lambda t: look_up(IDS, t, None), [table])


def test_gradients_in_place_and_handed_on() -> None:
    (expected,) = torch.autograd.grad(loss(table := new_table(), of_torch), [table])
    (handed_on,) = torch.autograd.grad(loss(table, look_up), [table])
    torch.testing.assert_close(handed_on, expected)
    loss(table, look_up).backward()
    assert table.grad is not None
    torch.testing.assert_close(table.grad, expected)
    with added_in_place():  # to what is there already
        loss(table, look_up).backward()
    torch.testing.assert_close(table.grad, 2 * expected)


def test_a_frozen_table_gets_none() -> None:
    table = new_table().requires_grad_(False)
    assert not look_up(IDS, table, PAD).requires_grad
    assert table.grad is None


def new_encoder() -> Encoder:
    content = {
        "model_type": "xlm-roberta",
        "vocab_size": V,
        "hidden_size": D,
        "pad_token_id": PAD,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 20,
        "type_vocab_size": 1,
    }
    return Encoder.random(EncoderConfig.from_json(content), seed=5).double().eval()


@pytest.mark.parametrize("head", [True, False], ids=["with the MLM head", "without"])
@pytest.mark.parametrize("chunks", [1, 2])
def test_training_ends_at_the_same_weights(
    head: bool, chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alignment's steps: several texts, the tied head in blocks, parts of a batch."""

    def train() -> Encoder:
        encoder = new_encoder()
        group = ParameterGroup(tuple(encoder.parameters()), 0.01, encoder.matrix_dims)
        optimiser = Optimiser([group], Schedule(6), weight_decay=0.1, clip=1.0)
        for step in range(6):
            for chunk in range(chunks):
                ids = (IDS + step + chunk) % V
                states = encoder(ids.unsqueeze(0), (ids != PAD).unsqueeze(0))[-1]
                value = states[..., 0].square().sum() + encoder.embeddings.words(ids[None]).sum()
                if head:
                    chosen, labels = states[:, 0, :3], LABELS.unsqueeze(0)
                    value = value + encoder.mlm_losses(chosen, labels).sum()
                optimiser.backward(value)
            optimiser.step(step)
        return encoder

    monkeypatch.setattr(vocabulary_loss.tied_cross_entropy, "__defaults__", (11,))
    ours = dict(train().named_parameters())
    monkeypatch.setattr(vocabulary_loss.tied_cross_entropy, "__defaults__", (10**9,))
    monkeypatch.setattr(table_gradient, "LARGE", 10**9)
    for name, expected in train().named_parameters():
        torch.testing.assert_close(ours[name], expected, rtol=1e-9, atol=1e-12)

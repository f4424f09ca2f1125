"""A stack trains every model as it would be trained alone."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from xbench.api.batch import Vocabulary
from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.encoder_config import EncoderConfig
from xbench.nn.encoders.vocabulary import TrimmedVocabulary
from xbench.nn.heads import Head
from xbench.nn.optimise import Optimiser, ParameterGroup, Schedule
from xbench.nn.stack.batch import ReplicaBatch, stack_batches
from xbench.nn.stack.build import stack_encoders, take_out
from xbench.nn.stack.dropout import Dropout, dropped
from xbench.nn.stack.model import StackedModel
from xbench.nn.stack.optimise import StackedOptimiser
from xbench.nn.stack.training import StackedTraining
from xbench.nn.text import Text, TextFormat, pad
from xbench.nn.text_view import TextView

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
BEGIN, PAD, END, VOCABULARY, CLASSES, STEPS = 0, 1, 2, 60, 3, 12
READ = torch.arange(50)  # the ids that occur
FORMAT = TextFormat(Vocabulary(VOCABULARY, (BEGIN, PAD, END), PAD, None), (BEGIN, END))
SCHEDULE, DECAY, CLIP = Schedule(STEPS, "linear", 0.2), 0.1, 0.3


def config(model_type: str, dropout: float) -> EncoderConfig:
    content = {
        "model_type": model_type,
        "vocab_size": VOCABULARY,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 80,
        "type_vocab_size": 2 if model_type == "bert" else 1,
        "pad_token_id": PAD,
        "hidden_dropout_prob": dropout,
        "attention_probs_dropout_prob": dropout,
    }
    return EncoderConfig.from_json(content)


def batch(seed: int, step: int, kind: str) -> ReplicaBatch:
    """Four texts of 3 to 14 tokens, in every fifth step one of 50."""
    draw = np.random.default_rng([seed, step])
    lengths = [*draw.integers(1, 12, 3), 48 if step % 5 == 4 else 4]
    ids = [np.r_[BEGIN, draw.integers(3, len(READ), length), END] for length in lengths]
    content = [np.arange(1, len(text) - 1) for text in ids]
    types = [np.arange(len(text)) // 3 % 2 for text in ids] if kind == "typed" else None
    if kind in ("words", "typed"):
        places = [own[:: 1 + number] for number, own in enumerate(content)]
    else:
        places = [np.array([0]) for _ in ids]
    labels = draw.integers(0, CLASSES, sum(map(len, places)))
    return ReplicaBatch(ids, places, labels, types, content if kind == "mean" else None)


class Trained:
    """A stack of those seeds, trained."""

    def __init__(
        self,
        seeds: Sequence[int],
        of: EncoderConfig,
        kind: str = "words",
        head_dropout: float = 0.0,
        device: str = "cpu",
        half: bool = False,
        rates: Sequence[float] = (1e-3,),
        spoil: int | None = None,
    ) -> None:
        encoders = [Encoder.random(of, seed) for seed in seeds]
        if spoil is not None:
            with torch.no_grad():
                encoders[spoil].layers[0].query.weight.fill_(torch.nan)
        stacked = stack_encoders(iter(encoders), len(seeds), READ, device)
        heads = [Head(16, CLASSES, head_dropout, seed) for seed in seeds]
        self.model = StackedModel(stacked, heads, half).to(device)
        rates = [rates[number % len(rates)] for number in range(len(seeds))]
        groups = [(list(stacked.parameters()), rates), (self.model.head, [1e-2] * len(seeds))]
        training = StackedTraining(self.model, StackedOptimiser(groups, SCHEDULE, DECAY, CLIP))
        losses = []
        for step in range(STEPS):
            batches = [batch(seed, step, kind) for seed in seeds]
            streams = [(seed, "dropout", step) for seed in seeds]
            losses.append(training.step(step, batches, streams))
        training.close()
        self.losses = torch.stack(losses).cpu()

    def parameters(self, replica: int) -> dict[str, Tensor]:
        return {n: p.detach()[replica].cpu() for n, p in self.model.named_parameters()}


def alone(
    seed: int, of: EncoderConfig, kind: str, rate: float
) -> tuple[list[float], Encoder, Head]:
    """The plain path: a view, torch's own AdamW and clipping."""
    encoder = Encoder.random(of, seed).train()
    head = Head(16, CLASSES, 0.0, seed).train()
    vocabulary = TrimmedVocabulary(encoder, READ)
    groups = [
        ParameterGroup(tuple(encoder.parameters()), rate, encoder.matrix_dims),
        ParameterGroup(tuple(head.parameters()), 1e-2, 2),
    ]
    optimiser = Optimiser(groups, SCHEDULE, DECAY, CLIP)
    losses = []
    for step in range(STEPS):
        own = batch(seed, step, kind)
        types = None if own.types is None else pad(own.types, 0)
        view = TextView(encoder, Text(pad(own.ids, PAD), types), FORMAT, ("stream",))
        if kind in ("words", "typed"):
            owner = np.repeat(np.arange(len(own.ids)), [len(p) for p in own.places])
            features = view.states(1.0)[owner, np.concatenate(own.places)]
        else:
            features = view.pooled(1.0, kind)
        loss = F.cross_entropy(head(features), torch.from_numpy(own.labels))
        losses.append(float(loss.detach()))
        optimiser.backward(loss)
        optimiser.step(step)
    vocabulary.restore(SCHEDULE.decay(rate, DECAY))
    return losses, encoder, head


@pytest.mark.parametrize(
    ("model_type", "kind"),
    [("xlm-roberta", "words"), ("xlm-roberta", "mean"), ("bert", "typed"), ("bert", "cls")],
)
def test_a_stack_gives_the_weights_of_the_plain_path(model_type: str, kind: str) -> None:
    of, rates = config(model_type, dropout=0.0), (1e-3, 3e-3, 5e-4)
    stack = Trained([7, 8, 9], of, kind, rates=rates)
    for replica, rate in enumerate(rates):
        losses, encoder, head = alone(7 + replica, of, kind, rate)
        torch.testing.assert_close(
            stack.losses[:, replica], torch.tensor(losses), atol=1e-5, rtol=1e-4
        )
        taken = Encoder.random(of, 7 + replica)
        take_out(stack.model.encoder, replica, taken, READ, SCHEDULE.decay(rate, DECAY))
        for (name, own), wanted in zip(taken.named_parameters(), encoder.parameters(), strict=True):
            assert torch.equal(own.isnan(), wanted.isnan())
            torch.testing.assert_close(own, wanted, atol=3e-4, rtol=1e-3, msg=name)
        own_head = [parameter[replica] for parameter in stack.model.head]
        for own, wanted in zip(own_head, head.parameters(), strict=True):
            torch.testing.assert_close(own, wanted, atol=3e-4, rtol=1e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_a_replica_does_not_depend_on_its_neighbours(device: str) -> None:
    of = config("xlm-roberta", dropout=0.1)
    together = Trained([3, 4, 5], of, head_dropout=0.2, device=device)
    assert not torch.allclose(together.losses[:, 0], together.losses[:, 1])
    for replica, seed in enumerate([3, 4, 5]):
        apart = Trained([seed], of, head_dropout=0.2, device=device)
        torch.testing.assert_close(
            together.losses[:, replica], apart.losses[:, 0], atol=1e-5, rtol=1e-4
        )
        for name, value in apart.parameters(0).items():
            torch.testing.assert_close(
                together.parameters(replica)[name], value, atol=3e-4, rtol=1e-3, msg=name
            )


@pytest.mark.parametrize("device", DEVICES)
def test_a_replica_that_is_spoilt_spoils_no_other(device: str) -> None:
    of = config("xlm-roberta", dropout=0.1)
    spoilt, whole = (Trained([3, 4, 5], of, device=device, spoil=s) for s in (1, None))
    assert spoilt.losses[:, 1].isnan().all()
    torch.testing.assert_close(spoilt.losses[:, [0, 2]], whole.losses[:, [0, 2]])


@pytest.mark.parametrize("device", DEVICES)
def test_half_precision_is_near_float32(device: str) -> None:
    of = config("xlm-roberta", dropout=0.1)
    half, whole = (Trained([3, 4], of, device=device, half=h) for h in (True, False))
    torch.testing.assert_close(half.losses, whole.losses, atol=0.02, rtol=0.02)
    assert not torch.equal(half.losses, whole.losses)
    assert half.model.weight.dtype is torch.float32


def test_dropout_drops_what_it_says_and_keeps_the_mean() -> None:
    of = replace(config("xlm-roberta", dropout=0.0), hidden_dropout=0.4, attention_dropout=0.3)
    dropout = Dropout(of, head=0.2)
    stacked, layouts = stack_batches([batch(seed, 4, "words") for seed in range(20)], of)
    masks = dropout.empty(stacked)
    dropout.draw(masks, layouts, [(seed, "dropout") for seed in range(20)])
    assert masks.hidden is not None
    assert masks.attention is not None
    assert masks.head is not None
    for replica, layout in enumerate(layouts):
        assert masks.hidden[:, replica, layout.tokens].float().mean() == pytest.approx(
            0.6, abs=0.05
        )
        assert masks.head[replica, : layout.labelled].float().mean() == pytest.approx(0.8, abs=0.12)
    inside = stacked.owners.unsqueeze(3) == stacked.owners.unsqueeze(2)
    inside = inside & (stacked.owners >= 0).unsqueeze(3)
    by_pair = masks.attention.permute(1, 2, 4, 5, 0, 3)[inside]
    assert by_pair.float().mean() == pytest.approx(0.7, abs=0.01)
    states = torch.ones(20, *masks.hidden.shape[2:])
    first = dropped(states, masks.hidden[0], 0.4)
    assert set(first.unique().tolist()) <= {0.0, float(torch.tensor(1.0) / 0.6)}


def test_encoders_of_another_shape_are_refused() -> None:
    shapes = [config("xlm-roberta", 0.0), replace(config("xlm-roberta", 0.0), intermediate_size=48)]
    with pytest.raises(ValueError, match=r"encoders of a stack differ: layers\.0\.expand"):
        stack_encoders((Encoder.random(of, 0) for of in shapes), 2, READ, "cpu")

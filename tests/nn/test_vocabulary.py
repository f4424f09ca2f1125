"""Training with some rows of the word embeddings is training with all of them."""

import pytest
import torch
from torch import Tensor

from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.encoder_config import EncoderConfig
from xbench.nn.encoders.vocabulary import TrimmedVocabulary
from xbench.nn.optimise import Optimiser, ParameterGroup, Schedule

PAD, VOCABULARY, STEPS, RATE = 1, 60, 6, 0.01


def new_encoder(model_type: str, replicas: int = 1) -> Encoder:
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    content = {
        "model_type": model_type,
        "vocab_size": VOCABULARY,
        "intermediate_size": 16,
        "max_position_embeddings": 20,
        "type_vocab_size": 1,
        "pad_token_id": PAD,
        **sizes,
    }
    encoder = Encoder.random(EncoderConfig.from_json(content), seed=5, replicas=replicas)
    return encoder.double().eval()


def batches(replicas: int) -> list[Tensor]:
    """[R, B, T] for each step: some of the ids alone, with padding."""
    generator = torch.Generator().manual_seed(2)
    known = torch.tensor([0, 2, 3, 17, 18, 40, 59])
    found = []
    for _ in range(STEPS):
        drawn = torch.randint(len(known), (replicas, 3, 7), generator=generator)
        ids = known[drawn]
        ids[:, 1, 5:] = PAD
        found.append(ids)
    return found


def train(encoder: Encoder, trimmed: bool, weight_decay: float, shape: str, clip: float) -> Encoder:
    steps = batches(encoder.replicas)
    read = torch.cat([ids.flatten() for ids in steps]).unique()
    vocabulary = TrimmedVocabulary(encoder, read) if trimmed else None
    group = ParameterGroup(tuple(encoder.parameters()), RATE, encoder.matrix_dims)
    optimiser = Optimiser([group], Schedule(STEPS, shape, 0.3), weight_decay, clip)
    for step, ids in enumerate(steps):
        *_, last = encoder(ids, ids != PAD)
        optimiser.backward(last.square()[..., 0].sum())
        optimiser.step(step)
    if vocabulary is not None:
        vocabulary.restore(optimiser.schedule.decay(RATE, weight_decay))
    return encoder


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("model_type", ["xlm-roberta", "bert"])
@pytest.mark.parametrize(
    ("shape", "weight_decay"), [("linear", 0.5), ("constant", 0.1), ("linear", 0)]
)
def test_all_weights_are_those_of_training_the_whole_matrix(
    model_type: str, replicas: int, shape: str, weight_decay: float
) -> None:
    settings = (weight_decay, shape, 0.1)
    whole = train(new_encoder(model_type, replicas), False, *settings)
    trimmed = train(new_encoder(model_type, replicas), True, *settings)
    before = new_encoder(model_type, replicas).word_embeddings
    expected = dict(whole.named_parameters())
    for name, value in trimmed.named_parameters():
        torch.testing.assert_close(value, expected[name], rtol=1e-9, atol=1e-12)
    read = torch.unique(torch.cat([ids.flatten() for ids in batches(1)]))
    unread = [row for row in range(VOCABULARY) if row not in read.tolist()]
    same = torch.equal(before[:, unread], trimmed.word_embeddings[:, unread])
    assert same == (weight_decay == 0)
    assert not torch.equal(before[:, read], trimmed.word_embeddings[:, read])


def test_it_is_the_same_encoder_meanwhile() -> None:
    encoder = new_encoder("xlm-roberta")
    (ids, *_) = batches(1)
    before = encoder(ids, ids != PAD)
    names = list(dict(encoder.named_parameters()))
    vocabulary = TrimmedVocabulary(encoder, ids.flatten())
    assert encoder.word_embeddings.shape[1] <= 8
    for layer, states in enumerate(encoder(ids, ids != PAD)):
        assert torch.equal(states, before[layer])
    assert list(dict(encoder.named_parameters())) == names
    vocabulary.restore(1.0)
    assert encoder.word_embeddings.shape[1] == VOCABULARY


def test_an_id_that_was_left_out_is_an_error() -> None:
    encoder = new_encoder("xlm-roberta")
    TrimmedVocabulary(encoder, torch.tensor([0, 2, 3]))
    with pytest.raises(IndexError):
        encoder.embed(torch.full((1, 1, 2), 40))

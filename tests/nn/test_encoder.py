"""What the encoder computes: depth, masks, padding, dropout, precision, replicas."""

import pytest
import torch
from torch import Tensor

from xbench.nn.encoders.encoder import MASKED, Encoder
from xbench.nn.encoders.encoder_config import EncoderConfig

XLMR = EncoderConfig(
    model_type="xlm-roberta",
    vocab_size=60,
    hidden_size=32,
    num_layers=3,
    num_heads=4,
    intermediate_size=48,
    max_positions=24,
    type_vocab_size=2,
    layer_norm_eps=1e-5,
    hidden_dropout=0.1,
    attention_dropout=0.1,
    activation="gelu",
    pad_id=1,
)
BERT = EncoderConfig(**{**vars(XLMR), "model_type": "bert", "pad_id": 0, "layer_norm_eps": 1e-12})
CONFIGS = pytest.mark.parametrize("config", [XLMR, BERT], ids=["xlm-roberta", "bert"])


def lively(config: EncoderConfig, seed: int = 0, replicas: int = 1) -> Encoder:
    """A random encoder whose biases and norms are random too, so that each of them matters."""
    encoder = Encoder.random(config, seed, replicas).double().eval()
    for replica in range(replicas):
        generator = torch.Generator().manual_seed(1000 + seed + replica)
        for parameter in encoder.parameters():
            noise = torch.randn(parameter.shape[1:], generator=generator, dtype=torch.float64)
            parameter.data[replica] += 0.2 * noise
    return encoder


def some_ids(config: EncoderConfig, *shape: int, seed: int = 0) -> Tensor:
    """Random ids without padding."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(5, config.vocab_size, shape, generator=generator)


@pytest.mark.parametrize(
    ("layers", "depth", "expected"),
    [
        (12, 0, 0), (12, 1 / 3, 4), (12, 2 / 3, 8), (12, 1, 12),
        (6, 0.25, 2), (6, 7 / 12, 4), (6, 0.74, 4), (6, 0.1, 1), (6, 0.08, 0),
        (4, 1 / 3, 1), (4, 2 / 3, 3), (2, 0.25, 1), (2, 0.24, 0),
        (11, 15 / 22, 8), (13, 15 / 26, 8),
    ],
)  # fmt: skip
def test_depth_is_rounded_half_up(layers: int, depth: float, expected: int) -> None:
    config = EncoderConfig(**{**vars(XLMR), "num_layers": layers})
    assert Encoder.random(config, seed=0).layer_at(depth) == expected


@pytest.mark.parametrize("depth", [-0.01, 1.01, float("nan"), 4])
def test_a_depth_outside_0_to_1_is_refused(depth: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Encoder.random(XLMR, seed=0).layer_at(depth)


@CONFIGS
def test_layers_one_by_one_equal_forward(config: EncoderConfig) -> None:
    encoder, ids = lively(config), some_ids(config, 1, 3, 7)
    mask = torch.ones_like(ids)
    states = encoder(ids, mask)
    assert len(states) == config.num_layers + 1
    state, bias = encoder.embed(ids), encoder.attention_bias(mask)
    for index, expected in enumerate(states[1:]):
        state = encoder.layer(index, state, bias)
        torch.testing.assert_close(state, expected)
    assert len(encoder(ids, mask, layers=1)) == 2
    with pytest.raises(ValueError, match="expected 0 to 3"):
        encoder(ids, mask, layers=4)


@CONFIGS
def test_more_padding_changes_nothing(config: EncoderConfig) -> None:
    encoder, ids = lively(config), some_ids(config, 1, 3, 9)
    expected = encoder(ids, torch.ones_like(ids))
    padded = torch.full((1, 3, 17), config.pad_id)
    padded[:, :, :9] = ids
    mask = torch.zeros_like(padded)
    mask[:, :, :9] = 1
    for state, reference in zip(encoder(padded, mask), expected, strict=True):
        torch.testing.assert_close(state[:, :, :9], reference, atol=1e-12, rtol=0)


@CONFIGS
def test_what_stands_at_masked_places_does_not_matter(config: EncoderConfig) -> None:
    encoder, ids = lively(config), some_ids(config, 1, 2, 9)
    mask = torch.ones_like(ids)
    mask[:, :, 6:] = 0
    other = ids.clone()
    other[:, :, 6:] = some_ids(config, 1, 2, 3, seed=9)
    assert not torch.equal(ids, other)
    states, others = encoder(ids, mask)[-1], encoder(other, mask)[-1]
    torch.testing.assert_close(states[:, :, :6], others[:, :, :6])
    assert not torch.equal(states[:, :, 6:], others[:, :, 6:])


def test_a_custom_mask_keeps_segments_apart() -> None:
    """Two sentences packed in one row: no value and no gradient passes between them."""
    encoder, ids = lively(XLMR), some_ids(XLMR, 1, 2, 10)
    first = torch.arange(10) < 4
    mask = (first[:, None] == first[None, :]).expand(1, 2, 10, 10)
    bias = encoder.attention_bias(mask)
    assert bias.shape == (2, 1, 10, 10)
    start = encoder.embed(ids).detach().requires_grad_()
    packed = run_layers(encoder, start, bias)
    (gradient,) = torch.autograd.grad(packed[:, :, :4].square().sum(), start, retain_graph=True)
    assert gradient[:, :, :4].abs().max() > 0
    assert gradient[:, :, 4:].abs().max() == 0
    alone = run_layers(encoder, start[:, :, :4], encoder.attention_bias(torch.ones(1, 2, 4)))
    torch.testing.assert_close(packed[:, :, :4], alone, atol=1e-12, rtol=0)


def run_layers(encoder: Encoder, state: Tensor, bias: Tensor) -> Tensor:
    for index in range(encoder.config.num_layers):
        state = encoder.layer(index, state, bias)
    return state


def test_a_sentence_of_padding_only_stays_finite() -> None:
    encoder = Encoder.random(XLMR, seed=0)
    ids = torch.full((1, 2, 5), XLMR.pad_id)
    ids[0, 0] = 7
    state = encoder(ids, ids != XLMR.pad_id)[-1]
    state.sum().backward()
    assert state.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_masking_value_is_finite_and_gives_weight_0(dtype: torch.dtype) -> None:
    bias = torch.tensor([0.0, MASKED]).to(dtype)
    assert bias.isfinite().all()
    assert bias.softmax(0)[1] == 0


@CONFIGS
def test_replicas_equal_separate_encoders(config: EncoderConfig) -> None:
    """States, logits and every gradient of 3 replicas with weights and inputs of their own."""
    stack = lively(config, seed=5, replicas=3)
    ids, types = some_ids(config, 3, 2, 8), some_ids(config, 3, 2, 8, seed=1) % 2
    ids[:, 1, 6:] = config.pad_id
    mask = ids != config.pad_id
    weights = torch.randn(3, 2, 8, config.hidden_size, dtype=torch.float64)

    def loss(encoder: Encoder, part: slice) -> tuple[Tensor, list[Tensor], Tensor]:
        states = encoder(ids[part], mask[part], types[part])
        logits = encoder.mlm_logits(states[-1][:, :, 2])
        total = sum((state * weights[part]).sum() for state in states)
        return total + logits.square().sum(), states, logits

    total, states, logits = loss(stack, slice(0, 3))
    total.backward()
    for replica in range(3):
        single, part = lively(config, seed=5 + replica), slice(replica, replica + 1)
        total, own_states, own_logits = loss(single, part)
        total.backward()
        for ours, theirs in zip(states, own_states, strict=True):
            torch.testing.assert_close(ours[part], theirs, atol=1e-10, rtol=0)
        torch.testing.assert_close(logits[part], own_logits, atol=1e-10, rtol=0)
        for (name, ours), theirs in zip(stack.named_parameters(), single.parameters(), strict=True):
            torch.testing.assert_close(ours[part], theirs)
            torch.testing.assert_close(
                ours.grad[part], theirs.grad, atol=1e-8, rtol=1e-10, msg=lambda m, n=name: n + m
            )


def test_replicas_in_float32_equal_separate_encoders() -> None:
    stack = Encoder.random(XLMR, seed=0, replicas=2).eval()
    ids = some_ids(XLMR, 2, 3, 8)
    state = stack(ids, torch.ones_like(ids))[-1]
    for replica in range(2):
        part = slice(replica, replica + 1)
        single = Encoder.random(XLMR, seed=replica).eval()
        expected = single(ids[part], torch.ones_like(ids[part]))[-1]
        torch.testing.assert_close(state[part], expected, atol=1e-5, rtol=0)


def test_random_weights_follow_the_seed_and_hugging_face() -> None:
    big = EncoderConfig(**{**vars(XLMR), "hidden_size": 128, "vocab_size": 400})
    encoder, again = Encoder.random(big, seed=3), Encoder.random(big, seed=3)
    other = Encoder.random(big, seed=4)
    assert torch.equal(encoder.word_embeddings, again.word_embeddings)
    assert not torch.equal(encoder.word_embeddings, other.word_embeddings)
    assert encoder.word_embeddings.std().item() == pytest.approx(0.02, rel=0.02)
    assert encoder.layers[0].query.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert encoder.word_embeddings[0, big.pad_id].abs().max() == 0
    assert torch.equal(encoder.layers[0].output_norm.weight, torch.ones(1, 128))
    assert all(p.isfinite().all() for p in encoder.parameters())


def test_layers_that_were_not_run_get_no_gradient() -> None:
    encoder, ids = Encoder.random(XLMR, seed=0), some_ids(XLMR, 1, 2, 5)
    encoder(ids, torch.ones_like(ids), layers=1)[-1].sum().backward()
    assert encoder.layers[0].query.weight.grad is not None
    assert all(p.grad is None for p in encoder.layers[1:].parameters())
    assert all(p.grad is None for p in encoder.mlm_head.parameters())


@pytest.mark.parametrize("replicas", [1, 2])
def test_padding_rows_get_no_gradient(replicas: int) -> None:
    """As in transformers, even where a careless loss reads the states of padding."""
    encoder = Encoder.random(XLMR, seed=0, replicas=replicas)
    ids = some_ids(XLMR, replicas, 2, 5)
    ids[:, 0, 3:] = XLMR.pad_id
    encoder(ids, ids != XLMR.pad_id)[-1].square().sum().backward()
    for table in (encoder.embeddings.words, encoder.embeddings.positions):
        assert table.weight.grad[:, XLMR.pad_id].abs().max() == 0
        assert (table.weight.grad.abs().amax((1, 2)) > 0).all()


def test_dropout_acts_in_train_mode_only() -> None:
    encoder, ids = Encoder.random(XLMR, seed=0), some_ids(XLMR, 1, 2, 6)
    mask = torch.ones_like(ids)
    encoder.eval()
    still = encoder(ids, mask)[-1]
    assert torch.equal(still, encoder(ids, mask)[-1])
    encoder.train()
    assert not torch.equal(encoder(ids, mask)[-1], encoder(ids, mask)[-1])


@pytest.mark.parametrize("replicas", [1, 2])
def test_bf16_autocast_is_close_to_float32(replicas: int) -> None:
    encoder = Encoder.random(XLMR, seed=0, replicas=replicas).eval()
    ids = some_ids(XLMR, replicas, 3, 8)
    ids[:, 1, 5:] = XLMR.pad_id
    mask = ids != XLMR.pad_id
    exact = encoder(ids, mask)[-1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = encoder(ids, mask)
        logits = encoder.mlm_logits(states[-1].flatten(1, 2))
    assert logits.dtype == torch.bfloat16
    assert not torch.equal(states[-1], exact)
    torch.testing.assert_close(states[-1].float(), exact, atol=0.1, rtol=0)
    logits.float().logsumexp(-1).sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in encoder.parameters() if p.grad is not None)


@pytest.mark.parametrize("replicas", [1, 2])
def test_nothing_depends_on_values_in_python(replicas: int) -> None:
    """A tensor without data would raise where the host reads one, as a GPU would have to wait."""
    encoder = Encoder.random(XLMR, seed=0, replicas=replicas).to("meta")
    ids = torch.zeros(replicas, 2, 6, dtype=torch.long, device="meta")
    states = encoder(ids, torch.ones_like(ids), torch.zeros_like(ids))
    logits = encoder.mlm_logits(states[-1][:, :, 0])
    assert logits.shape == (replicas, 2, XLMR.vocab_size)
    logits.sum().backward()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("replicas", [1, 3])
def test_cuda_equals_cpu(replicas: int) -> None:
    encoder, ids = lively(XLMR, replicas=replicas), some_ids(XLMR, replicas, 2, 6)
    expected = encoder(ids, torch.ones_like(ids))[-1]
    ids = ids.cuda()
    state = encoder.cuda()(ids, torch.ones_like(ids))[-1]
    torch.testing.assert_close(state.cpu(), expected, atol=1e-9, rtol=0)


def test_wrong_shapes_are_refused() -> None:
    encoder = Encoder.random(XLMR, seed=0, replicas=2)
    with pytest.raises(ValueError, match=r"\[3, 4\], expected \[2, B, T\]"):
        encoder.embed(some_ids(XLMR, 3, 4))
    with pytest.raises(ValueError, match=r"expected \[2, B, T\]"):
        encoder.embed(some_ids(XLMR, 1, 3, 4))
    with pytest.raises(ValueError, match="attention mask has the shape"):
        encoder.attention_bias(torch.ones(3, 4))
    with pytest.raises(ValueError, match="takes at most 24"):
        encoder.embed(some_ids(XLMR, 2, 1, 25))
    encoder.embed(some_ids(XLMR, 2, 1, 24))
    with pytest.raises(ValueError, match="at least 1"):
        Encoder(XLMR, replicas=0)


def test_an_encoder_without_mlm_head_says_so() -> None:
    encoder = Encoder.random(XLMR, seed=0, has_mlm_head=False)
    assert not encoder.has_mlm_head
    with pytest.raises(ValueError, match="no MLM head"):
        encoder.mlm_logits(torch.zeros(1, 2, 32))

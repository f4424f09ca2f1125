"""The encoder against transformers: states, logits, gradients, and folders in both directions."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor

from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.hf_weights import file_names

from .. import real

SHAPES = {
    "xlmr-2x32": (transformers.XLMRobertaConfig, 2, 32, 4, {"type_vocab_size": 1}),
    "xlmr-4x64": (transformers.XLMRobertaConfig, 4, 64, 2, {"pad_token_id": 3}),
    "roberta-3x48": (transformers.RobertaConfig, 3, 48, 6, {"layer_norm_eps": 1e-5}),
    "roberta-relu": (transformers.RobertaConfig, 2, 32, 8, {"hidden_act": "relu"}),
    "camembert": (transformers.CamembertConfig, 2, 32, 4, {}),
    "bert-4x96": (transformers.BertConfig, 4, 96, 8, {"type_vocab_size": 3}),
    "bert-2x32": (transformers.BertConfig, 2, 32, 1, {"hidden_act": "gelu_new"}),
}
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-11}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity_error()
    yield
    transformers.logging.enable_progress_bar()
    transformers.logging.set_verbosity_warning()


def reference(shape: str, attention: str = "sdpa", model: str = "MaskedLM"):
    """A transformers model with lively weights: norms and biases are random too."""
    kind, layers, hidden, heads, others = SHAPES[shape]
    sizes = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads}
    config = kind(
        vocab_size=70, intermediate_size=2 * hidden + 8, max_position_embeddings=40,
        **{"pad_token_id": 0 if kind is transformers.BertConfig else 1, **sizes, **others},
    )  # fmt: skip
    auto = getattr(transformers, f"AutoModelFor{model}" if model else "AutoModel")
    torch.manual_seed(7)
    found = auto.from_config(config, attn_implementation=attention).eval()
    with torch.no_grad():
        for parameter in found.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return found


def inputs(config, padded: bool) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, config.vocab_size, (3, 11), generator=generator)
    types = torch.randint(0, config.type_vocab_size, (3, 11), generator=generator)
    mask = torch.ones_like(ids)
    if padded:
        mask[1, 4:] = 0
        mask[2, 10:] = 0
        ids[mask == 0] = config.pad_token_id
    return ids, mask, types


def losses(states: list[Tensor], logits: Tensor, mask: Tensor) -> Tensor:
    """A number that every real position of every layer and all logits enter."""
    generator = torch.Generator().manual_seed(2)
    total = torch.zeros((), dtype=logits.dtype)
    for state in states:
        weights = torch.randn(state.shape, generator=generator).to(state)
        total = total + (state * weights * mask[..., None]).sum() / 100
    return total + (logits.logsumexp(-1) * mask).sum() / 100


@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("shape", SHAPES)
def test_states_logits_and_gradients_equal_transformers(
    tmp_path: Path, shape: str, attention: str, dtype: torch.dtype, padded: bool
) -> None:
    theirs = reference(shape, attention)
    theirs.save_pretrained(tmp_path)
    ours, theirs = Encoder.from_folder(tmp_path).to(dtype).eval(), theirs.to(dtype)
    ids, mask, types = inputs(theirs.config, padded)

    expected = theirs(ids, mask, types, output_hidden_states=True)
    losses(list(expected.hidden_states), expected.logits, mask).backward()
    states = ours(ids[None], mask[None], types[None])
    logits = ours.mlm_logits(states[-1].flatten(1, 2))[0].view_as(expected.logits)
    losses([state[0] for state in states], logits, mask).backward()

    real, close = mask.bool(), {"atol": TOLERANCE[dtype], "rtol": TOLERANCE[dtype]}
    for state, other in zip(states, expected.hidden_states, strict=True):
        torch.testing.assert_close(state[0][real], other[real], **close)
    torch.testing.assert_close(logits[real], expected.logits[real], **close)
    _compare_gradients(ours, theirs, close)


def _compare_gradients(ours: Encoder, theirs: torch.nn.Module, close: dict[str, float]) -> None:
    names = file_names(ours.config, True, "roberta." if ours.config.is_roberta else "bert.")
    others = dict(theirs.named_parameters(remove_duplicate=False))  # the tied decoder has 2 names
    assert {id(others[name]) for name in names.values()} == set(map(id, theirs.parameters()))
    for name, parameter in ours.named_parameters():
        other = others[names[name]].grad
        assert other.abs().max() > 0 or name.endswith("key.bias"), name
        torch.testing.assert_close(
            parameter.grad[0], other, **close, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("shape", ["xlmr-2x32", "bert-4x96"])
def test_token_types_default_to_0(tmp_path: Path, shape: str) -> None:
    theirs = reference(shape)
    theirs.save_pretrained(tmp_path)
    ids, mask, _ = inputs(theirs.config, padded=True)
    expected = theirs.base_model(ids, mask).last_hidden_state
    state = Encoder.from_folder(tmp_path).eval()(ids[None], mask[None])[-1][0]
    torch.testing.assert_close(state[mask.bool()], expected[mask.bool()], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", ["xlmr-2x32", "bert-2x32"])
def test_a_custom_mask_equals_transformers_additive_mask(tmp_path: Path, shape: str) -> None:
    theirs = reference(shape, "eager")
    theirs.save_pretrained(tmp_path)
    ours = Encoder.from_folder(tmp_path).eval()
    ids, _, _ = inputs(theirs.config, padded=False)
    generator = torch.Generator().manual_seed(3)
    mask = torch.rand(3, 11, 11, generator=generator) < 0.5
    mask |= torch.eye(11, dtype=torch.bool)
    additive = torch.zeros(3, 1, 11, 11).masked_fill(~mask[:, None], torch.finfo().min)
    expected = theirs.base_model(ids, additive).last_hidden_state
    state = ours(ids[None], mask[None])[-1][0]
    torch.testing.assert_close(state, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("replica", [0, 2])
@pytest.mark.parametrize("shape", ["xlmr-4x64", "roberta-3x48", "camembert", "bert-4x96"])
def test_transformers_loads_what_was_saved(tmp_path: Path, shape: str, replica: int) -> None:
    reference(shape).save_pretrained(tmp_path / "read")
    ours = Encoder.from_folder(tmp_path / "read", replicas=3).eval()
    with torch.no_grad():  # training would make the replicas differ
        for parameter in ours.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    ours.save(tmp_path / "written", replica)
    theirs, report = transformers.AutoModelForMaskedLM.from_pretrained(
        tmp_path / "written", output_loading_info=True
    )
    assert not any(report.values()), report
    ids, mask, types = inputs(theirs.config, padded=True)
    expected = theirs.eval()(ids, mask, types, output_hidden_states=True)
    stacked = [part.expand(3, *part.shape) for part in (ids, mask, types)]
    state = ours(*stacked)[-1]
    logits = ours.mlm_logits(state.flatten(1, 2))[replica].view_as(expected.logits)
    torch.testing.assert_close(logits, expected.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(state[replica], expected.hidden_states[-1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", ["xlmr-2x32", "bert-2x32"])
def test_a_bare_encoder_comes_back_bare(tmp_path: Path, shape: str) -> None:
    theirs = reference(shape, model="")
    theirs.save_pretrained(tmp_path / "read")
    ours = Encoder.from_folder(tmp_path / "read").eval()
    assert not ours.has_mlm_head
    ours.save(tmp_path / "written")
    again = transformers.AutoModel.from_pretrained(tmp_path / "written", add_pooling_layer=False)
    ids, mask, _ = inputs(theirs.config, padded=True)
    expected = theirs(ids, mask).last_hidden_state
    torch.testing.assert_close(again.eval()(ids, mask).last_hidden_state, expected)
    state = ours(ids[None], mask[None])[-1][0]
    torch.testing.assert_close(state, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["xlm-roberta", "bert"])
def test_transformers_loads_a_random_encoder(tmp_path: Path, kind: str) -> None:
    reference("xlmr-4x64" if kind == "xlm-roberta" else "bert-4x96").save_pretrained(tmp_path)
    config = Encoder.from_folder(tmp_path).config
    ours = Encoder.random(config, seed=1).eval()
    ours.save(tmp_path / "random")
    assert Encoder.from_folder(tmp_path / "random").config == config
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "random").eval()
    assert theirs.config.architectures == [type(theirs).__name__]
    ids, mask, _ = inputs(theirs.config, padded=True)
    logits = ours.mlm_logits(ours(ids[None], mask[None])[-1].flatten(1, 2))[0]
    expected = theirs(ids, mask).logits
    torch.testing.assert_close(logits.view_as(expected), expected, atol=1e-5, rtol=1e-5)


def test_the_small_real_encoder_equals_transformers(tmp_path: Path) -> None:
    folder = real.folder("XBENCH_MODELS") / "xlmr-small"
    ours = Encoder.from_folder(folder).eval()
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids, mask, _ = inputs(theirs.config, padded=True)
    with torch.no_grad():
        expected = theirs(ids, mask, output_hidden_states=True)
        states = ours(ids[None], mask[None])
        logits = ours.mlm_logits(states[-1].flatten(1, 2))[0].view_as(expected.logits)
    for state, other in zip(states, expected.hidden_states, strict=True):
        torch.testing.assert_close(state[0], other, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits, expected.logits, atol=1e-5, rtol=1e-5)
    ours.save(tmp_path)
    again = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    assert again.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(again(ids, mask).logits, expected.logits)

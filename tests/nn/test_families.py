"""DeBERTa-v3 and ModernBERT, block by block, against transformers; BERT and RoBERTa on the way."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from xbench.api import FrozenCopy
from xbench.data.tokenizer import Tokenizer
from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.encoder_config import EncoderFolderError
from xbench.nn.encoders.loading import load_encoder
from xbench.nn.encoders.transformers_encoder import TransformersEncoder
from xbench.nn.optimise import Optimiser, ParameterGroup, Schedule
from xbench.nn.training_state import TrainingState
from xbench.stages.resources import text_format

from .families import model_folder

OTHERS = ("deberta-v2", "modernbert")
others = pytest.mark.parametrize("kind", OTHERS)
IDS = torch.tensor(
    [[2, 9, 14, 25, 33, 41, 52, 61, 70, 84, 91, 3], [2, 17, 8, 44, 3, 0, 0, 0, 0, 0, 0, 0]]
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    return {kind: model_folder(root / kind, kind) for kind in (*OTHERS, "bert", "roberta")}


def reference(folder: Path, dtype: torch.dtype = torch.float64) -> Any:
    # Its eager attention has a softmax in float32, and NaN where a window holds no token.
    attention = "eager" if "deberta" in str(folder) else "sdpa"
    model = transformers.AutoModelForMaskedLM.from_pretrained(
        folder, dtype=dtype, attn_implementation=attention
    )
    return model.eval()


def states(encoder: Any, ids: Tensor, mask: Tensor) -> list[Tensor]:
    bias = encoder.attention_bias(mask.unsqueeze(0))
    found = [encoder.embed(ids.unsqueeze(0))]
    for index in range(encoder.config.num_layers):
        found.append(encoder.layer(index, found[-1], bias))
    return [state.squeeze(0) for state in found]


@others
def test_every_layer_and_every_gradient_equal_transformers(
    kind: str, folders: dict[str, Path]
) -> None:
    encoder = load_encoder(folders[kind]).double().eval()
    model = reference(folders[kind])
    mask = IDS != 0
    theirs = model.base_model(IDS, attention_mask=mask.long(), output_hidden_states=True)
    ours = states(encoder, IDS, mask)
    for layer, (one, two) in enumerate(zip(ours[:-1], theirs.hidden_states, strict=False)):
        torch.testing.assert_close(
            one[mask], two[mask], rtol=1e-9, atol=1e-10, msg=f"layer {layer}"
        )
    torch.testing.assert_close(
        ours[-1][mask], theirs.last_hidden_state[mask], rtol=1e-9, atol=1e-10
    )
    (ours[-1][mask].square().sum() + ours[1][mask].sum()).backward()
    (theirs.last_hidden_state[mask].square().sum() + theirs.hidden_states[1][mask].sum()).backward()
    expected = dict(model.named_parameters())
    for name, parameter in encoder.named_parameters():
        grad = expected[name.removeprefix("model.")].grad
        if grad is None:
            assert parameter.grad is None, name
            continue
        torch.testing.assert_close(parameter.grad, grad, rtol=1e-8, atol=1e-9, msg=name)


@others
def test_masked_lm_equals_transformers(kind: str, folders: dict[str, Path]) -> None:
    encoder = load_encoder(folders[kind]).double().eval()
    mask = IDS != 0
    logits = encoder.mlm_logits(states(encoder, IDS, mask)[-1][mask].unsqueeze(0)).squeeze(0)
    expected = reference(folders[kind])(IDS, attention_mask=mask.long()).logits[mask]
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-10)


@others
def test_padding_changes_nothing(kind: str, folders: dict[str, Path]) -> None:
    encoder = load_encoder(folders[kind]).double().eval()
    together = states(encoder, IDS, IDS != 0)[-1][1, :5]
    alone = states(encoder, IDS[1:, :5], IDS[1:, :5] != 0)[-1][0]
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kind", [*OTHERS, "bert", "roberta"])
def test_a_pairwise_mask_does_not_leak(kind: str, folders: dict[str, Path]) -> None:
    """The first half of a text does not see the second, in any layer."""
    encoder = load_encoder(folders[kind]).double().eval()
    half = torch.arange(12) < 6
    mask = (half[:, None] == half).unsqueeze(0)
    changed = IDS[:1].clone()
    changed[0, 8] = 123
    one, two = (states(encoder, ids, mask)[-1][0] for ids in (IDS[:1], changed))
    torch.testing.assert_close(one[half], two[half])
    assert not torch.allclose(one[~half], two[~half])


@others
def test_saved_and_loaded_it_is_the_same_and_transformers_reads_it(
    kind: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    encoder = load_encoder(folders[kind])
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.mul_(1.5)
    saved = tmp_path / f"saved-{kind}"
    encoder.save(saved)
    again = load_encoder(saved)
    assert again.has_mlm_head
    for name, value in encoder.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    model = reference(saved, torch.float32)
    mask = IDS != 0
    expected = model.base_model(IDS, attention_mask=mask.long()).last_hidden_state
    torch.testing.assert_close(states(again.eval(), IDS, mask)[-1][mask], expected[mask])
    assert {path.suffix for path in saved.iterdir()} <= {".json", ".safetensors"}


@others
def test_the_training_state_holds_each_tensor_once(
    kind: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    encoder = load_encoder(folders[kind])
    group = ParameterGroup(tuple(encoder.parameters()), 1e-3, encoder.matrix_dims)
    optimiser = Optimiser([group], Schedule(5))
    state = TrainingState(tmp_path, {"encoder": encoder}, optimiser, 0.0)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    state.maybe_save(3, {})
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
    assert state.restore()[0] == 3
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name])
    output = encoder.model.get_output_embeddings()
    if output is not None:  # the decoder is still the embeddings
        assert output.weight.data_ptr() == encoder.word_embeddings.data_ptr()


class Teacher(nn.Module):
    """What an objective may own: a frozen copy, and something of its own."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.teacher = FrozenCopy(encoder)
        self.head = nn.Linear(16, 4)


@others
def test_a_frozen_copy_within_an_objective_is_saved_and_restored(
    kind: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    encoder = load_encoder(folders[kind])
    objective = Teacher(encoder)
    with torch.no_grad():  # a momentum copy is not what it was copied from
        for parameter in objective.parameters():
            parameter.add_(torch.randn_like(parameter))
    before = [value.clone() for value in objective.parameters()]
    modules = {"encoder": encoder, "objective": objective}
    group = ParameterGroup(tuple(encoder.parameters()), 1e-3, encoder.matrix_dims)
    TrainingState(tmp_path, modules, Optimiser([group], Schedule(5)), 0.0).maybe_save(3, {})

    other = load_encoder(folders[kind])
    fresh = {"encoder": other, "objective": Teacher(other)}
    group = ParameterGroup(tuple(other.parameters()), 1e-3, other.matrix_dims)
    state = TrainingState(tmp_path, fresh, Optimiser([group], Schedule(5)), 0.0)
    assert state.restore()[0] == 3
    after = list(fresh["objective"].parameters())
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))
    copied = fresh["objective"].teacher.encoder
    assert copied.word_embeddings.data_ptr() != other.word_embeddings.data_ptr()
    output = copied.model.get_output_embeddings()
    if output is not None:  # in the copy, too, the decoder is still the embeddings
        assert output.weight.data_ptr() == copied.word_embeddings.data_ptr()


@others
def test_a_state_that_lacks_a_tensor_is_refused(kind: str, folders: dict[str, Path]) -> None:
    objective = Teacher(load_encoder(folders[kind]))
    whole = objective.state_dict()
    embeddings = next(name for name in whole if "embeddings" in name and name.endswith("weight"))
    for name in (embeddings, list(whole)[-3]):
        partial = {key: value for key, value in whole.items() if key != name}
        with pytest.raises(RuntimeError, match="Missing key"):
            objective.load_state_dict(partial)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        objective.load_state_dict({**whole, "teacher.encoder.surplus": torch.zeros(1)})


def test_a_convolution_equals_transformers_and_keeps_padding_out(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "deberta", "deberta-v2", conv_kernel_size=3, conv_act="gelu")
    encoder = load_encoder(folder).double().eval()
    mask = IDS != 0
    theirs = reference(folder).base_model(
        IDS, attention_mask=mask.long(), output_hidden_states=True
    )
    for one, two in zip(states(encoder, IDS, mask), theirs.hidden_states, strict=True):
        torch.testing.assert_close(one[mask], two[mask], rtol=1e-9, atol=1e-10)
    alone = states(encoder, IDS[1:, :5], IDS[1:, :5] != 0)[-1][0]
    torch.testing.assert_close(states(encoder, IDS, mask)[-1][1, :5], alone, rtol=1e-9, atol=1e-10)


def test_no_attention_rule_holds_where_neighbours_are_mixed(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "deberta", "deberta-v2", conv_kernel_size=3)
    encoder = load_encoder(folder)
    with pytest.raises(ValueError, match="convolution after its first layer"):
        encoder.attention_bias(torch.ones(1, 2, 5, 5, dtype=torch.bool))


@others
def test_a_checkpoint_without_a_head_says_so_when_it_is_asked(kind: str, tmp_path: Path) -> None:
    encoder = load_encoder(model_folder(tmp_path, kind, head=False))
    assert not encoder.has_mlm_head
    with pytest.raises(ValueError, match="no MLM head"):
        encoder.mlm_logits(torch.zeros(1, 1, 16))


@others
def test_dropout_is_on_in_training_and_off_in_evaluation(kind: str, tmp_path: Path) -> None:
    dropout = {"modernbert": {"embedding_dropout": 0.3}, "deberta-v2": {"hidden_dropout_prob": 0.3}}
    encoder = load_encoder(model_folder(tmp_path, kind, **dropout[kind]))
    mask = IDS != 0
    one, two = (states(encoder.train(), IDS, mask)[-1] for _ in range(2))
    assert not torch.equal(one, two)
    one, two = (states(encoder.eval(), IDS, mask)[-1] for _ in range(2))
    assert torch.equal(one, two)


def test_bin_weights_are_refused_with_the_way_out(folders: dict[str, Path], tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((folders["modernbert"] / name).read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(EncoderFolderError, match="save_pretrained"):
        load_encoder(tmp_path)


def test_a_checkpoint_that_lacks_weights_is_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    for path in folders["modernbert"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = load_file(tmp_path / "model.safetensors")
    kept = {name: value for name, value in tensors.items() if "layers.1." not in name}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderFolderError, match="lacks weights"):
        load_encoder(tmp_path)


@pytest.mark.parametrize("kind", [*OTHERS, "bert", "roberta"])
def test_the_right_module_and_the_right_frame(kind: str, folders: dict[str, Path]) -> None:
    encoder = load_encoder(folders[kind])
    assert isinstance(encoder, TransformersEncoder if kind in OTHERS else Encoder)
    made = Tokenizer.from_folder(folders[kind])
    assert text_format(made).frame_ids == (2, 3)
    with pytest.raises(ValueError, match="too long"):
        encoder.embed(torch.full((1, 1, encoder.config.max_positions + 1), 9))

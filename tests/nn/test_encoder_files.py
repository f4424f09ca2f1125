"""Reading model folders: formats that are accepted, and the errors of those that are not."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.encoder_config import EncoderConfig
from xbench.nn.encoders.hf_weights import EncoderFolderError

ROBERTA = EncoderConfig(
    model_type="roberta",
    vocab_size=30,
    hidden_size=16,
    num_layers=2,
    num_heads=2,
    intermediate_size=20,
    max_positions=12,
    type_vocab_size=1,
    layer_norm_eps=1e-5,
    hidden_dropout=0.1,
    attention_dropout=0.2,
    activation="gelu",
    pad_id=1,
)
BERT = EncoderConfig(**{**vars(ROBERTA), "model_type": "bert", "pad_id": 0, "max_positions": 14})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Encoder.random(ROBERTA, seed=0).save(tmp_path)
    return tmp_path


def weights_of(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def write(folder: Path, tensors: dict[str, Tensor]) -> None:
    save_file(tensors, folder / "model.safetensors")


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def assert_same_weights(first: Encoder, second: Encoder) -> None:
    for (name, ours), theirs in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(ours, theirs), name


def test_a_saved_encoder_reads_back_equal(folder: Path) -> None:
    encoder = Encoder.from_folder(folder)
    assert encoder.config == ROBERTA
    assert encoder.has_mlm_head
    assert_same_weights(encoder, Encoder.random(ROBERTA, seed=0))


def test_every_replica_starts_with_the_weights_of_the_file(folder: Path) -> None:
    stack, single = Encoder.from_folder(folder, replicas=3), Encoder.from_folder(folder)
    for ours, theirs in zip(stack.parameters(), single.parameters(), strict=True):
        assert ours.shape[0] == 3
        assert torch.equal(ours, theirs.expand_as(ours))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_any_float_type_is_read_as_float32(folder: Path, dtype: torch.dtype) -> None:
    write(folder, {name: value.to(dtype) for name, value in weights_of(folder).items()})
    encoder = Encoder.from_folder(folder)
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}
    expected = Encoder.random(ROBERTA, seed=0).word_embeddings.to(dtype).float()
    assert torch.equal(encoder.word_embeddings, expected)


def test_shards_are_read(folder: Path) -> None:
    tensors = weights_of(folder)
    names = sorted(tensors)
    shards = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for shard, part in shards.items():
        save_file({name: tensors[name] for name in part}, folder / shard)
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {name: shard for shard, part in shards.items() for name in part}}
    index_path = folder / "model.safetensors.index.json"
    index_path.write_text(json.dumps(index))
    assert_same_weights(Encoder.from_folder(folder), Encoder.random(ROBERTA, seed=0))

    (folder / "model-2.safetensors").unlink()
    with pytest.raises(EncoderFolderError, match=r"shard model-2\.safetensors is missing"):
        Encoder.from_folder(folder)
    index_path.write_text(json.dumps({"weight_map": {"a": "../model.safetensors"}}))
    with pytest.raises(EncoderFolderError, match="is not a file name"):
        Encoder.from_folder(folder)
    index_path.write_text("[]")
    with pytest.raises(EncoderFolderError, match="not an index of shards"):
        Encoder.from_folder(folder)


@pytest.mark.parametrize("prefix", ["", "roberta.", "xlm_roberta.", "bert."])
def test_any_known_prefix_is_read(folder: Path, prefix: str) -> None:
    tensors = weights_of(folder)
    write(folder, {name.replace("roberta.", prefix, 1): v for name, v in tensors.items()})
    assert_same_weights(Encoder.from_folder(folder), Encoder.random(ROBERTA, seed=0))


def test_old_names_and_tensors_of_other_heads_are_understood(tmp_path: Path) -> None:
    """As in BERT's first checkpoints: gamma and beta, pooler, next-sentence head, decoder."""
    expected = Encoder.random(BERT, seed=2)
    for parameter in expected.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    expected.save(tmp_path)
    tensors = {}
    for name, value in weights_of(tmp_path).items():
        is_norm = "LayerNorm" in name
        name = name.replace("weight", "gamma").replace("bias", "beta") if is_norm else name
        tensors[name] = value
    tensors["cls.predictions.decoder.weight"] = expected.word_embeddings[0].detach().clone()
    tensors["cls.predictions.decoder.bias"] = tensors.pop("cls.predictions.bias")
    tensors["cls.seq_relationship.weight"] = torch.zeros(2, 16)
    tensors["bert.pooler.dense.weight"] = torch.zeros(16, 16)
    tensors["bert.embeddings.position_ids"] = torch.arange(14)[None]
    write(tmp_path, tensors)
    assert_same_weights(Encoder.from_folder(tmp_path), expected)


def test_the_config_is_kept_and_its_dtype_updated(folder: Path) -> None:
    change_config(folder, dtype="float16", torch_dtype="float16", my_note="kept", bos_token_id=0)
    encoder = Encoder.from_folder(folder)
    encoder.double().save(folder / "again")
    before = json.loads((folder / "config.json").read_text())
    after = json.loads((folder / "again" / "config.json").read_text())
    assert after == {**before, "dtype": "float64", "torch_dtype": "float64"}
    assert weights_of(folder / "again")["lm_head.bias"].dtype == torch.float64


def test_a_replica_that_is_not_there_cannot_be_saved(folder: Path) -> None:
    with pytest.raises(ValueError, match="expected 0 to 1"):
        Encoder.from_folder(folder, replicas=2).save(folder, replica=2)


def test_usable_positions_are_those_after_the_offset(folder: Path) -> None:
    assert json.loads((folder / "config.json").read_text())["max_position_embeddings"] == 14
    ids = torch.full((1, 1, 12), 5)
    assert Encoder.from_folder(folder).embed(ids).shape == (1, 1, 12, 16)


def test_a_folder_without_config_is_refused(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(EncoderFolderError, match=r"no config\.json"):
        Encoder.from_folder(folder)
    with pytest.raises(EncoderFolderError, match=r"no config\.json"):
        Encoder.from_folder(folder / "nowhere")


@pytest.mark.parametrize("text", ["{", "[]", '"bert"', "\x00"])
def test_a_damaged_config_is_refused(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(EncoderFolderError, match=r"config\.json: "):
        Encoder.from_folder(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "gpt2"}, "'gpt2' is not supported; supported: xlm-roberta, "),
        ({"model_type": None}, "None is not supported"),
        ({"model_type": ["bert"]}, "is not supported"),
        ({"hidden_act": "mish"}, "hidden_act 'mish' is not supported; supported: gelu"),
        ({"position_embedding_type": "relative_key"}, "'relative_key' is not supported"),
        ({"is_decoder": True}, "is_decoder is set"),
        ({"hidden_size": None}, "hidden_size is missing"),
        ({"hidden_size": "16"}, "hidden_size is '16', expected an integer"),
        ({"vocab_size": True}, "vocab_size is True, expected an integer"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0, expected a positive integer"),
        ({"num_attention_heads": 3}, "hidden_size 16 is not a multiple"),
        ({"hidden_dropout_prob": 1.5}, "hidden_dropout_prob is 1.5, expected a number"),
        ({"layer_norm_eps": "small"}, "layer_norm_eps is 'small', expected a number"),
        ({"pad_token_id": 30}, "pad_token_id 30 is outside"),
        ({"max_position_embeddings": 2}, "no usable positions"),
    ],
)
def test_a_config_that_is_not_supported_is_refused(
    folder: Path, changes: dict[str, Any], message: str
) -> None:
    change_config(folder, **changes)
    with pytest.raises(EncoderFolderError, match=message) as caught:
        Encoder.from_folder(folder)
    assert str(folder / "config.json") in str(caught.value)


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(EncoderFolderError, match=r"no model\.safetensors"):
        Encoder.from_folder(folder)
    (folder / "pytorch_model.bin").write_bytes(b"never opened")
    with pytest.raises(EncoderFolderError, match="pickle and is not read; convert it"):
        Encoder.from_folder(folder)


@pytest.mark.parametrize("kept", [0, 5, 500, -1])
def test_truncated_weights_are_refused(folder: Path, kept: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(EncoderFolderError, match=r"model\.safetensors: not a complete"):
        Encoder.from_folder(folder)


def test_all_tensors_that_do_not_fit_are_named_at_once(folder: Path) -> None:
    tensors = weights_of(folder)
    del tensors["roberta.encoder.layer.1.output.dense.bias"]
    tensors["lm_head.dense.weight"] = torch.zeros(16, 15)
    tensors["lm_head.dense.bias"] = torch.zeros(16, dtype=torch.int8)
    tensors["roberta.encoder.layer.2.output.dense.bias"] = torch.zeros(16)
    write(folder, tensors)
    with pytest.raises(EncoderFolderError) as caught:
        Encoder.from_folder(folder)
    message = str(caught.value)
    assert "4 tensors do not fit" in message
    assert "roberta.encoder.layer.1.output.dense.bias: missing, expected [16]" in message
    assert "model.safetensors: lm_head.dense.weight is [16, 15], expected [16, 16]" in message
    assert "model.safetensors: lm_head.dense.bias is of type I8" in message
    assert "roberta.encoder.layer.2.output.dense.bias is not known" in message


def test_a_long_list_of_problems_is_cut(folder: Path) -> None:
    change_config(folder, num_hidden_layers=4)
    with pytest.raises(EncoderFolderError, match=r"32 tensors do not fit .*and 22 more"):
        Encoder.from_folder(folder)


def test_tensors_of_another_model_are_refused(folder: Path) -> None:
    write(folder, {"transformer.wte.weight": torch.zeros(3, 3)})
    with pytest.raises(EncoderFolderError, match=r"the files hold transformer\.wte\.weight"):
        Encoder.from_folder(folder)


def test_an_untied_decoder_is_refused(folder: Path) -> None:
    tensors = weights_of(folder)
    words = tensors["roberta.embeddings.word_embeddings.weight"]
    write(folder, {**tensors, "lm_head.decoder.weight": words.clone()})
    Encoder.from_folder(folder)
    write(folder, {**tensors, "lm_head.decoder.weight": words + 0.1})
    with pytest.raises(EncoderFolderError, match=r"lm_head\.decoder\.weight differs"):
        Encoder.from_folder(folder)


def test_a_decoder_stored_beside_equal_embeddings_is_saved_as_tied(folder: Path) -> None:
    """transformers would otherwise look for a decoder of its own and start a random one."""
    tensors = weights_of(folder)
    words = tensors["roberta.embeddings.word_embeddings.weight"]
    write(folder, {**tensors, "lm_head.decoder.weight": words.clone()})
    change_config(folder, tie_word_embeddings=False)
    Encoder.from_folder(folder).save(folder / "again")
    assert "lm_head.decoder.weight" not in weights_of(folder / "again")
    assert json.loads((folder / "again" / "config.json").read_text())["tie_word_embeddings"]

"""A model's folder is looked through before any work: its files fit, its numbers are numbers."""

import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest
import tokenizers
import torch
from safetensors.torch import load_file, save_file

from xbench.engine.model_check import check_model
from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.hf_files import names_in, stored_tensors

from ..command import QUICK_OPTIONS, SMALL_OPTIONS, xbench
from ..nn.families import model_folder as other_family
from .test_mistakes import refused

WORDS = "embeddings.word_embeddings.weight"
WRAPPED = ["_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module."]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    source = Path(str(files("xbench_plugins.clones") / "encoder"))
    return Path(shutil.copytree(source, tmp_path / "my-model"))


def weights(model: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(model / "model.safetensors"))


def words_name(model: Path) -> str:
    return next(name for name in weights(model) if name.endswith(WORDS))


def spoil(model: Path, name: str, rows: list[int], value: float) -> None:
    tensors = weights(model)
    tensors[name][rows] = value
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_found_before_any_work(
    command: str, value: float, model: Path, tmp_path: Path
) -> None:
    rows = [7, 11, 12]
    spoil(model, words_name(model), rows, value)
    tokenizer = tokenizers.Tokenizer.from_file(str(model / "tokenizer.json"))
    store = tmp_path / "store"
    outcome = xbench(command, *SMALL_OPTIONS, "--model", model, "--store", store)
    refused(outcome, "the checkpoint is damaged", f"{WORDS} in 3 of", "Fetch it again")
    for row in rows:
        assert repr(tokenizer.id_to_token(row)) in outcome.err
    assert "learning rate" not in outcome.err
    assert not (store / "runs").exists()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_numbers_of_every_type_are_looked_at(dtype: torch.dtype, model: Path) -> None:
    tensors = {name: tensor.to(dtype) for name, tensor in weights(model).items()}
    save_file(tensors, model / "model.safetensors")
    check_model(model)
    tensors[words_name(model)][5, 0] = -torch.inf
    save_file(tensors, model / "model.safetensors")
    with pytest.raises(ValueError, match=r"in 1 of \d+ rows"):
        check_model(model)


def test_which_rows_are_not_finite_is_what_torch_says(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tensors = {}
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        numbers = torch.randn(50, 3, 2).to(dtype)
        numbers.flatten()[torch.randperm(300)[:8]] = torch.tensor([torch.nan, torch.inf] * 4).to(
            dtype
        )
        tensors[str(dtype)] = numbers
    tensors["vector"] = torch.tensor([1.0, torch.nan, 2.0])
    tensors["number"] = torch.tensor(torch.inf)
    tensors["nothing"] = torch.zeros(0, 3)
    save_file(tensors, tmp_path / "model.safetensors")
    for name, tensor in stored_tensors(tmp_path).items():
        wanted = (~torch.isfinite(tensors[name])).reshape(max(1, *tensor.shape[:1], 0), -1)
        expected = wanted.any(1).nonzero().flatten().tolist() if tensors[name].numel() else []
        assert tensor.rows_not_finite() == expected, name


def test_what_is_not_needed_is_not_looked_at(model: Path) -> None:
    tensors = weights(model)
    prefix = words_name(model).removesuffix(WORDS)
    size = tensors[words_name(model)].shape[1]
    tensors[f"{prefix}pooler.dense.weight"] = torch.full((size, size), torch.nan)
    save_file(tensors, model / "model.safetensors")
    check_model(model)


def test_a_tokenizer_of_a_larger_model(model: Path, tmp_path: Path) -> None:
    tokenizer = tokenizers.Tokenizer.from_file(str(model / "tokenizer.json"))
    tokenizer.add_tokens(["<mine>"])
    tokenizer.save(str(model / "tokenizer.json"))
    rows = len(weights(model)[words_name(model)])
    outcome = xbench("run", *SMALL_OPTIONS, "--model", model, "--store", tmp_path / "store")
    parts = [f"the tokenizer gives ids up to {rows} ('<mine>')", f"has rows for {rows}"]
    refused(outcome, *parts, "resize_token_embeddings")


def test_weights_that_do_not_fit_are_found_before_any_work(model: Path, tmp_path: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config["num_hidden_layers"] += 1
    (model / "config.json").write_text(json.dumps(config))
    for command in ("plan", "run"):
        outcome = xbench(command, *SMALL_OPTIONS, "--model", model, "--store", tmp_path / "store")
        refused(outcome, "tensors do not fit config.json", "missing, expected [")


@pytest.mark.parametrize("wrapper", WRAPPED)
def test_names_of_wrappers_are_taken_off(wrapper: str, model: Path) -> None:
    plain = Encoder.from_folder(model)
    wrapped = {wrapper + name: tensor for name, tensor in weights(model).items()}
    save_file(wrapped, model / "model.safetensors", metadata={"format": "pt"})
    check_model(model)
    found = Encoder.from_folder(model)
    for name, value in plain.state_dict().items():
        assert torch.equal(found.state_dict()[name], value), name


@pytest.mark.parametrize("kind", ["deberta-v2", "modernbert"])
def test_so_they_are_for_other_families(kind: str, tmp_path: Path) -> None:
    from xbench.nn.encoders.loading import load_encoder

    folder = other_family(tmp_path / kind, kind)
    plain = load_encoder(folder).state_dict()
    tensors = weights(folder)
    save_file(
        {f"_orig_mod.{name}": tensor for name, tensor in tensors.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    found = load_encoder(folder).state_dict()
    assert plain.keys() == found.keys()
    for name, value in plain.items():
        assert torch.equal(found[name], value), name


def test_a_compiled_part_within(model: Path) -> None:
    names = {
        name: name.replace("encoder.layer.0.", "encoder._orig_mod.layer.0.")
        for name in weights(model)
    }
    assert any("_orig_mod" in name for name in names.values())
    save_file({names[n]: t for n, t in weights(model).items()}, model / "model.safetensors")
    check_model(model)


def test_two_tensors_of_one_name_are_refused(model: Path) -> None:
    tensors = weights(model)
    tensors["module." + words_name(model)] = tensors[words_name(model)].clone()
    save_file(tensors, model / "model.safetensors")
    with pytest.raises(ValueError, match="two tensors of one name"):
        check_model(model)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_the_shapes_expected_are_the_encoders(kind: str, tmp_path: Path) -> None:
    folder = other_family(tmp_path / kind, kind)
    encoder = Encoder.from_folder(folder)
    expected = names_in(stored_tensors(folder), encoder.config, folder).shapes(encoder.config)
    assert expected == {n: tuple(p.shape[1:]) for n, p in encoder.named_parameters()}


class TestFolders:
    def test_hidden_files_are_no_weights(self, model: Path) -> None:
        from xbench.catalogue.models import identity

        before = identity(model)
        (model / "._model.safetensors").write_bytes(b"left by a system")
        assert identity(model) == before
        check_model(model)

    @pytest.mark.parametrize("names", [["0_Transformer"], ["checkpoint-1000", "checkpoint-500"]])
    def test_the_model_is_one_below(self, names: list[str], model: Path, tmp_path: Path) -> None:
        outer = tmp_path / "outer"
        for name in names:
            shutil.copytree(model, outer / name)
        outcome = xbench("run", *SMALL_OPTIONS, "--model", outer, "--store", tmp_path / "store")
        refused(outcome, "has no config.json", "There is one below it", *names)

    def test_an_adapter_alone(self, tmp_path: Path) -> None:
        folder = tmp_path / "lora"
        folder.mkdir()
        (folder / "adapter_config.json").write_text("{}")
        (folder / "adapter_model.safetensors").write_bytes(b"")
        outcome = xbench("run", *SMALL_OPTIONS, "--model", folder, "--store", tmp_path / "store")
        refused(outcome, "merge the adapter first", "merge_and_unload")


def test_a_sound_model_is_looked_through_once(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import xbench.engine.preflight as preflight

    looked: list[Path] = []
    monkeypatch.setattr(preflight, "check_model", lambda folder, cache: looked.append(folder))
    options = (*SMALL_OPTIONS, *QUICK_OPTIONS, "--model", model, "--store", tmp_path / "store")
    once = ("--arm", "none", "--mode", "linear")
    assert xbench("run", *options, *once, "--jobs", "1").code == 0
    assert xbench("run", *options, *once, "--seed", "7", "--jobs", "1").code == 0
    assert looked == [model]

"""Weights in the Hugging Face safetensors format: names, reading, writing.

Our names follow :class:`xbench.nn.encoder.Encoder` (``layers.0.query.weight``); files say
``roberta.encoder.layer.0.attention.self.query.weight``, with the prefix of the model class that
saved them, or without one.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from xbench.nn.encoder_config import EncoderConfig, EncoderFolderError

__all__ = ["Checkpoint", "EncoderFolderError", "file_names", "write_weights"]

PREFIXES = ("", "roberta.", "bert.", "xlm_roberta.", "camembert.")

_EMBEDDINGS = {
    "embeddings.words": "embeddings.word_embeddings",
    "embeddings.positions": "embeddings.position_embeddings",
    "embeddings.types": "embeddings.token_type_embeddings",
}
_LAYER = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "expand": "intermediate.dense",
    "contract": "output.dense",
    "output_norm": "output.LayerNorm",
}
_ROBERTA_HEAD = {"mlm_head.dense": "lm_head.dense", "mlm_head.norm": "lm_head.layer_norm"}
_BERT_HEAD = {
    "mlm_head.dense": "cls.predictions.transform.dense",
    "mlm_head.norm": "cls.predictions.transform.LayerNorm",
}

# Tensors of a file that are no part of an encoder with its MLM head. The ones after the prefix:
_IGNORED_PARTS = ("pooler.", "embeddings.position_ids", "embeddings.token_type_ids")
# and heads of other tasks, which carry no prefix.
_IGNORED_HEADS = ("cls.seq_relationship.", "classifier.", "qa_outputs.")
_OLD_NORM_NAMES = {".gamma": ".weight", ".beta": ".bias"}
_FLOATS = ("F64", "F32", "F16", "BF16")


def file_names(config: EncoderConfig, has_mlm_head: bool, prefix: str) -> dict[str, str]:
    """Our parameter name -> the name in a file whose encoder tensors start with ``prefix``."""
    modules = {ours: prefix + theirs for ours, theirs in _EMBEDDINGS.items()}
    names = {f"{ours}.weight": f"{theirs}.weight" for ours, theirs in modules.items()}
    affine = {"embeddings.norm": f"{prefix}embeddings.LayerNorm"}
    for index in range(config.num_layers):
        for ours, theirs in _LAYER.items():
            affine[f"layers.{index}.{ours}"] = f"{prefix}encoder.layer.{index}.{theirs}"
    if has_mlm_head:
        affine |= _ROBERTA_HEAD if config.is_roberta else _BERT_HEAD
        names["mlm_head.bias"] = f"{_head_part(config)}bias"
    for ours, theirs in affine.items():
        names[f"{ours}.weight"] = f"{theirs}.weight"
        names[f"{ours}.bias"] = f"{theirs}.bias"
    return names


def write_weights(path: Path, tensors: Mapping[str, Tensor], config: EncoderConfig) -> None:
    """Save one replica's tensors (our names, no replica axis) for transformers to read.

    With an MLM head the encoder's names get the prefix of the ``...ForMaskedLM`` class; without
    one they are bare. The tied decoder is written once, as the word embeddings.
    """
    has_mlm_head = "mlm_head.bias" in tensors
    prefix = ("roberta." if config.is_roberta else "bert.") if has_mlm_head else ""
    names = file_names(config, has_mlm_head, prefix)
    renamed = {names[ours]: value.cpu().contiguous() for ours, value in tensors.items()}
    save_file(renamed, path, metadata={"format": "pt"})


class Checkpoint:
    """The safetensors file(s) of a model folder, checked against a config before use.

    Raises :class:`EncoderFolderError` where files are missing or damaged, or their tensors are
    not those of the config: one error that lists all of them.
    """

    def __init__(self, folder: Path, config: EncoderConfig) -> None:
        self._folder = folder
        self._config = config
        self._files = _file_of_each_tensor(folder)  # name in the file -> file
        self._stored = {_modern(name): name for name in self._files}  # without gamma and beta
        head = _head_part(config)
        self.has_mlm_head = any(name.startswith(head) for name in self._stored)
        self._names = file_names(config, self.has_mlm_head, self._find_prefix())
        self._decoder = f"{head}decoder.weight"
        if f"{head}decoder.bias" in self._stored and f"{head}bias" not in self._stored:
            self._names["mlm_head.bias"] = f"{head}decoder.bias"

    @torch.no_grad()
    def copy_into(self, parameters: Mapping[str, Tensor]) -> None:
        """Copy every tensor into the parameter ``[R, ...]`` of our name, in all replicas."""
        with ExitStack() as opened:
            handles = {
                path: opened.enter_context(safe_open(path, framework="pt"))
                for path in set(self._files.values())
            }
            self._check(handles, parameters)
            for ours, parameter in parameters.items():
                parameter.copy_(self._tensor(handles, self._names[ours]))
            if self._decoder in self._stored:
                self._check_tied(self._tensor(handles, self._decoder), parameters)

    def _tensor(self, handles: Mapping[Path, Any], name: str) -> Tensor:
        stored = self._stored[name]
        tensor: Tensor = handles[self._files[stored]].get_tensor(stored)
        return tensor

    def _find_prefix(self) -> str:
        for prefix in PREFIXES:
            if f"{prefix}embeddings.word_embeddings.weight" in self._stored:
                return prefix
        raise EncoderFolderError(
            f"{self._folder}: no tensor 'embeddings.word_embeddings.weight', with or without one "
            f"of the prefixes {', '.join(PREFIXES[1:])}; the files hold "
            f"{_some(self._files) or 'no tensors'}"
        )

    def _check(self, handles: Mapping[Path, Any], parameters: Mapping[str, Tensor]) -> None:
        problems = []
        for ours, parameter in parameters.items():
            name, expected = self._names[ours], list(parameter.shape[1:])
            if name not in self._stored:
                problems.append(f"{name}: missing, expected {expected}")
                continue
            path = self._files[self._stored[name]]
            header = handles[path].get_slice(self._stored[name])
            shape, dtype = list(header.get_shape()), header.get_dtype()
            if shape != expected:
                problems.append(f"{path.name}: {name} is {shape}, expected {expected}")
            elif dtype not in _FLOATS:
                problems.append(f"{path.name}: {name} is of type {dtype}, expected a float type")
        problems += [f"{path.name}: {name} is not known" for name, path in self._unknown()]
        if problems:
            raise EncoderFolderError(
                f"{self._folder}: {len(problems)} tensors do not fit config.json "
                f"({self._config.model_type}, {self._config.num_layers} layers of "
                f"{self._config.hidden_size}): {_some(problems, '; ')}"
            )

    def _unknown(self) -> list[tuple[str, Path]]:
        head = _head_part(self._config)
        known = {*self._names.values(), f"{head}decoder.weight", f"{head}decoder.bias"}
        prefixes = tuple(prefix + part for prefix in PREFIXES for part in _IGNORED_PARTS)
        return [
            (stored, self._files[stored])
            for name, stored in self._stored.items()
            if name not in known and not name.startswith(prefixes + _IGNORED_HEADS)
        ]

    def _check_tied(self, decoder_VD: Tensor, parameters: Mapping[str, Tensor]) -> None:
        words_VD = parameters["embeddings.words.weight"][0]
        if not torch.equal(decoder_VD.to(words_VD), words_VD):
            raise EncoderFolderError(
                f"{self._folder}: {self._decoder} differs from the word embeddings; MLM heads "
                "that are not tied to the word embeddings are not supported"
            )


def _file_of_each_tensor(folder: Path) -> dict[str, Path]:
    """Tensor name -> the file that holds it, for one file or for shards."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        paths = [single]
    elif index.is_file():
        paths = _shards(index)
    elif any(folder.glob("pytorch_model*.bin")):
        raise EncoderFolderError(
            f"{folder}: only pytorch_model.bin, which is pickle and is not read; convert it on a "
            "machine where you trust the file: AutoModelForMaskedLM.from_pretrained(folder)"
            ".save_pretrained(new_folder)"
        )
    else:
        raise EncoderFolderError(f"{folder}: no model.safetensors")
    return {name: path for path in paths for name in _tensor_names(path)}


def _shards(index: Path) -> list[Path]:
    try:
        shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EncoderFolderError(
            f"{index}: not an index of shards, expected a JSON object with a weight_map"
        ) from error
    for shard in shards:
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise EncoderFolderError(f"{index}: {shard!r} is not a file name")
        if not (index.parent / shard).is_file():
            raise EncoderFolderError(f"{index}: the shard {shard} is missing")
    return [index.parent / shard for shard in shards]


def _tensor_names(path: Path) -> list[str]:
    try:
        with safe_open(path, framework="pt") as handle:
            return list(handle.keys())
    except (SafetensorError, OSError) as error:
        raise EncoderFolderError(
            f"{path}: not a complete safetensors file ({error}); fetch or write it again"
        ) from error


def _head_part(config: EncoderConfig) -> str:
    return "lm_head." if config.is_roberta else "cls.predictions."


def _modern(name: str) -> str:
    """BERT's first checkpoints call the weight and bias of a layer norm gamma and beta."""
    for old, new in _OLD_NORM_NAMES.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _some(items: Iterable[object], separator: str = ", ", limit: int = 10) -> str:
    """The first items, and how many more there are."""
    shown = [str(item) for item in items]
    rest = [f"and {len(shown) - limit} more"] if len(shown) > limit else []
    return separator.join(shown[:limit] + rest)

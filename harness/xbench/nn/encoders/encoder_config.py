"""The shape of an encoder, read from (and written to) the ``config.json`` of Hugging Face."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xbench.files import parse_json

# Everything here has RoBERTa's or BERT's post-layer-norm architecture.
ROBERTA_KINDS = ("xlm-roberta", "roberta", "camembert")
SUPPORTED_KINDS = (*ROBERTA_KINDS, "bert")
# These are run by transformers (nn/transformers_encoder.py).
OTHER_KINDS = ("deberta-v2", "modernbert")
SUPPORTED_ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish")
_ARCHITECTURES = {
    "xlm-roberta": "XLMRoberta",
    "roberta": "Roberta",
    "camembert": "Camembert",
    "bert": "Bert",
}


def layer_at(depth: float, layers: int) -> int:
    """The layer 0 to ``layers`` at a relative depth, rounded half up (0.25 of 6 layers is layer 2).

    Raises ``ValueError`` where the depth is outside [0, 1].
    """
    if not 0 <= depth <= 1:
        raise ValueError(f"depth is {depth}, expected a number from 0 to 1")
    # The tiny addition keeps halves such as 15/22 of 11 from falling to rounding errors.
    return math.floor(depth * layers + 0.5 + 1e-9)


class EncoderFolderError(ValueError):
    """A model folder that cannot be read; the message says what is wrong, where, and what to do."""


@dataclass(frozen=True)
class EncoderConfig:
    """The architecture of one encoder.

    ``max_positions`` is the longest usable input in tokens, special tokens included: RoBERTa's
    kinds lose the first ``pad_id + 1`` rows of their position table.
    """

    model_type: str
    vocab_size: int
    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int
    max_positions: int
    type_vocab_size: int
    layer_norm_eps: float
    hidden_dropout: float
    attention_dropout: float
    activation: str
    pad_id: int

    def __post_init__(self) -> None:
        _require(
            self.model_type in SUPPORTED_KINDS,
            f"model_type {self.model_type!r} is not supported; supported: "
            f"{', '.join(SUPPORTED_KINDS)}",
        )
        _require(
            self.activation in SUPPORTED_ACTIVATIONS,
            f"hidden_act {self.activation!r} is not supported; supported: "
            f"{', '.join(SUPPORTED_ACTIVATIONS)}",
        )
        _require(
            self.hidden_size % self.num_heads == 0,
            f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads "
            f"{self.num_heads}",
        )
        _require(
            0 <= self.pad_id < self.vocab_size,
            f"pad_token_id {self.pad_id} is outside the vocabulary of {self.vocab_size}",
        )
        _require(
            self.max_positions > 0,
            f"no usable positions: max_position_embeddings {self.position_rows} leaves none after "
            f"the offset of {self.position_offset}",
        )

    @property
    def is_roberta(self) -> bool:
        """Whether positions count the tokens that are not padding, from ``pad_id + 1``."""
        return self.model_type in ROBERTA_KINDS

    @property
    def position_offset(self) -> int:
        """The row of the position table that the first token takes."""
        return self.pad_id + 1 if self.is_roberta else 0

    @property
    def position_rows(self) -> int:
        """Rows of the position table (``max_position_embeddings``)."""
        return self.max_positions + self.position_offset

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "EncoderConfig":
        """The config in Hugging Face's words. Raises ``ValueError`` naming the field."""
        kind = values.get("model_type")
        _require(
            kind in SUPPORTED_KINDS,
            f"model_type {kind!r} is not supported; supported: "
            f"{', '.join((*SUPPORTED_KINDS, *OTHER_KINDS))}",
        )
        _refuse_other_architectures(values)
        pad_id = _integer(values, "pad_token_id", default=1 if kind in ROBERTA_KINDS else 0)
        offset = pad_id + 1 if kind in ROBERTA_KINDS else 0
        return cls(
            model_type=str(kind),
            vocab_size=_size(values, "vocab_size"),
            hidden_size=_size(values, "hidden_size"),
            num_layers=_size(values, "num_hidden_layers"),
            num_heads=_size(values, "num_attention_heads"),
            intermediate_size=_size(values, "intermediate_size"),
            max_positions=_size(values, "max_position_embeddings") - offset,
            type_vocab_size=_size(values, "type_vocab_size"),
            layer_norm_eps=_fraction(values, "layer_norm_eps", default=1e-12),
            hidden_dropout=_fraction(values, "hidden_dropout_prob", default=0.1),
            attention_dropout=_fraction(values, "attention_probs_dropout_prob", default=0.1),
            activation=str(values.get("hidden_act", "gelu")),
            pad_id=pad_id,
        )

    def to_json(self, has_mlm_head: bool) -> dict[str, Any]:
        """The config in Hugging Face's words, for an encoder that was not read from a folder."""
        suffix = "ForMaskedLM" if has_mlm_head else "Model"
        return {
            "architectures": [_ARCHITECTURES[self.model_type] + suffix],
            "attention_probs_dropout_prob": self.attention_dropout,
            "hidden_act": self.activation,
            "hidden_dropout_prob": self.hidden_dropout,
            "hidden_size": self.hidden_size,
            "initializer_range": 0.02,
            "intermediate_size": self.intermediate_size,
            "layer_norm_eps": self.layer_norm_eps,
            "max_position_embeddings": self.position_rows,
            "model_type": self.model_type,
            "num_attention_heads": self.num_heads,
            "num_hidden_layers": self.num_layers,
            "pad_token_id": self.pad_id,
            "tie_word_embeddings": True,
            "type_vocab_size": self.type_vocab_size,
            "vocab_size": self.vocab_size,
        }


@dataclass(frozen=True)
class OtherConfig:
    """What has to be known of an encoder that transformers runs."""

    model_type: str
    vocab_size: int
    hidden_size: int
    num_layers: int
    max_positions: int
    pad_id: int

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "OtherConfig":
        """The config in Hugging Face's words. Raises ``ValueError`` naming the field."""
        return cls(
            model_type=str(values["model_type"]),
            vocab_size=_size(values, "vocab_size"),
            hidden_size=_size(values, "hidden_size"),
            num_layers=_size(values, "num_hidden_layers"),
            max_positions=_size(values, "max_position_embeddings"),
            pad_id=_integer(values, "pad_token_id", default=0),
        )


def read_config(folder: Path) -> tuple[EncoderConfig | OtherConfig, dict[str, Any]]:
    """``folder/config.json`` as our config and as the values it holds.

    Raises :class:`EncoderFolderError` where the file is missing, is no JSON object, or describes
    an encoder that is not supported.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise EncoderFolderError(
            f"{folder}: no config.json; expected a Hugging Face model folder with config.json "
            "and model.safetensors"
        )
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
        _require(isinstance(values, dict), "not a JSON object")
        if values.get("model_type") in OTHER_KINDS:
            return OtherConfig.from_json(values), values
        return EncoderConfig.from_json(values), values
    except ValueError as error:  # JSON and UTF-8 errors are ValueErrors too
        raise EncoderFolderError(f"{path}: {error}") from error


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _refuse_other_architectures(values: Mapping[str, Any]) -> None:
    """Settings under the same model_type that change what the layers compute."""
    position = values.get("position_embedding_type") or "absolute"
    _require(position == "absolute", f"position_embedding_type {position!r} is not supported")
    for flag in ("is_decoder", "add_cross_attention"):
        _require(not values.get(flag), f"{flag} is set: this is a decoder, not an encoder")


def _integer(values: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = values.get(name)
    value = default if value is None else value
    _require(value is not None, f"{name} is missing")
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}, expected an integer")
    return value


def _size(values: Mapping[str, Any], name: str) -> int:
    value = _integer(values, name)
    _require(value > 0, f"{name} is {value}, expected a positive integer")
    return value


def _fraction(values: Mapping[str, Any], name: str, default: float) -> float:
    value = values.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1:
        raise ValueError(f"{name} is {value!r}, expected a number from 0 up to (not including) 1")
    return float(value)

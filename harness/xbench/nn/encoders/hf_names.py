"""What our parameters are called in the files of Hugging Face.

Our names follow :class:`xbench.nn.encoders.encoder.Encoder` (``layers.0.query.weight``); files say
``roberta.encoder.layer.0.attention.self.query.weight``, with the prefix of the model class that
saved them, or without one.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from xbench.nn.encoders.encoder_config import EncoderConfig

PREFIXES = ("", "roberta.", "bert.", "xlm_roberta.", "camembert.")
WORDS = "embeddings.word_embeddings.weight"

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
_IGNORED = tuple(prefix + part for prefix in PREFIXES for part in _IGNORED_PARTS) + _IGNORED_HEADS


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
        names["mlm_head.bias"] = f"{head_part(config)}bias"
    for ours, theirs in affine.items():
        names[f"{ours}.weight"] = f"{theirs}.weight"
        names[f"{ours}.bias"] = f"{theirs}.bias"
    return names


@dataclass(frozen=True)
class NameTable:
    """Names in one checkpoint: ``of`` ours is theirs; ``decoder`` is the MLM head's own matrix."""

    of: dict[str, str]
    decoder: str
    has_mlm_head: bool
    _known: frozenset[str] = field(default=frozenset(), repr=False)

    def knows(self, name: str) -> bool:
        """Whether a tensor of a file is part of the encoder, or may be left out."""
        return name in self._known or name.startswith(_IGNORED)

    def shapes(self, config: EncoderConfig) -> dict[str, tuple[int, ...]]:
        """Our parameter name -> its shape, of one replica."""
        return {ours: _shape(ours, config) for ours in self.of}


def name_table(config: EncoderConfig, stored: Collection[str]) -> NameTable | None:
    """The names that a checkpoint of these tensors uses; ``None`` where it has no word embeddings."""
    prefix = next((prefix for prefix in PREFIXES if f"{prefix}{WORDS}" in stored), None)
    if prefix is None:
        return None
    head = head_part(config)
    has_mlm_head = any(name.startswith(head) for name in stored)
    names = file_names(config, has_mlm_head, prefix)
    decoder, bias = f"{head}decoder.weight", f"{head}decoder.bias"
    if bias in stored and f"{head}bias" not in stored:
        names["mlm_head.bias"] = bias
    return NameTable(names, decoder, has_mlm_head, frozenset({*names.values(), decoder, bias}))


def head_part(config: EncoderConfig) -> str:
    """The beginning of the names of an MLM head."""
    return "lm_head." if config.is_roberta else "cls.predictions."


def modern(name: str) -> str:
    """BERT's first checkpoints call the weight and bias of a layer norm gamma and beta."""
    for old, new in _OLD_NORM_NAMES.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _shape(ours: str, config: EncoderConfig) -> tuple[int, ...]:
    wide, size = config.intermediate_size, config.hidden_size
    *_, module, kind = ours.split(".")
    rows = {
        "words": config.vocab_size,
        "positions": config.position_rows,
        "types": config.type_vocab_size,
        "expand": wide,
        "mlm_head": config.vocab_size,  # its bias: one for each word
    }.get(module, size)
    if kind == "bias" or module.endswith("norm"):
        return (rows,)
    return (rows, wide if module == "contract" else size)

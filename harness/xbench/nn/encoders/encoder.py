"""A compact XLM-R / RoBERTa / BERT encoder with a leading replica dimension.

Post-layer-norm transformer encoder (Devlin et al. 2019; Liu et al. 2019; Conneau et al. 2020) that
reads and writes the Hugging Face format. Every parameter is stored ``[R, ...]``: R replicas of the
same shape are computed, and can be trained, as one tensor. In shapes, R is the number of replicas,
B of sentences, T the padded length, D the hidden size, V the vocabulary size, M the number of
positions to predict.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xbench.nn.encoders.encoder_config import (
    EncoderConfig,
    EncoderFolderError,
    layer_at,
    read_config,
)
from xbench.nn.encoders.hf_weights import Checkpoint, write_weights
from xbench.nn.encoders.replica_layers import (
    ReplicaEmbedding,
    ReplicaLayerNorm,
    ReplicaLinear,
    affine,
)
from xbench.nn.encoders.vocabulary_loss import losses_of, tied_cross_entropy

# Added to the score of a key that may not be attended to. Finite in float16 and bfloat16 too, so a
# query without any key gives no NaN, and so low that the softmax is exactly 0 beside a real score.
MASKED = -30_000.0
INITIALIZER_RANGE = 0.02


class Encoder(nn.Module):
    """R encoders of one shape. Build one with :meth:`from_folder` or :meth:`random`.

    States at depth 0 are the embedding output ``H^0``; ``H^l`` is the output of the l-th layer.
    ``packs`` says that several texts may share a row, ``matrix_dims`` how many axes a weight matrix
    has. The constructor leaves the weights uninitialised. ``has_mlm_head`` says whether
    :meth:`mlm_logits` can be called.
    """

    packs = True
    matrix_dims = 3

    def __init__(self, config: EncoderConfig, replicas: int = 1, has_mlm_head: bool = True) -> None:
        super().__init__()
        if replicas < 1:
            raise ValueError(f"replicas is {replicas}, expected at least 1")
        self.config = config
        self.replicas = replicas
        self.has_mlm_head = has_mlm_head
        self.embeddings = _Embeddings(config, replicas)
        self.layers = nn.ModuleList(_Layer(config, replicas) for _ in range(config.num_layers))
        self.mlm_head = _MlmHead(config, replicas) if has_mlm_head else None
        self._config_json: dict[str, Any] = config.to_json(has_mlm_head)

    @classmethod
    def from_folder(cls, folder: Path, replicas: int = 1) -> "Encoder":
        """Read a Hugging Face model folder; all replicas start with the same float32 weights.

        Reads ``config.json`` and ``model.safetensors`` (or its shards), in any floating-point
        dtype. Raises :class:`~xbench.nn.encoders.encoder_config.EncoderFolderError` where that fails.
        """
        folder = Path(folder)
        config, config_json = read_config(folder)
        if not isinstance(config, EncoderConfig):
            raise EncoderFolderError(f"{folder}: {config.model_type} is not of the BERT family")
        checkpoint = Checkpoint(folder, config)
        encoder = cls(config, replicas, checkpoint.has_mlm_head)
        checkpoint.copy_into(dict(encoder.named_parameters()))
        encoder._config_json = config_json
        return encoder

    @classmethod
    @torch.no_grad()
    def random(
        cls, config: EncoderConfig, seed: int, replicas: int = 1, has_mlm_head: bool = True
    ) -> "Encoder":
        """Weights drawn as Hugging Face does: normal with standard deviation 0.02, padding rows 0.

        Replica r is drawn from ``seed + r``, so it equals ``random(config, seed + r)``.
        """
        encoder = cls(config, replicas, has_mlm_head)
        for replica in range(replicas):
            generator = torch.Generator().manual_seed(seed + replica)
            for module in encoder.modules():
                if isinstance(module, ReplicaLinear | ReplicaEmbedding):
                    weight = module.weight[replica]
                    weight.normal_(std=INITIALIZER_RANGE, generator=generator)
                    if isinstance(module, ReplicaEmbedding) and module.padding_row is not None:
                        weight[module.padding_row].zero_()
        return encoder

    def save(self, folder: Path, replica: int = 0) -> None:
        """Write one replica as ``config.json`` and ``model.safetensors`` into ``folder``.

        The config is the one that was read, with the dtype of the parameters. The MLM head is
        written where there is one; poolers and classifiers are not kept. Writing is not atomic.
        """
        if not 0 <= replica < self.replicas:
            raise ValueError(f"replica is {replica}, expected 0 to {self.replicas - 1}")
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        dtype = str(self.word_embeddings.dtype).removeprefix("torch.")
        config_json = {**self._config_json, "dtype": dtype}
        if "torch_dtype" in config_json:  # the older name of the same setting
            config_json["torch_dtype"] = dtype
        if self.has_mlm_head:  # a decoder stored beside equal embeddings is written once
            config_json["tie_word_embeddings"] = True
        text = json.dumps(config_json, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        (folder / "config.json").write_text(text, encoding="utf-8")
        tensors = {name: value.detach()[replica] for name, value in self.named_parameters()}
        write_weights(folder / "model.safetensors", tensors, self.config)

    def layer_at(self, depth: float) -> int:
        """The layer 0 to L at a relative depth (:func:`~xbench.nn.encoders.encoder_config.layer_at`)."""
        return layer_at(depth, self.config.num_layers)

    def embed(self, ids_RBT: Tensor, token_types_RBT: Tensor | None = None) -> Tensor:
        """``[R, B, T, D]`` embedding output, normalised, dropout applied (in train mode).

        Without token types all tokens are of type 0. Raises ``ValueError`` where the shape is not
        ``[R, B, T]`` or T exceeds ``config.max_positions``.
        """
        if ids_RBT.dim() != 3 or ids_RBT.shape[0] != self.replicas:
            raise ValueError(
                f"ids have the shape {list(ids_RBT.shape)}, expected [{self.replicas}, B, T]"
            )
        if ids_RBT.shape[2] > self.config.max_positions:
            raise ValueError(
                f"an input of {ids_RBT.shape[2]} tokens is too long: this encoder takes at most "
                f"{self.config.max_positions}; truncate when tokenising"
            )
        states: Tensor = self.embeddings(ids_RBT, token_types_RBT)
        return states

    def attention_bias(self, attention_mask_RBT: Tensor) -> Tensor:
        """What :meth:`layer` adds to attention scores: 0 where allowed, very low elsewhere.

        ``attention_mask_RBT`` is true (or 1) at tokens and gives ``[R*B, 1, 1, T]``. A mask
        ``[R, B, T, T]`` says which query (first T) may attend to which key: ``[R*B, 1, T, T]``.
        """
        mask = attention_mask_RBT.bool()
        if mask.dim() not in (3, 4) or mask.shape[0] != self.replicas:
            raise ValueError(
                f"the attention mask has the shape {list(mask.shape)}, expected "
                f"[{self.replicas}, B, T] or [{self.replicas}, B, T, T]"
            )
        queries = 1 if mask.dim() == 3 else mask.shape[2]
        mask = mask.reshape(-1, 1, queries, mask.shape[-1])
        allowed = torch.zeros(mask.shape, dtype=self.word_embeddings.dtype, device=mask.device)
        return allowed.masked_fill(~mask, MASKED)

    def layer(self, index: int, states_RBTD: Tensor, bias: Tensor) -> Tensor:
        """``H^index -> H^(index+1)``, ``[R, B, T, D]``; ``bias`` is from :meth:`attention_bias`."""
        states: Tensor = self.layers[index](states_RBTD, bias)
        return states

    def forward(
        self,
        ids_RBT: Tensor,
        attention_mask_RBT: Tensor,
        token_types_RBT: Tensor | None = None,
        layers: int | None = None,
    ) -> list[Tensor]:
        """``H^0 .. H^layers`` (all layers by default), each ``[R, B, T, D]``."""
        wanted = self.config.num_layers if layers is None else layers
        if not 0 <= wanted <= self.config.num_layers:
            raise ValueError(f"layers is {layers}, expected 0 to {self.config.num_layers}")
        bias = self.attention_bias(attention_mask_RBT)
        states = [self.embed(ids_RBT, token_types_RBT)]
        for index in range(wanted):
            states.append(self.layer(index, states[-1], bias))
        return states

    @property
    def word_embeddings(self) -> nn.Parameter:
        """``[R, V, D]`` the input word-embedding matrix, which is the MLM decoder's too."""
        return self.embeddings.words.weight

    def mlm_logits(self, states_RMD: Tensor) -> Tensor:
        """``[R, M, V]`` vocabulary scores of last-layer states ``[R, M, D]``.

        Raises ``ValueError`` where the encoder has no MLM head.
        """
        logits: Tensor = self._head(states_RMD, self.word_embeddings)
        return logits

    def mlm_losses(self, states_RMD: Tensor, labels_RM: Tensor) -> Tensor:
        """``[R, M]`` cross-entropy of last-layer states ``[R, M, D]`` at the labels, float32 or better.

        With one replica a large vocabulary's scores are never all in memory. Raises as :meth:`mlm_logits`.
        """
        vectors_RMD = self._head.transformed(states_RMD)
        words, bias = self.word_embeddings, self._head.bias
        if self.replicas == 1:
            vectors, labels = vectors_RMD.squeeze(0), labels_RM.squeeze(0)
            return tied_cross_entropy(vectors, words, bias.squeeze(0), labels).unsqueeze(0)
        scores_RMV = affine(vectors_RMD, words, bias)
        every = zip(scores_RMV, labels_RM, strict=True)
        return torch.stack([losses_of(scores, labels) for scores, labels in every])

    @property
    def _head(self) -> "_MlmHead":
        if self.mlm_head is None:
            raise ValueError(
                "this encoder has no MLM head: its checkpoint holds the bare encoder only; "
                "use a checkpoint saved from a ...ForMaskedLM model"
            )
        return self.mlm_head


class _Embeddings(nn.Module):
    """Word, type and position embeddings, summed and normalised."""

    def __init__(self, config: EncoderConfig, replicas: int) -> None:
        super().__init__()
        size = config.hidden_size
        self.pad_id = config.pad_id
        self.counts_tokens = config.is_roberta
        position_padding = config.pad_id if config.is_roberta else None
        self.words = ReplicaEmbedding(replicas, config.vocab_size, size, config.pad_id)
        self.positions = ReplicaEmbedding(replicas, config.position_rows, size, position_padding)
        self.types = ReplicaEmbedding(replicas, config.type_vocab_size, size)
        self.norm = ReplicaLayerNorm(replicas, size, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, ids_RBT: Tensor, token_types_RBT: Tensor | None) -> Tensor:
        states = self.words(ids_RBT) + self._types(token_types_RBT) + self._positions(ids_RBT)
        normed = self.norm(states.flatten(1, 2))
        dropped: Tensor = self.dropout(normed)
        return dropped.view_as(states)

    def looked_up(
        self, ids_RBT: Tensor, token_types_RBT: Tensor | None, positions_RBT: Tensor
    ) -> Tensor:
        """[R, B * T, D] before dropout, of tokens whose rows in the table of positions are given."""
        types = self._types(token_types_RBT)
        states = self.words(ids_RBT) + types + self.positions(positions_RBT)
        normed: Tensor = self.norm(states.flatten(1, 2))
        return normed

    def _types(self, token_types_RBT: Tensor | None) -> Tensor:
        # A tokenizer may tell two texts apart where the encoder has one type only (RoBERTa).
        if token_types_RBT is None or self.types.weight.shape[1] < 2:
            return self.types.weight[:, 0].unsqueeze(1).unsqueeze(1)
        states: Tensor = self.types(token_types_RBT)
        return states

    def _positions(self, ids_RBT: Tensor) -> Tensor:
        if not self.counts_tokens:  # BERT: the place in the padded row
            return self.positions.weight[:, : ids_RBT.shape[2]].unsqueeze(1)
        is_token = (ids_RBT != self.pad_id).long()
        states: Tensor = self.positions(is_token.cumsum(-1) * is_token + self.pad_id)
        return states


class _Layer(nn.Module):
    """Self-attention and feed-forward, each followed by the residual sum and layer norm."""

    def __init__(self, config: EncoderConfig, replicas: int) -> None:
        super().__init__()
        size, inner = config.hidden_size, config.intermediate_size
        self.num_heads = config.num_heads
        self.attention_dropout = config.attention_dropout
        self.activation = _activation(config.activation)
        self.query = ReplicaLinear(replicas, size, size)
        self.key = ReplicaLinear(replicas, size, size)
        self.value = ReplicaLinear(replicas, size, size)
        self.attention_output = ReplicaLinear(replicas, size, size)
        self.attention_norm = ReplicaLayerNorm(replicas, size, config.layer_norm_eps)
        self.expand = ReplicaLinear(replicas, size, inner)
        self.contract = ReplicaLinear(replicas, inner, size)
        self.output_norm = ReplicaLayerNorm(replicas, size, config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, states_RBTD: Tensor, bias: Tensor) -> Tensor:
        tokens = states_RBTD.flatten(1, 2)  # [R, B*T, D]
        attended = self.attention_output(self._attend(tokens, states_RBTD.shape, bias))
        tokens = self.attention_norm(tokens + self.dropout(attended))
        transformed = self.contract(self.activation(self.expand(tokens)))
        outputs: Tensor = self.output_norm(tokens + self.dropout(transformed))
        return outputs.view_as(states_RBTD)

    def _attend(self, tokens_RND: Tensor, shape: torch.Size, bias: Tensor) -> Tensor:
        """Multi-head attention before its output projection, ``[R, N, D]`` to the same."""
        replicas, sentences, length, size = shape
        by_head = (replicas * sentences, length, self.num_heads, size // self.num_heads)
        query, key, value = (
            project(tokens_RND).view(by_head).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=bias.to(query.dtype),
            dropout_p=self.attention_dropout if self.training else 0.0,
        )
        return mixed.transpose(1, 2).reshape(tokens_RND.shape)


class _MlmHead(nn.Module):
    """Dense, activation, layer norm, then the tied decoder with its own bias."""

    def __init__(self, config: EncoderConfig, replicas: int) -> None:
        super().__init__()
        # RoBERTa's head uses GELU whatever the layers use; BERT's follows the layers.
        self.activation = _activation("gelu" if config.is_roberta else config.activation)
        self.dense = ReplicaLinear(replicas, config.hidden_size, config.hidden_size)
        self.norm = ReplicaLayerNorm(replicas, config.hidden_size, config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(replicas, config.vocab_size))

    def forward(self, states_RMD: Tensor, words_RVD: Tensor) -> Tensor:
        return affine(self.transformed(states_RMD), words_RVD, self.bias)

    def transformed(self, states_RMD: Tensor) -> Tensor:
        """``[R, M, D]`` what the decoder is applied to."""
        vectors: Tensor = self.norm(self.activation(self.dense(states_RMD)))
        return vectors


def _tanh_gelu(inputs: Tensor) -> Tensor:
    return F.gelu(inputs, approximate="tanh")


def _activation(name: str) -> Callable[[Tensor], Tensor]:
    """The function that Hugging Face calls ``name`` (the config has checked that it is known)."""
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "gelu": F.gelu,
        "gelu_new": _tanh_gelu,
        "gelu_pytorch_tanh": _tanh_gelu,
        "relu": F.relu,
        "silu": F.silu,
        "swish": F.silu,
    }
    return functions[name]

"""Encoders of other architectures: the blocks of transformers behind the interface of our own.

The compact :class:`~xbench.nn.encoders.encoder.Encoder` knows the BERT family. DeBERTa-v2/v3 and ModernBERT
are run block by block from transformers, so that views stay lazy: a layer is computed when it is
asked for. There is one replica, and sentences of a batch are not packed into shared rows, since
these architectures see positions.
"""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xbench.nn.encoders.encoder_config import EncoderFolderError, OtherConfig, layer_at, read_config
from xbench.nn.encoders.hf_files import WRAPPERS
from xbench.nn.encoders.vocabulary_loss import losses_of

KINDS = ("deberta-v2", "modernbert")


class TransformersEncoder(nn.Module):
    """One encoder of transformers; see :class:`~xbench.nn.encoders.encoder.Encoder` for the methods.

    Shapes have a leading replica axis of 1. ``H^l`` is the output of the l-th block; where the
    architecture ends with a normalisation, the last one includes it.
    """

    replicas = 1
    packs = False
    matrix_dims = 2

    def __init__(self, model: nn.Module, config: OtherConfig, has_mlm_head: bool) -> None:
        super().__init__()
        self.model: Any = model
        self.config = config
        self.has_mlm_head = has_mlm_head
        self._tied = _tied_names(model)
        # Hooks, since they also act where this is part of another module: an objective's copy.
        self.register_state_dict_post_hook(_leave_out_tied)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_put_back_tied)  # type: ignore[no-untyped-call]

    @classmethod
    def from_folder(cls, folder: Path) -> "TransformersEncoder":
        """Read a Hugging Face model folder, in float32. Raises :class:`EncoderFolderError`."""
        config, _ = read_config(Path(folder))
        assert isinstance(config, OtherConfig)
        model, has_head = _load(Path(folder), config.model_type)
        family = {"deberta-v2": DebertaEncoder, "modernbert": ModernBertEncoder}
        return family[config.model_type](model, config, has_head)

    def save(self, folder: Path, replica: int = 0) -> None:
        """Write ``config.json`` and ``model.safetensors``, as transformers does."""
        if replica != 0:
            raise ValueError(f"replica is {replica}, expected 0")
        self.model.save_pretrained(folder)

    def layer_at(self, depth: float) -> int:
        """The layer 0 to L at a relative depth (:func:`~xbench.nn.encoders.encoder_config.layer_at`)."""
        return layer_at(depth, self.config.num_layers)

    def embed(self, ids_1BT: Tensor, token_types_1BT: Tensor | None = None) -> Tensor:
        """``[1, B, T, D]`` embedding output."""
        if ids_1BT.shape[-1] > self.config.max_positions:
            raise ValueError(
                f"an input of {ids_1BT.shape[-1]} tokens is too long: this encoder takes at most "
                f"{self.config.max_positions}; truncate when tokenising"
            )
        return self._embed(ids_1BT.squeeze(0), token_types_1BT).unsqueeze(0)

    def attention_bias(self, attention_mask: Tensor) -> Tensor:
        """What :meth:`layer` takes, from a mask ``[1, B, T]`` or ``[1, B, T, T]``."""
        mask = attention_mask.bool()
        if mask.dim() not in (3, 4) or mask.shape[0] != 1:
            raise ValueError(
                f"the attention mask has the shape {list(mask.shape)}, expected [1, B, T] or [1, B, T, T]"
            )
        mask = mask.squeeze(0)
        return self._bias(mask)

    def layer(self, index: int, states_1BTD: Tensor, bias: Tensor) -> Tensor:
        """``H^index -> H^(index+1)``."""
        return self._layer(index, states_1BTD.squeeze(0), bias).unsqueeze(0)

    def mlm_logits(self, states_1MD: Tensor) -> Tensor:
        """``[1, M, V]`` vocabulary scores of last-layer states."""
        if not self.has_mlm_head:
            raise ValueError(
                "this encoder has no MLM head: its checkpoint holds the bare encoder only; "
                "use a checkpoint saved from a ...ForMaskedLM model"
            )
        return self._logits(states_1MD)

    def mlm_losses(self, states_1MD: Tensor, labels_1M: Tensor) -> Tensor:
        """``[1, M]`` cross-entropy of last-layer states at the labels, float32 or better."""
        return losses_of(self.mlm_logits(states_1MD).squeeze(0), labels_1M.squeeze(0)).unsqueeze(0)

    @property
    def word_embeddings(self) -> Tensor:
        """``[1, V, D]`` the input word-embedding matrix."""
        weight: Tensor = self.base.get_input_embeddings().weight
        return weight.unsqueeze(0)

    @property
    def base(self) -> Any:
        """The encoder without its head."""
        return self.model.base_model

    @abstractmethod
    def _embed(self, ids_BT: Tensor, token_types_1BT: Tensor | None) -> Tensor: ...

    @abstractmethod
    def _bias(self, mask: Tensor) -> Tensor: ...

    @abstractmethod
    def _layer(self, index: int, states_BTD: Tensor, bias: Tensor) -> Tensor: ...

    @abstractmethod
    def _logits(self, states_1MD: Tensor) -> Tensor: ...


class DebertaEncoder(TransformersEncoder):
    """DeBERTa-v2 and -v3 (He et al. 2021, arXiv 2006.03654): positions are relative, in attention."""

    def _embed(self, ids_BT: Tensor, token_types_1BT: Tensor | None) -> Tensor:
        types = None if token_types_1BT is None else token_types_1BT.squeeze(0)
        there = ids_BT != self.config.pad_id
        states: Tensor = self.base.embeddings(input_ids=ids_BT, token_type_ids=types, mask=there)
        return states

    def _bias(self, mask: Tensor) -> Tensor:
        """``[B, 1, T, T]`` bool: which query sees which key."""
        if mask.dim() == 2:
            mask = mask.unsqueeze(1) & mask.unsqueeze(2)
        elif self.base.encoder.conv is not None:
            raise ValueError(
                "this checkpoint mixes neighbouring tokens in a convolution after its first layer, "
                "which no attention rule stops: objectives that alter attention need an encoder "
                "without one (microsoft/mdeberta-v3-base, FacebookAI/xlm-roberta-base)"
            )
        return mask.unsqueeze(1)

    def _layer(self, index: int, states_BTD: Tensor, bias: Tensor) -> Tensor:
        encoder = self.base.encoder
        out: Tensor = encoder.layer[index](
            states_BTD,
            bias,
            relative_pos=encoder.get_rel_pos(states_BTD),
            rel_embeddings=encoder.get_rel_embedding(),
            output_attentions=False,
        )[0]
        if index == 0 and encoder.conv is not None:
            out = encoder.conv(states_BTD, out, bias.squeeze(1).any(-2).long())
        return out

    def _logits(self, states_1MD: Tensor) -> Tensor:
        if self.model.legacy:
            scores: Tensor = self.model.cls(states_1MD)
        else:
            scores = self.model.lm_predictions(states_1MD, self.base.embeddings.word_embeddings)
        return scores


class ModernBertEncoder(TransformersEncoder):
    """ModernBERT (Warner et al. 2024, arXiv 2412.13663): rotary positions, local and global layers."""

    def _embed(self, ids_BT: Tensor, token_types_1BT: Tensor | None) -> Tensor:
        states: Tensor = self.base.embeddings(input_ids=ids_BT)
        return states

    def _bias(self, mask: Tensor) -> Tensor:
        """``[2, B, 1, T, T]`` additive: of global layers, and of local ones with their window."""
        length = mask.shape[-1]
        allowed = mask.unsqueeze(1).expand(-1, length, -1) if mask.dim() == 2 else mask
        place = torch.arange(length, device=mask.device)
        near = (place[:, None] - place).abs() <= self.base.config.sliding_window
        both = torch.stack([allowed, allowed & near]).unsqueeze(2)
        lowest = torch.finfo(self.word_embeddings.dtype).min
        zeros = torch.zeros(both.shape, dtype=self.word_embeddings.dtype, device=mask.device)
        return zeros.masked_fill(~both, lowest)

    def _layer(self, index: int, states_BTD: Tensor, bias: Tensor) -> Tensor:
        block = self.base.layers[index]
        places = torch.arange(states_BTD.shape[1], device=states_BTD.device).unsqueeze(0)
        mask = bias[1] if block.attention_type == "sliding_attention" else bias[0]
        rotary = self.base.rotary_emb(states_BTD, places, block.attention_type)
        states: Tensor = block(
            states_BTD, attention_mask=mask.to(states_BTD.dtype), position_embeddings=rotary
        )
        if index == self.config.num_layers - 1:
            states = self.base.final_norm(states)
        return states

    def _logits(self, states_1MD: Tensor) -> Tensor:
        scores: Tensor = self.model.decoder(self.model.head(states_1MD))
        return scores


def _load(folder: Path, kind: str) -> tuple[nn.Module, bool]:
    """The model with its MLM head where the checkpoint has one; safetensors only, no remote code."""
    if not list(folder.glob("*.safetensors")):
        raise EncoderFolderError(
            f"{folder}: no safetensors; PyTorch .bin weights are pickles and are never read. Convert "
            f"them with transformers: AutoModelForMaskedLM.from_pretrained(...).save_pretrained(...)"
        )
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    options = {
        "dtype": torch.float32,
        "local_files_only": True,
        "use_safetensors": True,
        "trust_remote_code": False,
        "output_loading_info": True,
        "key_mapping": {WRAPPERS: ""},
        # DeBERTa has its own attention; ours are additive masks, which eager and sdpa take.
        "attn_implementation": "eager" if kind == "deberta-v2" else "sdpa",
    }
    try:
        model, info = transformers.AutoModelForMaskedLM.from_pretrained(folder, **options)
        if not info["missing_keys"]:
            return model.train(False), True
        model, info = transformers.AutoModel.from_pretrained(folder, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise EncoderFolderError(f"{folder}: transformers cannot load it: {error}") from error
    if info["missing_keys"]:
        lacking = ", ".join(sorted(info["missing_keys"])[:5])
        raise EncoderFolderError(
            f"{folder}: the checkpoint lacks weights of the encoder: {lacking}"
        )
    return model.train(False), False


def _tied_names(model: nn.Module) -> dict[str, str]:
    """The names under which a tensor appears again, and its first name, as in our state."""
    seen: dict[int, str] = {}
    tied = {}
    for name, value in model.state_dict().items():
        if value.data_ptr() in seen and value.numel():
            tied[f"model.{name}"] = f"model.{seen[value.data_ptr()]}"
        seen.setdefault(value.data_ptr(), name)
    return tied


def _leave_out_tied(
    module: nn.Module, state: dict[str, Any], prefix: str, metadata: Mapping[str, Any]
) -> None:
    """Each tensor once in the state: a decoder that is tied to the embeddings is left out."""
    assert isinstance(module, TransformersEncoder)
    for name in module._tied:
        state.pop(prefix + name, None)


def _put_back_tied(module: nn.Module, state: dict[str, Any], prefix: str, *others: Any) -> None:
    """What :func:`_leave_out_tied` left out is not missing: it is there under its first name."""
    assert isinstance(module, TransformersEncoder)
    for name, first in module._tied.items():
        if prefix + first in state:
            state.setdefault(prefix + name, state[prefix + first])

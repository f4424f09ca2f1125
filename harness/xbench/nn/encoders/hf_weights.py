"""Weights in the Hugging Face safetensors format: reading them into an encoder, and writing them."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from xbench.nn.encoders.encoder_config import EncoderConfig, EncoderFolderError
from xbench.nn.encoders.hf_files import check_shapes, names_in, stored_tensors
from xbench.nn.encoders.hf_names import file_names

__all__ = ["Checkpoint", "EncoderFolderError", "write_weights"]


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
        self.tensors = stored_tensors(folder)
        self._names = names_in(self.tensors, config, folder)

    @property
    def has_mlm_head(self) -> bool:
        """Whether the checkpoint has a head for masked language modelling."""
        return self._names.has_mlm_head

    @torch.no_grad()
    def copy_into(self, parameters: Mapping[str, Tensor]) -> None:
        """Copy every tensor into the parameter ``[R, ...]`` of our name, in all replicas."""
        check_shapes(self.tensors, self._config, self._names, self._folder)
        with ExitStack() as opened:
            handles = {
                path: opened.enter_context(safe_open(path, framework="pt"))
                for path in {tensor.path for tensor in self.tensors.values()}
            }
            for ours, parameter in parameters.items():
                parameter.copy_(self._read(handles, self._names.of[ours]))
            if self._names.decoder in self.tensors:
                self._check_tied(self._read(handles, self._names.decoder), parameters)

    def _read(self, handles: Mapping[Path, Any], name: str) -> Tensor:
        stored = self.tensors[name]
        tensor: Tensor = handles[stored.path].get_tensor(stored.name)
        return tensor

    def _check_tied(self, decoder_VD: Tensor, parameters: Mapping[str, Tensor]) -> None:
        words_VD = parameters["embeddings.words.weight"][0]
        if not torch.equal(decoder_VD.to(words_VD), words_VD):
            raise EncoderFolderError(
                f"{self._folder}: {self._names.decoder} differs from the word embeddings; MLM heads "
                "that are not tied to the word embeddings are not supported"
            )

"""Look a model's folder through before any work: its files fit each other, its numbers are numbers."""

from collections.abc import Mapping
from pathlib import Path

from xbench.data.tokenizer import Tokenizer
from xbench.nn.encoders.encoder_config import (
    EncoderConfig,
    EncoderFolderError,
    OtherConfig,
    read_config,
)
from xbench.nn.encoders.hf_files import StoredTensor, check_shapes, names_in, some, stored_tensors

SHOWN = 5
_WORD_TABLES = ("word_embeddings.weight", "tok_embeddings.weight")


def check_model(folder: Path, cache: Path | None = None) -> None:
    """Look at configuration, tokenizer and every weight that is needed; nothing is loaded.

    ``cache`` remembers what the tokenizer's files come to. Raises :class:`EncoderFolderError` (a
    ``ValueError``) where an id has no row in the embeddings, where names or shapes are not those of
    the configuration, or where a number is none.
    """
    config, _ = read_config(folder)
    tokenizer = Tokenizer.from_folder(folder, cache)
    _check_ids(folder, tokenizer, config)
    stored = stored_tensors(folder)
    wanted = stored
    if isinstance(config, EncoderConfig):
        names = names_in(stored, config, folder)
        check_shapes(stored, config, names, folder)
        wanted = {name: stored[name] for name in names.of.values()}
    _check_finite(folder, wanted, tokenizer)


def load_foreign(folder: Path) -> None:
    """Load an encoder that transformers runs, which alone knows the names of its weights.

    Raises :class:`EncoderFolderError` where some are missing.
    """
    config, _ = read_config(folder)
    if isinstance(config, OtherConfig):
        from xbench.nn.encoders.transformers_encoder import TransformersEncoder

        TransformersEncoder.from_folder(folder)


def _check_ids(folder: Path, tokenizer: Tokenizer, config: EncoderConfig | OtherConfig) -> None:
    token, largest = tokenizer.last
    if largest >= config.vocab_size:
        raise EncoderFolderError(
            f"{folder}: the tokenizer gives ids up to {largest} ({token!r}), and the encoder has "
            f"rows for {config.vocab_size} (vocab_size of config.json): the two are not of one "
            f"model; put the tokenizer of this encoder beside it, or save the encoder after "
            f"model.resize_token_embeddings(len(tokenizer))"
        )


def _check_finite(folder: Path, tensors: Mapping[str, StoredTensor], tokenizer: Tokenizer) -> None:
    spoilt = []
    for name, tensor in tensors.items():
        rows = tensor.rows_not_finite() if tensor.is_float else []
        if rows:
            count = (tensor.shape or (1,))[0]
            tokens = _of_tokens(name, rows, tokenizer)
            spoilt.append(f"{name} in {len(rows)} of {count} rows{tokens}")
    if spoilt:
        raise EncoderFolderError(
            f"{folder}: the checkpoint is damaged, there are NaNs or infinities among its weights: "
            f"{some(spoilt, '; ', SHOWN)}. Fetch it again, or save it from a training that did not "
            f"diverge."
        )


def _of_tokens(name: str, rows: list[int], tokenizer: Tokenizer) -> str:
    if not name.endswith(_WORD_TABLES):
        return ""
    shown = ", ".join(map(repr, tokenizer.tokens(rows[:SHOWN])))
    return f" (tokens {shown}{', ...' if len(rows) > SHOWN else ''})"

"""Put encoders of one shape together, and take one out again."""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.encoder_config import EncoderConfig
from xbench.nn.encoders.vocabulary import TrimmedEmbedding, TrimmedVocabulary


def stack_encoders(encoders: Iterable[Encoder], count: int, ids: Tensor, device: str) -> Encoder:
    """R = ``count`` single encoders as one, with the word embeddings of ``ids`` [V'] alone.

    Each is let go of before the next one is asked for; they are changed. The MLM head is left out.
    Raises ``ValueError`` where they are not of one shape.
    """
    stacked: Encoder | None = None
    for replica, encoder in enumerate(encoders):
        trimmed = TrimmedVocabulary(encoder, ids.to(encoder.word_embeddings.device))
        if stacked is None:
            stacked = _empty(encoder.config, count, trimmed.ids, device)
        for name, own, given in _pairs(stacked, encoder):
            if own[replica].shape != given[0].shape:
                raise ValueError(
                    f"encoders of a stack differ: {name} is {list(given[0].shape)}, expected "
                    f"{list(own[replica].shape)}"
                )
            own[replica].copy_(given[0])
    assert stacked is not None
    return stacked


@torch.no_grad()
def take_out(stacked: Encoder, replica: int, into: Encoder, ids: Tensor, decay: float) -> None:
    """Give a single encoder, as it was before training, a replica's weights.

    ``decay`` is what weight decay has left of the word embeddings that the stack did not have.
    """
    vocabulary = TrimmedVocabulary(into, ids.to(into.word_embeddings.device))
    for _, own, given in _pairs(stacked, into):
        given[0].copy_(own[replica])
    vocabulary.restore(decay)


def _pairs(stacked: Encoder, single: Encoder) -> list[tuple[str, Tensor, Tensor]]:
    """Parameters of both, by name, detached."""
    of_single = dict(single.named_parameters())
    return [
        (name, own.detach(), of_single[name].detach()) for name, own in stacked.named_parameters()
    ]


def _empty(config: EncoderConfig, replicas: int, ids: Tensor, device: str) -> Encoder:
    """A stack without values, and with some rows of the word embeddings only."""
    short = replace(config, vocab_size=max(len(ids), config.pad_id + 1))
    with torch.device(device):
        stacked = Encoder(short, replicas, has_mlm_head=False)
        words = TrimmedEmbedding(
            replicas, config.vocab_size, ids.to(device), config.hidden_size, config.pad_id
        )
    stacked.embeddings.words = words
    stacked.config = config
    return stacked

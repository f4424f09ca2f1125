"""A queue of earlier keys, from which a contrast takes its negatives (MoCo)."""

import torch
from torch import Tensor, nn

from xbench_plugins.losses.contrastive import Negatives


class KeyQueue(nn.Module):
    """The last Q keys [Q, D], each with the name of the text that it is from.

    All of it is buffers, so that it is saved with a training. Places that were never filled are no
    negatives. Source: He et al. 2020 (MoCo, arXiv 1911.05722), section 3.2.
    """

    vectors: Tensor
    names: Tensor
    pointer: Tensor
    filled: Tensor

    def __init__(self, size: int, width: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(size, width, dtype=dtype))
        self.register_buffer("names", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.int64))  # the next place
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    @property
    def is_full(self) -> bool:
        """Whether a further key replaces the oldest."""
        return int(self.filled) == len(self.vectors)

    def negatives(self, names_N: Tensor) -> Negatives:
        """All keys there are, without those whose text bears the anchor's own name."""
        places_Q = torch.arange(len(self.vectors), device=self.vectors.device)
        excluded_NQ = (self.names == names_N.unsqueeze(1)) | (places_Q >= self.filled)
        return Negatives(self.vectors, excluded_NQ)

    @torch.no_grad()
    def push(self, keys_ND: Tensor, names_N: Tensor) -> None:
        """Add keys in their order; the oldest give way."""
        size = len(self.vectors)
        keys_ND, names_N = keys_ND[-size:], names_N[-size:]
        count = len(keys_ND)
        places_N = (self.pointer + torch.arange(count, device=self.vectors.device)) % size
        self.vectors[places_N] = keys_ND.to(self.vectors.dtype)
        self.names[places_N] = names_N
        self.pointer.copy_((self.pointer + count) % size)
        self.filled.copy_((self.filled + count).clamp(max=size))


def names_of(ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """[B] int64: a digest of each text's ids and their places where the mask is true."""
    places_T = torch.arange(ids_BT.shape[1], device=ids_BT.device)
    # Multiplying by large odd numbers spreads the bits, and overflow wraps around.
    mixed_BT = ids_BT * 6364136223846793005 + (places_T + 1) * 3935559000370003845
    mixed_BT = (mixed_BT ^ (mixed_BT >> 32)) * 2862933555777941757
    return (mixed_BT ^ (mixed_BT >> 29)).masked_fill(~mask_BT, 0).sum(1)

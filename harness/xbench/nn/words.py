"""Vectors of words out of the states of their subwords.

B texts, T tokens, W words of the longest text, D dimensions. ``owner_BT`` says which word a token
belongs to; -1 at specials and padding.
"""

import torch
from torch import Tensor

HOW = ("mean", "first", "last")


def word_mask(owner_BT: Tensor) -> Tensor:
    """[B, W] bool: which words have a token at all."""
    width = int(owner_BT.max().item()) + 1 if owner_BT.numel() else 0
    mask_BW = torch.zeros(
        len(owner_BT), max(width, 0) + 1, dtype=torch.bool, device=owner_BT.device
    )
    # Tokens of no word fall into a last column that is then left out.
    mask_BW.scatter_(1, owner_BT.masked_fill(owner_BT < 0, max(width, 0)), True)
    return mask_BW[:, :-1]


def word_vectors(states_BTD: Tensor, owner_BT: Tensor, how: str = "mean") -> Tensor:
    """[B, W, D]: the mean of a word's subwords, or the ``first`` or ``last``; zeros without any.

    Half precision is raised to float32. Raises ``ValueError`` for another ``how``.
    """
    if how not in HOW:
        raise ValueError(f"word vectors are {how!r}, expected one of {', '.join(HOW)}")
    if states_BTD.dtype.itemsize < 4:
        states_BTD = states_BTD.float()
    width = word_mask(owner_BT).shape[1]
    share_BWT = _shares(owner_BT, width, how).to(states_BTD.dtype)
    return share_BWT @ states_BTD


def _shares(owner_BT: Tensor, width: int, how: str) -> Tensor:
    """[B, W, T]: with which weight each token counts in each word."""
    words_W1 = torch.arange(width, device=owner_BT.device).unsqueeze(-1)
    belongs_BWT = owner_BT.unsqueeze(1) == words_W1
    if how == "mean":
        return belongs_BWT / belongs_BWT.sum(-1, keepdim=True).clamp(min=1)
    order_BWT = belongs_BWT if how == "first" else belongs_BWT.flip(-1)
    chosen_BWT = order_BWT & (order_BWT.cumsum(-1) == 1)
    return chosen_BWT if how == "first" else chosen_BWT.flip(-1)

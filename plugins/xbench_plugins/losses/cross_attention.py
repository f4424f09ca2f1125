"""Who attends to whom where masked words are to be read off the translation alone."""

import torch
from torch import Tensor


def cross_attention(sides_BT: Tensor, chosen_BT: Tensor) -> Tensor:
    """[B, T, T] bool: whether the query (first T) sees the key, such that no word is given away.

    ``sides_BT`` is 0 or 1 at the words of a pair's texts and -1 elsewhere; ``chosen_BT`` is true at
    the words to be predicted. Whatever the number of layers,

    - a chosen word's state depends on its own input and on the other text's words that are not
      chosen: it sees these, itself and the specials;
    - any other word's state depends on such words of its own text: it sees these and the specials;
    - a special sees specials only, so that it carries no text; everything sees it.

    A chosen word is seen by nobody else: it holds the other text, and whoever read it would carry
    that back to where it came from.
    """
    special_BT = sides_BT < 0
    plain_BT = ~chosen_BT & ~special_BT
    same_BTT = sides_BT.unsqueeze(2) == sides_BT.unsqueeze(1)
    # A chosen query reads the other text, a plain one its own.
    right_text_BTT = same_BTT ^ chosen_BT.unsqueeze(2)
    reads_BTT = right_text_BTT & plain_BT.unsqueeze(1) & ~special_BT.unsqueeze(2)
    itself_TT = torch.eye(sides_BT.shape[1], dtype=torch.bool, device=sides_BT.device)
    return reads_BTT | special_BT.unsqueeze(1) | itself_TT

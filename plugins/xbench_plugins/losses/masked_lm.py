"""Masked language modelling."""

import torch.nn.functional as F
from torch import Tensor


def masked_lm(logits_MV: Tensor, labels_M: Tensor) -> tuple[Tensor, int]:
    """Cross-entropy summed over the M masked positions, in float32 or better; the count is M.

    Source: Devlin et al. 2019 (BERT), section 3.1. With no masked position the sum is zero.
    """
    if logits_MV.dtype.itemsize < 4:
        logits_MV = logits_MV.float()
    return F.cross_entropy(logits_MV, labels_M, reduction="sum"), len(labels_M)

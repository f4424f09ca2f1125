"""Agreement of two predictions for the same examples. N examples, C classes."""

import torch.nn.functional as F
from torch import Tensor


def symmetric_kl(logits_NC: Tensor, other_NC: Tensor) -> tuple[Tensor, int]:
    """``KL(sg p || q) + KL(sg q || p)`` of the softmaxes p and q, summed over N; the count is N.

    sg stops the gradient: each prediction is pulled to the other as if that were a label, so the
    gradient with respect to q's logits is ``q - p``, and ``p - q`` for p's. The sum runs over all
    classes. ``F.kl_div`` with its default reduction divides by C as well, which is no divergence
    any more: who compares with such code divides by ``N * C``. In float32 or better.
    Source: Zheng et al. 2021 (xTune, arXiv 2106.08226), example consistency.
    """
    if logits_NC.dtype.itemsize < 4:
        logits_NC, other_NC = logits_NC.float(), other_NC.float()
    p_NC, q_NC = F.log_softmax(logits_NC, dim=-1), F.log_softmax(other_NC, dim=-1)
    forth = F.kl_div(q_NC, p_NC.detach(), reduction="sum", log_target=True)
    back = F.kl_div(p_NC, q_NC.detach(), reduction="sum", log_target=True)
    return forth + back, len(logits_NC)

"""Masked language modelling."""

from torch import Tensor

from xbench.api.batch import MaskedView


def masked_lm(view: MaskedView) -> tuple[Tensor, int]:
    """Cross-entropy summed over the M masked positions, in float32 or better; the count is M.

    Source: Devlin et al. 2019 (BERT), section 3.1. With no masked position the sum is zero.
    """
    return view.losses().sum(), len(view.labels)

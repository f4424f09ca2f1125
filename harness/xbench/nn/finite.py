"""Checks that what an encoder gives is finite; else the cell of that language fails and says where."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class NotFinite(FloatingPointError):
    """Numbers are not finite, and not because a training diverged; the message has the advice."""


def rows_not_finite(vectors: Sequence[Tensor]) -> list[int]:
    """The numbers of the tensors that hold a NaN or an infinity. Waits for the device once."""
    if not vectors:
        return []
    fine = torch.stack([torch.isfinite(vector).all() for vector in vectors])
    return (~fine).nonzero().flatten().tolist()


def check_vectors(vectors: Sequence[Tensor], of: str, encoder: nn.Module, precision: str) -> None:
    """Look at the vectors of N texts; ``of`` says which these are (``pos in kaz, test``).

    Raises :class:`NotFinite` with the number of texts whose vectors are not finite, and what is at
    fault: the encoder's weights, or a half precision that overflows.
    """
    found = rows_not_finite(vectors)
    if found:
        raise NotFinite(
            f"{of}: the encoder gives vectors that are not finite for {len(found)} of "
            f"{len(vectors)} texts (the first is number {found[0] + 1}); {_fault(encoder, precision)}"
        )


def check_logits(logits_NC: Tensor, of: str) -> None:
    """Look at the scores of the classes. Raises :class:`NotFinite` with the number of places."""
    found = rows_not_finite(list(logits_NC))
    if found:
        raise NotFinite(
            f"{of}: the head gives scores that are not finite for {len(found)} of "
            f"{len(logits_NC)} labels; its weights or the encoder's are too large, train it again"
        )


def _fault(encoder: nn.Module, precision: str) -> str:
    for name, weight in encoder.named_parameters():
        rows = int((~torch.isfinite(weight.detach())).reshape(-1, weight.shape[-1]).any(1).sum())
        if rows:
            return (
                f"its weights {name} are not finite in {rows} rows: the checkpoint is at fault, "
                f"fetch or save it again"
            )
    if precision != "fp32":
        return f"{precision} overflows where float32 may not: try precision fp32"
    return "its weights are finite but too large: the checkpoint is at fault"

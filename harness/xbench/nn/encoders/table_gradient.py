"""The gradient of a large table, the word embeddings, made once for a step instead of once for a use.

torch makes a gradient as large as the table for every look-up and for the MLM head, 768 MB for XLM-R
base, and adds them up. Within :func:`added_in_place` all uses add to the table's own ``grad``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LARGE = 2**24
"""Numbers in a table from which on it pays: 64 MiB in float32."""

_in_place = False


@contextmanager
def added_in_place() -> Iterator[None]:
    """Within it ``backward`` adds gradients of tables to their ``grad`` directly.

    For a backward pass that ends in the ``grad`` of all parameters, as an optimiser wants them. Outside
    of it, as within ``torch.autograd.grad``, a table's gradient is handed on like any other.
    """
    global _in_place
    _in_place = True
    try:
        yield
    finally:
        _in_place = False


def gradient_for(table: Tensor) -> tuple[Tensor, Tensor | None]:
    """Where a ``backward`` adds the table's gradient, and what it then returns as this gradient."""
    if not (_in_place and table.is_leaf):
        new = torch.zeros_like(table)
        return new, new
    if table.grad is None:
        table.grad = torch.zeros_like(table)
    return table.grad, None


def look_up(ids: Tensor, table_1VD: Tensor, padding_row: int | None) -> Tensor:
    """``[..., D]`` rows of the table ``[1, V, D]``; ``padding_row`` gets no gradient."""
    if table_1VD.numel() < LARGE or table_1VD.device.type != "cpu":
        return F.embedding(ids, table_1VD.squeeze(0), padding_row)
    rows: Tensor = _LookUp.apply(ids, table_1VD, padding_row)  # type: ignore[no-untyped-call]
    return rows


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, ids: Tensor, table_1VD: Tensor, padding_row: int | None) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.table, ctx.padding_row = table_1VD, padding_row
        return F.embedding(ids, table_1VD.squeeze(0))

    @staticmethod
    def backward(ctx: Any, of_rows: Tensor) -> tuple[None, Tensor | None, None]:
        (ids,) = ctx.saved_tensors
        gradient_1VD, returned = gradient_for(ctx.table)
        added = of_rows.reshape(-1, gradient_1VD.shape[-1]).to(gradient_1VD.dtype)
        if ctx.padding_row is not None:
            added = added * (ids.reshape(-1, 1) != ctx.padding_row)
        gradient_1VD.squeeze(0).index_add_(0, ids.flatten(), added)
        return None, returned, None

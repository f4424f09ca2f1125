"""Squared distances: against torch's own mean squared error and a loop."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from xbench_plugins.losses.squared_distance import squared_distances


def vectors(rows: int = 5, width: int = 4) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return (torch.randn(rows, width).double(), torch.randn(rows, width).double())


def test_sum_over_dimensions_is_the_loop() -> None:
    a, b = vectors()
    expected = sum(
        (float(x) - float(y)) ** 2 for x, y in zip(a.flatten(), b.flatten(), strict=True)
    )
    total, count = squared_distances(a, b, "sum")
    assert (float(total), count) == (pytest.approx(expected, rel=1e-12), 5)


def test_mean_over_dimensions_and_rows_is_the_mean_squared_error() -> None:
    a, b = vectors()
    total, count = squared_distances(a, b, "mean")
    torch.testing.assert_close(total / count, F.mse_loss(a, b), rtol=1e-12, atol=0)
    torch.testing.assert_close(4 * total, squared_distances(a, b, "sum")[0], rtol=1e-12, atol=0)


@pytest.mark.parametrize("dimensions", ["sum", "mean"])
def test_gradient(dimensions: str) -> None:
    arguments = tuple(x.requires_grad_() for x in vectors(3))
    assert torch.autograd.gradcheck(lambda a, b: squared_distances(a, b, dimensions)[0], arguments)


@pytest.mark.parametrize("dimensions", ["sum", "mean"])
def test_equal_vectors_and_no_vectors_cost_nothing(dimensions: str) -> None:
    a, _ = vectors()
    assert float(squared_distances(a, a, dimensions)[0]) == 0.0
    nothing = a[:0].clone().requires_grad_()
    total, count = squared_distances(nothing, a[:0], dimensions)
    total.backward()
    assert (float(total.detach()), count) == (0.0, 0)


def test_half_precision_is_raised_first() -> None:
    a, b = (x.bfloat16() for x in vectors(300))
    total, _ = squared_distances(a, b, "sum")
    torch.testing.assert_close(total, squared_distances(a.float(), b.float(), "sum")[0])
    assert total.dtype == torch.float32


def test_what_does_not_fit_is_refused() -> None:
    a, b = vectors()
    with pytest.raises(ValueError, match=r"shapes \[5, 4\] and \[4, 4\]"):
        squared_distances(a, b[:4], "sum")
    with pytest.raises(ValueError, match="'median'"):
        squared_distances(a, b, "median")  # type: ignore[arg-type]

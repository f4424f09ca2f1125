"""The objective's numbers against numpy, and what it does with degenerate input."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from xbench_redundancy.objective import Redundancy, standardised


def batch_of(u_ND: Tensor, v_ND: Tensor) -> Any:
    """A batch that has nothing but pooled vectors."""
    source, target = (
        SimpleNamespace(pooled=lambda depth, how, vectors=vectors: vectors)
        for vectors in (u_ND, v_ND)
    )
    return SimpleNamespace(source=source, target=target)


def terms(u_ND: Tensor, v_ND: Tensor, **config: Any) -> dict[str, float]:
    objective = Redundancy(Redundancy.Config(**config))
    objective.setup(torch.nn.Linear(1, 1))
    return {name: float(term.mean) for name, term in objective.terms(batch_of(u_ND, v_ND)).items()}


def normal(*shape: int, seed: int = 0) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=stream, dtype=torch.float64)


@pytest.mark.parametrize(("pairs", "width"), [(2, 3), (9, 4), (50, 7)])
def test_agrees_with_numpy(pairs: int, width: int) -> None:
    # wide, so that what is added to the variance does not count
    u_ND, v_ND = 3 + 2e3 * normal(pairs, width), 1e3 * normal(pairs, width, seed=1)
    both = np.corrcoef(u_ND.numpy(), v_ND.numpy(), rowvar=False)
    correlation = both[:width, width:]
    off = correlation[~np.eye(width, dtype=bool)]
    found = terms(u_ND, v_ND, weight=0.3)
    assert found["invariance"] == pytest.approx(((1 - np.diag(correlation)) ** 2).mean(), rel=1e-6)
    assert found["redundancy"] == pytest.approx(0.3 * (off**2).sum() / width, rel=1e-6)


def test_independent_dimensions_that_agree_cost_nothing() -> None:
    u_ND = torch.tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=torch.float64)
    found = terms(u_ND, 100 * u_ND + 5)
    assert found["invariance"] == pytest.approx(0, abs=1e-9)
    assert found["redundancy"] == pytest.approx(0, abs=1e-9)


def test_dimensions_that_say_the_same_cost() -> None:
    u_ND = normal(20, 1).expand(-1, 4)
    found = terms(u_ND, u_ND, weight=1.0)
    assert found["invariance"] == pytest.approx(0, abs=1e-6)
    assert found["redundancy"] == pytest.approx(3, rel=1e-3)


def test_a_collapse_is_no_solution() -> None:
    u_ND = torch.ones(5, 3, requires_grad=True)
    assert terms(u_ND.detach(), torch.ones(5, 3)) == {"invariance": 1.0, "redundancy": 0.0}
    standardised(u_ND).sum().backward()
    assert u_ND.grad is not None
    assert torch.isfinite(u_ND.grad).all()


def test_order_of_the_pairs_changes_nothing() -> None:
    u_ND, v_ND = normal(6, 3), normal(6, 3, seed=1)
    order = torch.tensor([3, 5, 0, 1, 4, 2])
    assert terms(u_ND, v_ND) == pytest.approx(terms(u_ND[order], v_ND[order]), rel=1e-12)

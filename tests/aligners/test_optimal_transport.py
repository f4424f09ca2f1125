"""Sinkhorn's plan against POT and a slow loop; what links are made of it."""

import math

import pytest
import torch
from torch import Tensor

from xbench_plugins.aligners.argmax import Argmax
from xbench_plugins.aligners.optimal_transport import OptimalTransport
from xbench_plugins.aligners.sinkhorn import transport

from .pairs import pair_of, random_pair, side


def costs(n: int, m: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(n, m, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow_plan(cost: list[list[float]], regularisation: float, iterations: int) -> list[list[float]]:
    """Sinkhorn's own form: the kernel scaled by u and v in turn."""
    n, m = len(cost), len(cost[0])
    kernel = [[math.exp(-c / regularisation) for c in row] for row in cost]
    u, v = [1.0] * n, [1.0] * m
    for _ in range(iterations):
        u = [1 / n / sum(kernel[i][j] * v[j] for j in range(m)) for i in range(n)]
        v = [1 / m / sum(kernel[i][j] * u[i] for i in range(n)) for j in range(m)]
    return [[u[i] * kernel[i][j] * v[j] for j in range(m)] for i in range(n)]


@pytest.mark.parametrize("iterations", [1, 3, 200])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 4), (7, 3)])
def test_the_plan_is_the_slow_loop(shape: tuple[int, int], iterations: int) -> None:
    cost = costs(*shape)
    plan = transport(cost, 0.1, iterations, tolerance=0.0)
    slow = torch.tensor(slow_plan(cost.tolist(), 0.1, iterations), dtype=torch.float64)
    torch.testing.assert_close(plan, slow, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("regularisation", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(4, 4), (7, 12), (20, 3)])
def test_the_plan_agrees_with_pot(shape: tuple[int, int], regularisation: float) -> None:
    ot = pytest.importorskip("ot", reason="POT is in the extra dev")
    cost = costs(*shape, seed=1)
    n, m = shape
    reference = ot.sinkhorn(
        [1 / n] * n,
        [1 / m] * m,
        cost.numpy(),
        regularisation,
        numItermax=20_000,
        stopThr=1e-11,
        warn=False,
    )
    plan = transport(cost, regularisation, 20_000, tolerance=1e-12)
    torch.testing.assert_close(plan, torch.from_numpy(reference), rtol=1e-6, atol=1e-9)


def test_with_little_entropy_the_cost_is_that_of_the_exact_optimum() -> None:
    ot = pytest.importorskip("ot", reason="POT is in the extra dev")
    cost = costs(6, 9, seed=2)
    exact = float(ot.emd2([1 / 6] * 6, [1 / 9] * 9, cost.numpy()))
    plan = transport(cost, 0.01, 5_000)
    assert exact <= float((plan * cost).sum()) <= exact + 0.01


@pytest.mark.parametrize("regularisation", [0.01, 0.1, 10.0])
def test_masses_are_right(regularisation: float) -> None:
    plan = transport(costs(5, 8) - 7, regularisation, 5_000)
    torch.testing.assert_close(plan.sum(0), torch.full((8,), 1 / 8, dtype=torch.float64))
    rows = torch.full((5,), 1 / 5, dtype=torch.float64)
    torch.testing.assert_close(plan.sum(1), rows, rtol=1e-5, atol=0)


def test_a_regularisation_that_would_underflow_is_refused() -> None:
    cost = torch.tensor([[0.0, 2.0], [2.0, 0.0]], dtype=torch.float64)
    assert float(transport(cost, 0.01, 10)[0, 0]) == pytest.approx(0.5)
    with pytest.raises(ValueError, match=r"0\.001 is too small for costs that differ by 2"):
        transport(cost, 0.001, 10)
    with pytest.raises(ValueError, match="regularisation"):
        OptimalTransport.Config(regularisation=0.001)


def test_it_ends_early_where_the_masses_are_right() -> None:
    cost = costs(6, 6, seed=4)
    long = transport(cost, 0.5, 10_000, tolerance=1e-9)
    assert float((long.sum(1) * 6 - 1).abs().max()) <= 1e-9
    torch.testing.assert_close(long, transport(cost, 0.5, 10_000, 1e-13), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_links_are_read_off_the_plan(seed: int) -> None:
    pair = random_pair(seed, n=6, m=8, words=8)
    states = [
        one.states / one.states.norm(dim=1, keepdim=True) for one in (pair.source, pair.target)
    ]
    plan = slow_plan((1 - states[0] @ states[1].T).tolist(), 0.1, 400)
    of_source, of_target = pair.source.owner.tolist(), pair.target.owner.tolist()
    mutual, above = set(), set()
    for i in range(6):
        for j in range(8):
            if plan[i][j] == max(plan[i]) == max(row[j] for row in plan):
                mutual.add((of_source[i], of_target[j]))
            if plan[i][j] * 6 > 0.2 and plan[i][j] * 8 > 0.2:
                above.add((of_source[i], of_target[j]))
    more = {"iterations": 400}
    by_mutual = OptimalTransport(OptimalTransport.Config(**more))
    assert by_mutual.align(pair) == sorted(mutual)
    config = OptimalTransport.Config(extraction="threshold", threshold=0.2, **more)
    assert OptimalTransport(config).align(pair) == sorted(above)


def test_a_unit_that_all_like_best_is_shared_out() -> None:
    # Both sources are nearest to the first target; the second has little choice but to go elsewhere.
    source = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.3, 0.0]])
    target = torch.tensor([[1.0, 0.1, 0.0], [0.8, 0.5, 1.0]])
    pair = pair_of(side(source), side(target))
    assert Argmax().align(pair) == [(0, 0)]
    assert OptimalTransport().align(pair) == [(0, 0), (1, 1)]


def test_equal_states_link_the_first_or_with_a_threshold_all() -> None:
    same = torch.ones(3, 4)
    pair = pair_of(side(same), side(same))
    assert OptimalTransport().align(pair) == [(0, 0)]
    config = OptimalTransport.Config(extraction="threshold", threshold=0.3)
    assert len(OptimalTransport(config).align(pair)) == 9


def test_a_permuted_sentence_has_permuted_links() -> None:
    chance = torch.Generator().manual_seed(0)
    source, target = torch.randn(6, 5, generator=chance), torch.randn(8, 5, generator=chance)
    order = torch.randperm(8, generator=chance)
    plain = OptimalTransport().align(pair_of(side(source), side(target)))
    moved = OptimalTransport().align(pair_of(side(source), side(target[order])))
    assert plain == sorted((i, int(order[j])) for i, j in moved)

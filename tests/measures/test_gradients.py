"""Products of gradients in blocks, any number of parts, and what is refused."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from xbench_plugins.measures import gradients as measures

Part = dict[str, Tensor]


def parts(count: int, seed: int = 0, names: str = "abc") -> list[Part]:
    generator = torch.Generator().manual_seed(seed)
    return [{name: torch.randn(5, 7, generator=generator) for name in names} for _ in range(count)]


def vector(part: Part) -> np.ndarray:
    return np.concatenate([part[name].double().numpy().ravel() for name in sorted(part)])


def test_dot_in_blocks_is_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "BLOCK", 3)
    one, other = torch.full((4, 2), 1e8), torch.ones(4, 2)
    other[0, 0], one[3, 1] = 1 + 2**-20, -7e8
    wanted = float(one.double().flatten() @ other.double().flatten())
    assert measures.dot(one, other) == wanted != 0
    assert measures.dot(one.T, other.T) == wanted  # not contiguous
    assert measures.dot(torch.zeros(0), torch.zeros(0)) == 0


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(3, 2\) differ"):
        measures.dot(torch.zeros(2, 3), torch.zeros(3, 2))


@pytest.mark.parametrize("count", [2, 3, 5])
def test_lengths_of_any_number_of_parts(count: int) -> None:
    given = parts(count)
    found = measures.length(measures.mean_gradient(iter(given)), "abc")
    vectors = [vector(part) for part in given]
    pairs = list(itertools.combinations(vectors, 2))
    assert found.square == pytest.approx(np.sum(np.mean(vectors, 0) ** 2), rel=1e-6)
    assert found.signal == pytest.approx(np.mean([u @ v for u, v in pairs]), rel=1e-6)
    lengths = [np.linalg.norm(u) * np.linalg.norm(v) for u, v in pairs]
    ceiling = sum(u @ v for u, v in pairs) / sum(lengths)
    assert found.ceiling == pytest.approx(ceiling, rel=1e-6)


def test_inner_is_the_mean_over_all_pairs_of_parts() -> None:
    one, other = parts(2, 1), parts(3, 2)
    means = measures.mean_gradient(one), measures.mean_gradient(other)
    inner = measures.inner_products(*means)
    wanted = np.mean([vector(p) @ vector(q) for p in one for q in other])
    assert measures.compare(*means, inner, "abc").inner == pytest.approx(wanted, rel=1e-6)


def test_parts_are_left_as_they_are_and_their_order_does_not_matter() -> None:
    given = parts(3)
    before = [vector(part) for part in given]
    forward = measures.length(measures.mean_gradient(given), "abc")
    backward = measures.length(measures.mean_gradient(given[::-1]), "abc")
    assert forward.signal == pytest.approx(backward.signal, rel=1e-6)
    for part, old in zip(given, before, strict=True):
        np.testing.assert_array_equal(vector(part), old)


def test_a_parameter_that_is_not_there_has_the_gradient_zero() -> None:
    given = parts(3)
    filled = [dict(part) for part in given]
    for number, name in ((0, "a"), (1, "b"), (2, "b"), (0, "c"), (1, "c"), (2, "c")):
        del given[number][name]
        filled[number][name] = torch.zeros(5, 7)
    lacking, zero = (measures.mean_gradient(each) for each in (given, filled))
    assert measures.length(lacking, "abc") == measures.length(zero, "abc")
    other = measures.mean_gradient(parts(2, 9))
    inner = [measures.inner_products(mean, other) for mean in (lacking, zero)]
    assert measures.compare(lacking, other, inner[0], "abc") == measures.compare(
        zero, other, inner[1], "abc"
    )


def test_gradients_of_different_parameters_are_refused() -> None:
    one, other = (measures.mean_gradient(parts(2, names=names)) for names in ("ab", "cd"))
    with pytest.raises(ValueError, match="of different parameters"):
        measures.inner_products(one, other)


def test_one_part_tells_nothing_of_noise() -> None:
    for count in (0, 1):
        with pytest.raises(ValueError, match=f"from two disjoint parts on, got {count}"):
            measures.mean_gradient(parts(count))


@pytest.mark.parametrize(
    ("strength", "ceiling", "mean"), [(0.5, 0.2, 1.005), (0.3, 0.082, 1.05), (0.22, 0.046, 1.22)]
)
def test_at_low_signal_the_corrected_cosine_is_too_large_as_the_documentation_says(
    strength: float, ceiling: float, mean: float
) -> None:
    """Two equal gradients of 400 parameters, in 4 parts each with noise of variance 1."""
    chance, found, ceilings = torch.Generator().manual_seed(1), [], []
    for _ in range(500):
        signal = torch.randn(400, generator=chance, dtype=torch.float64) * strength
        one, other = (
            measures.mean_gradient(
                {"w": signal + torch.randn(400, generator=chance, dtype=torch.float64)}
                for _ in range(4)
            )
            for _ in range(2)
        )
        pair = measures.compare(one, other, measures.inner_products(one, other), ["w"])
        ceilings.append(pair.first.ceiling or 0.0)
        value = measures.corrected_cosine(pair).value
        found += [] if value is None else [value]
    assert np.mean(ceilings) == pytest.approx(ceiling, abs=0.01)
    error = np.std(found) / math.sqrt(len(found))
    assert np.mean(found) == pytest.approx(mean, abs=4 * error)


def test_the_corrected_cosine_follows_a_true_one() -> None:
    """Two directions at 60 degrees under noise of eight times their length: 0.5 in the mean."""
    rng = np.random.default_rng(0)
    size, values = 2000, []
    for _ in range(200):
        noise = rng.normal(0, 8, (4, size))
        g, h = np.zeros(size), np.zeros(size)
        g[0] = h[1] = 150.0
        h = h * math.sqrt(3) / 2 + g / 2
        noisy = [{"w": torch.tensor(n + (g if k < 2 else h))} for k, n in enumerate(noise)]
        one, other = measures.mean_gradient(noisy[:2]), measures.mean_gradient(noisy[2:])
        pair = measures.compare(one, other, measures.inner_products(one, other), ["w"])
        values.append(measures.corrected_cosine(pair).value)
        assert abs(measures.cosine(pair).value or 0) < 0.5
    known = [value for value in values if value is not None]
    assert len(known) == 200
    error = np.std(known) / math.sqrt(len(known))
    assert np.mean(known) == pytest.approx(0.5, abs=3 * error)
    assert error < 0.02


def test_zero_against_zero() -> None:
    mean = measures.mean_gradient([{"w": torch.zeros(3)}] * 2)
    pair = measures.compare(mean, mean, measures.inner_products(mean, mean), ["w"])
    for measure in (measures.cosine, measures.corrected_cosine, measures.ratio):
        assert measure(pair) == (None, "the first gradient is zero")
    assert measures.interference(pair) == (None, "the second gradient is zero")
    assert measures.similarity(pair) == (None, "both gradients are zero")
    assert measures.ceiling(pair.first) == (None, "the gradient is zero")

"""Slow, obvious implementations that the measures are held against: loops over single numbers."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

Matrix = Sequence[Sequence[float]]


def cosine(u: Tensor, v: Tensor) -> float:
    above = sum(float(a) * float(b) for a, b in zip(u, v, strict=True))
    return above / math.sqrt(sum(float(a) ** 2 for a in u) * sum(float(b) ** 2 for b in v))


def cosines(first: Tensor, second: Tensor) -> list[list[float]]:
    return [[cosine(u, v) for v in second] for u in first]


def turned(scores: Matrix) -> list[list[float]]:
    return [list(column) for column in zip(*scores, strict=True)]


def nearest_mean(scores: Matrix, k: int) -> list[float]:
    """The mean of the k best of each row."""
    return [sum(sorted(row, reverse=True)[:k]) / min(k, len(row)) for row in scores]


def csls(plain: Matrix, k: int = 10) -> list[list[float]]:
    """2 cos(u, v) - r(u) - r(v)."""
    r_u, r_v = nearest_mean(plain, k), nearest_mean(turned(plain), k)
    return [[2 * c - r_u[i] - r_v[j] for j, c in enumerate(row)] for i, row in enumerate(plain)]


def margin(plain: Matrix, k: int = 4) -> list[list[float]]:
    """cos(u, v) over the mean of the two neighbourhoods' means."""
    r_u, r_v = nearest_mean(plain, k), nearest_mean(turned(plain), k)
    return [[2 * c / (r_u[i] + r_v[j]) for j, c in enumerate(row)] for i, row in enumerate(plain)]


def ranks(scores: Matrix) -> list[int]:
    """The rank, from 1, of the candidate of the row's own number; ties count against it."""
    return [
        1 + sum(score >= row[i] for j, score in enumerate(row) if j != i)
        for i, row in enumerate(scores)
    ]


def xsim_error(plain: Matrix, k: int = 4) -> float:
    scores, wrong = margin(plain, k), 0
    for i, row in enumerate(plain):
        near = sorted(range(len(row)), key=lambda j: -row[j])[:k]
        wrong += max(near, key=lambda j: scores[i][j]) != i
    return wrong / len(plain)


def gram_cka(first: Tensor, second: Tensor) -> float:
    """Linear CKA by its N x N definition: HSIC of centred inner products."""
    x, y = first.numpy(), second.numpy()
    centring = np.eye(len(x)) - 1 / len(x)
    k, m = centring @ x @ x.T @ centring, centring @ y @ y.T @ centring
    return float(np.sum(k * m) / math.sqrt(np.sum(k * k) * np.sum(m * m)))


def unbiased_hsic(first: Any, second: Any) -> float:
    """Song et al. 2012 as sums over distinct indices: E k_ij l_ij - 2 E k_ij l_iq + E k_ij l_qr."""
    k, m, n = first @ first.T, second @ second.T, len(first)
    pairs = triples = fours = 0.0
    for i in range(n):
        for j in range(n):
            if i == j:
                continue
            pairs += k[i, j] * m[i, j]
            for q in range(n):
                if q in (i, j):
                    continue
                triples += k[i, j] * m[i, q]
                fours += k[i, j] * sum(m[q, r] for r in range(n) if r not in (i, j, q))
    p2, p3 = n * (n - 1), n * (n - 1) * (n - 2)
    return pairs / p2 - 2 * triples / p3 + fours / (p3 * (n - 3))

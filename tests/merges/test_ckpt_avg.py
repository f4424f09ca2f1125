"""Checkpoint averaging: which steps, and what mean."""

from collections.abc import Iterator, Mapping
from dataclasses import fields

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from xbench_plugins.merges.ckpt_avg import CheckpointAverage

Snapshot = Mapping[str, Tensor]


def merge(**settings: float) -> CheckpointAverage:
    return CheckpointAverage(CheckpointAverage.Config(**settings))


def snapshots(count: int, dtype: torch.dtype = torch.float32) -> list[dict[str, Tensor]]:
    chance = torch.Generator().manual_seed(0)
    return [
        {
            "layer.weight": torch.randn(3, 4, generator=chance).to(dtype),
            "layer.bias": 1e-4 * torch.randn(4, generator=chance).to(dtype),
            "scalar": torch.randn((), generator=chance, dtype=torch.float64),
            "steps": torch.tensor(10 * (n + 1)),
            "mask": torch.tensor([n % 2 == 0, True]),
        }
        for n in range(count)
    ]


def slow_mean(given: list[dict[str, Tensor]], name: str) -> list[float]:
    rows = [snapshot[name].double().flatten().tolist() for snapshot in given]
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


@pytest.mark.parametrize(
    ("settings", "steps", "expected"),
    [
        ({}, 100, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]),
        ({"snapshots": 4}, 10, [3, 5, 8, 10]),
        ({"snapshots": 1}, 37, [37]),
        ({"snapshots": 5, "since": 0.5}, 100, [60, 70, 80, 90, 100]),
        ({"snapshots": 3, "since": 0.97}, 100, [98, 99, 100]),
        ({"snapshots": 10}, 3, [1, 2, 3]),
        ({"snapshots": 10, "since": 0.5}, 1, [1]),
        ({"snapshots": 2}, 0, []),
    ],
)
def test_steps(settings: dict[str, float], steps: int, expected: list[int]) -> None:
    assert merge(**settings).steps(steps) == expected


@given(st.integers(1, 500), st.integers(1, 20), st.floats(0, 0.99))
def test_steps_are_distinct_within_the_training_and_end_with_it(
    steps: int, count: int, since: float
) -> None:
    found = list(merge(snapshots=count, since=since).steps(steps))
    assert found == sorted(set(found))
    assert found[-1] == steps
    assert found[0] > since * steps - 1
    assert found[0] >= 1
    passed_over = int(since * steps)
    assert len(found) == min(count, steps - passed_over)
    gaps = [b - a for a, b in zip([passed_over, *found], found, strict=False)]
    assert max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_it_is_the_mean_in_the_tensors_own_type(count: int, dtype: torch.dtype) -> None:
    given = snapshots(count, dtype)
    merged = merge().combine(given)
    assert merged.keys() == given[0].keys()
    for name in ("layer.weight", "layer.bias", "scalar"):
        exact = torch.tensor(slow_mean(given, name), dtype=torch.float64).to(given[0][name].dtype)
        assert merged[name].shape == given[0][name].shape
        torch.testing.assert_close(merged[name].flatten(), exact, rtol=1e-12, atol=0)


def test_counters_and_masks_are_those_of_the_last() -> None:
    merged = merge().combine(snapshots(4))
    assert merged["steps"].item() == 40
    assert merged["steps"].dtype == torch.int64
    assert merged["mask"].tolist() == [False, True]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_one_snapshot_stays_bit_for_bit(dtype: torch.dtype) -> None:
    (only,) = snapshots(1, dtype)
    merged = merge(snapshots=1).combine([only])
    assert all(torch.equal(merged[name], only[name]) for name in only)
    assert [merged[name].dtype for name in only] == [tensor.dtype for tensor in only.values()]


def test_equal_snapshots_average_to_themselves_bit_for_bit() -> None:
    (same,) = snapshots(1)
    merged = merge().combine([same] * 7)
    assert all(torch.equal(merged[name], same[name]) for name in same)


def test_order_matters_to_counters_alone() -> None:
    given = snapshots(5)
    forth, back = merge().combine(given), merge().combine(reversed(given))
    assert torch.equal(forth["layer.weight"], back["layer.weight"])
    assert back["steps"].item() == 10


def test_snapshots_are_read_one_by_one_and_left_alone() -> None:
    given = snapshots(3)
    kept = [{name: tensor.clone() for name, tensor in snapshot.items()} for snapshot in given]
    alive: list[int] = []

    def one_by_one() -> Iterator[Snapshot]:
        for number, snapshot in enumerate(given):
            alive.append(number)
            yield snapshot

    merged = merge().combine(one_by_one())
    assert alive == [0, 1, 2]
    for tensor in merged.values():
        tensor.zero_()
    for before, after in zip(kept, given, strict=True):
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_no_snapshot_is_an_error() -> None:
    with pytest.raises(ValueError, match="no snapshot"):
        merge().combine([])


def test_snapshots_of_another_model_are_refused() -> None:
    first, second = snapshots(2)
    lacking = {name: tensor for name, tensor in second.items() if name != "mask"}
    wider = {**second, "layer.bias": torch.zeros(5)}
    for wrong, name in ((lacking, "mask"), (wider, "layer.bias")):
        with pytest.raises(ValueError, match=f"name or shape of {name}: "):
            merge().combine([first, wrong])


def test_every_setting_has_a_source() -> None:
    assert set(CheckpointAverage.sources) == {f.name for f in fields(CheckpointAverage.Config)}
    for wrong in ({"snapshots": 0}, {"since": 1.0}, {"k": 3}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            merge(**wrong)

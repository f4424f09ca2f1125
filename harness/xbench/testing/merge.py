"""What a merge of snapshots must keep to."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from xbench.api.merge import Merge
from xbench.testing.contract import expect
from xbench.testing.definition import Configured, Documented

LENGTHS = (1, 2, 3, 10, 97, 1000)  # of fine-tunings, in updates


class MergeContract(Documented, Configured):
    """``class TestMine(MergeContract): merge = "mine"``."""

    kind = "merge"
    group = "objectives"
    has_reference: ClassVar[bool] = True
    merge: ClassVar[str | type[Merge]]

    def test_steps(self) -> None:
        """It asks for at least one snapshot, and for steps that there are."""
        for variant, config in self.configurations().items():
            for length in LENGTHS:
                steps = list(self.loaded(config).steps(length))
                expect(
                    steps and all(type(step) is int and 1 <= step <= length for step in steps),
                    f"of {length} steps it asks for {steps} (configuration {variant!r})",
                    "steps(n) gives whole numbers from 1 to n, for short trainings too",
                )

    def test_equal_snapshots(self) -> None:
        """Equal snapshots give themselves, in their own shapes and types."""
        for variant, config in self.configurations().items():
            for count in (1, 2, 5):
                merged = self._combine(config, [_weights(0) for _ in range(count)])
                for name, value in _weights(0).items():
                    expect(
                        name in merged and merged[name].shape == value.shape,
                        f"{name} is missing, or of another shape (configuration {variant!r})",
                        "give every tensor of the snapshots, under its own name",
                    )
                    expect(
                        merged[name].dtype == value.dtype and torch.allclose(merged[name], value),
                        f"{count} equal snapshots give another {name} (configuration {variant!r})",
                        "weights have to add up to 1; tensors without real numbers (counters, masks) "
                        "are taken from one snapshot",
                    )

    def test_finite(self) -> None:
        """Different snapshots give finite weights, the same ones each time; snapshots stay as they are."""
        for variant, config in self.configurations().items():
            snapshots = [_weights(seed) for seed in range(4)]
            merged, again = (self._combine(config, snapshots) for _ in range(2))
            for name, value in merged.items():
                expect(
                    torch.isfinite(value.float()).all() and torch.equal(value, again[name]),
                    f"{name} is not finite, or not twice the same (configuration {variant!r})",
                    "look for a division by zero, and for random numbers without a fixed seed",
                )
            expect(
                all(
                    torch.equal(snapshot[name], value)
                    for seed, snapshot in enumerate(snapshots)
                    for name, value in _weights(seed).items()
                ),
                f"combine() changed a snapshot (configuration {variant!r})",
                "add to a tensor of your own: clone the first one",
            )

    def _combine(self, config: Any, snapshots: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        # an iterator, as in a run: each snapshot is there once
        merged: dict[str, Tensor] = self.loaded(config).combine(iter(snapshots))
        return merged


def _weights(seed: int) -> dict[str, Tensor]:
    stream = torch.Generator().manual_seed(seed)
    return {
        "encoder/layer.weight": torch.randn(1, 4, 3, generator=stream),
        "encoder/half": torch.randn(5, generator=stream).bfloat16(),
        "head/bias": torch.randn(2, generator=stream),
        "head/updates": torch.tensor(7 + seed),
        "head/mask": torch.tensor([True, False]),
    }

"""What serves as a control without a signal of alignment learns nothing of which sentences are paired."""

import pytest
import torch

from xbench.catalogue.discovery import discovery
from xbench.catalogue.registry import load_registry
from xbench.testing.toys.clones import clone_pairs
from xbench.testing.toys.training import Training
from xbench.testing.toys.trials import pairing

STEPS = 120  # an objective that learns pairs tells them apart after 60


def unsigned() -> list[tuple[str, str]]:
    """(objective, variant): those that serve as a control, and those that say so themselves."""
    controls = [control.split(":") for control in load_registry().controls.values()]
    blind = [
        (plugin.name, "default")
        for plugin in discovery.table
        if plugin.kind == "objectives"
        and plugin.distribution == "xbench"
        and not getattr(plugin.load(), "learns_pairs", True)
    ]
    return [(name, variant) for name, variant in controls] + blind


def test_there_are_some() -> None:
    assert {"hictl", "mlm"} <= {name for name, _ in unsigned()}


@pytest.mark.parametrize(("name", "variant"), unsigned())
def test_right_pairs_are_no_better_than_wrong_ones(name: str, variant: str) -> None:
    loaded = discovery.table.get("objectives", name).load()
    batches = [clone_pairs(16, seed, shortest=5, longest=5) for seed in range(64)]
    config = loaded.variants.get(variant, loaded.Config())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        training = Training(loaded, config, batches, learning_rate=5e-3)
        training.prepare()
        training.run(0, STEPS)
        found = pairing(training)
    finally:
        torch.set_num_threads(threads)
    assert not found.loss_is_lower

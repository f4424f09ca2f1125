"""Every built-in plugin keeps the contract of its kind.

Sources that read files are looked at where ``XBENCH_DATA`` names a data folder.
"""

from functools import cache
from typing import Any

import pytest

from xbench.discovery import Plugin, discovery
from xbench.testing import Contract, ObjectiveContract, contract_of

OURS = [plugin for plugin in discovery.table if plugin.distribution == "xbench"]
# Masked language modelling of each side by itself has no use for right pairs.
BLIND = {"mlm"}


@cache
def contract_for(plugin: Plugin) -> type[Contract]:
    """The contract class, as ``xbench check`` makes it."""
    return contract_of(plugin)


def checks() -> list[Any]:
    return [
        pytest.param(plugin, check, id=f"{plugin.kind}-{plugin.name}-{check}")
        for plugin in OURS
        for check in contract_for(plugin).checks()
    ]


def test_plugins_of_every_kind_are_looked_at() -> None:
    contracts = {contract_for(plugin).kind for plugin in OURS}
    assert contracts >= {"objective", "transform", "merge", "aligner", "task", "metric", "source"}
    assert contracts >= {"language", "probe"}


@pytest.mark.parametrize(("plugin", "check"), checks())
def test_contract(plugin: Plugin, check: str) -> None:
    contract: Any = contract_for(plugin)()
    if (
        isinstance(contract, ObjectiveContract)
        and plugin.name in BLIND
        and check == "test_true_pairs"
    ):
        pytest.skip("it has no use for right pairs")
    contract.setup_method()
    try:
        getattr(contract, check)()
    finally:
        contract.teardown_method()

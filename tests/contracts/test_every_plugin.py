"""Every built-in plugin, composition and language keeps the contract of its kind.

Sources that read files are looked at where ``XBENCH_DATA`` names a data folder.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.discovery import KINDS, discovery
from xbench.catalogue.registry import load_registry
from xbench.testing import Contract, LanguageContract, contract_of, contract_of_composition

OURS = [plugin for plugin in discovery.table if plugin.distribution == "xbench"]
REGISTRY = load_registry()


def contracts() -> Iterator[tuple[str, type[Contract]]]:
    """(what is looked at, its contract), as ``xbench check`` makes it."""
    for plugin in OURS:
        yield f"{plugin.kind}-{plugin.name}", contract_of(plugin)
    for name in REGISTRY.compositions:
        yield f"compositions-{name}", contract_of_composition(name)
    known = Catalogue(REGISTRY, discovery).languages
    for code in REGISTRY.languages:
        named = {"language": known.get(code)}
        yield f"registry-{code}", type("Test", (LanguageContract,), named)


CONTRACTS = dict(contracts())
CHECKS = [
    pytest.param(contract, check, id=f"{name}-{check}")
    for name, contract in CONTRACTS.items()
    for check in contract.checks()
]


def test_every_kind_is_looked_at() -> None:
    # at an objective's place there may stand a transform or a merge
    kinds = {kind.removesuffix("s") for kind in KINDS} | {"transform", "merge"}
    assert {contract.kind for contract in CONTRACTS.values()} == kinds
    assert {name for name in CONTRACTS if name.startswith("compositions")}
    assert len([name for name in CONTRACTS if name.startswith("registry")]) >= 39


def test_the_controls_are_among_them() -> None:
    for control in REGISTRY.controls.values():
        name, _, variant = control.partition(":")
        contract: Any = CONTRACTS[f"objectives-{name}"]()
        assert variant in contract.configurations()


@pytest.mark.parametrize(("contract", "check"), CHECKS)
def test_contract(contract: type[Contract], check: str) -> None:
    checked = contract()
    checked.setup_method()
    try:
        getattr(checked, check)()
    finally:
        checked.teardown_method()

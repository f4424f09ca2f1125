"""Which checks of a contract a plugin fails, and what is said."""

from typing import Any

from xbench.testing import Contract, examine


def failures(contract: type[Contract], plugin: object, *wanted: str) -> dict[str, str]:
    """Name of each check that fails -> the message; of all checks, or of the ``wanted`` ones."""
    names = wanted or tuple(contract.checks())
    attributes: dict[str, Any] = {
        contract.kind: plugin,
        "checks": classmethod(lambda cls: list(names)),
    }
    results = examine(type("Test", (contract,), attributes))
    found = dict(zip(names, results, strict=True))
    return {name: result.reason for name, result in found.items() if result.state == "failed"}

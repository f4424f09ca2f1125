"""What a probe must keep to."""

from typing import ClassVar

from xbench.api.probe import Probe
from xbench.testing.contract import expect
from xbench.testing.definition import Documented


class ProbeContract(Documented):
    """``class TestMine(ProbeContract): probe = "mine"``."""

    kind = "probe"
    group = "probes"
    probe: ClassVar[str | type[Probe]]

    def test_declaration(self) -> None:
        """It says what it needs, and measures."""
        needs = self.loaded.needs
        expect(
            not isinstance(needs, str) and all(isinstance(need, str) for need in needs),
            f"needs is {needs!r}",
            "make it a frozenset of strings, which may be empty",
        )
        expect(
            self.loaded.measure is not Probe.measure,
            "it does not define measure()",
            "yield a mapping with metric and value for each thing that is measured",
        )

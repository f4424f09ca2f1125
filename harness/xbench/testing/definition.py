"""Checks of how a plugin is written down: documentation, settings, and who stated their defaults."""

import json
import re
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, ClassVar

from xbench.catalogue.configs import component_config, configured
from xbench.errors import XbenchError
from xbench.testing.contract import Contract, expect, fail

FORMULA_OR_SHAPE = re.compile(r"`[^`]+`|\[[A-Z0-9][\w, +*/-]*\]|::\n")
REFERENCE = re.compile(
    r"arXiv[:\s]*\d{4}\.\d{4,5}|\b10\.\d{4,9}/\S|\bdoi\b|\bet al\b", re.IGNORECASE
)


class Documented(Contract):
    """The class says what it does; with ``has_reference`` also by which formula, and whose."""

    has_reference: ClassVar[bool] = False

    def test_documentation(self) -> None:
        """The class is documented."""
        text = (self.loaded.__doc__ or "").strip()
        generated = text.startswith(f"{self.loaded.__name__}(") and is_dataclass(self.loaded)
        expect(
            text and not generated,
            f"{self.name} has no documentation",
            "begin the class with a docstring that says what it does; `xbench show` prints it",
        )
        if not self.has_reference:
            return
        expect(
            FORMULA_OR_SHAPE.search(text),
            f"the documentation of {self.name} has neither a formula nor a shape",
            "write the formula in backticks, with the shapes of what is in it, as [N, D]",
        )
        expect(
            REFERENCE.search(text),
            f"the documentation of {self.name} names no source",
            'say whose method it is: an arXiv id, a DOI, or "Name et al. 2020"',
        )


class Configured(Contract):
    """``Config``, ``variants`` and ``sources``; with ``needs_sources`` every default has an origin."""

    needs_sources: ClassVar[bool] = True

    def configurations(self) -> dict[str, Any]:
        """Every configuration that a run may ask for by name: the default, and the variants."""
        default = self.loaded.Config()
        variants = dict(getattr(self.loaded, "variants", {}))
        return variants if default in variants.values() else {"default": default, **variants}

    def test_settings(self) -> None:
        """Config has a default for every setting, and sources says who stated it."""
        config = self.loaded.Config
        expect(
            is_dataclass(config) and getattr(config, "__dataclass_params__").frozen,  # noqa: B009
            f"the Config of {self.name} is no frozen dataclass",
            "write @dataclass(frozen=True) above it",
        )
        open_fields = [
            f.name for f in fields(config) if f.default is MISSING and f.default_factory is MISSING
        ]
        expect(
            not open_fields,
            f"the settings {', '.join(open_fields)} of {self.name} have no default",
            "give each a default, so that a run needs no option",
        )
        known = {f.name for f in fields(config)}
        stated = set(getattr(self.loaded, "sources", {}))
        lacking = sorted(known - stated)
        expect(
            not lacking or not self.needs_sources,
            f"nobody is named for the default of {', '.join(lacking)}",
            'add it to the class attribute sources: "paper", "code: NAME" or "reconstruction"',
        )
        expect(
            stated <= known,
            f"sources names {', '.join(sorted(stated - known))}, which Config does not have",
            "remove it, or write it as Config does",
        )

    def test_settings_as_json(self) -> None:
        """Every configuration is the same after a round trip through JSON."""
        for variant, config in self.configurations().items():
            what = f"the configuration {variant!r} of {self.name}"
            expect(
                isinstance(config, self.loaded.Config),
                f"{what} is a {type(config).__name__}",
                "variants maps names to instances of Config",
            )
            try:
                values = json.loads(json.dumps(configured(self.name, self.loaded, {}, variant)))
                again = component_config(self.loaded, values)
            except (XbenchError, TypeError, ValueError) as error:
                fail(f"{what} cannot be kept in a spec: {error}", _PLAIN)
            expect(again == config, f"{what} comes back from JSON as {again}, not {config}", _PLAIN)


_PLAIN = "use numbers, strings, booleans, and tuples or dicts of these, with types that say so"

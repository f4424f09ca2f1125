"""What a composition of objectives must keep to: what each of them must, and together."""

from functools import cached_property
from typing import Any, ClassVar

from xbench.api.objective import Objective
from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.configs import DEFAULT, component_config
from xbench.errors import XbenchError
from xbench.spec.configs import configure
from xbench.spec.methods import find_method
from xbench.stages.training.objective import WeightedSum
from xbench.testing.objective import ObjectiveContract


class CompositionContract(ObjectiveContract):
    """``class TestMine(CompositionContract): objective = "mine"``, a composition of the registry."""

    has_reference: ClassVar[bool] = False

    @cached_property
    def loaded(self) -> type[Objective]:
        """The composition, as a class."""
        named = self.objective
        return composed(named) if isinstance(named, str) else named


def composed(name: str) -> type[Objective]:
    """A composition of the registry as a class without settings.

    Raises :class:`XbenchError` where there is none of that name, or a part of it is not installed.
    """
    method = find_method(name, Catalogue.installed())
    if method.composition is None:
        raise XbenchError(f"{name!r} is no composition of the registry (xbench-registry.yaml).")
    asked = configure(method, DEFAULT, {})

    class Composed(WeightedSum):
        needs = method.needs
        phases = frozenset(method.phases)
        coupled = frozenset(
            f"{part}.{term}" for part, kind in method.classes.items() for term in kind.coupled
        )
        learns_pairs = any(kind.learns_pairs for kind in method.classes.values())

        def __init__(self, config: Any = None) -> None:
            parts = {
                part: kind(component_config(kind, asked[part]["config"]))
                for part, kind in method.classes.items()
            }
            super().__init__(parts, {part: given["weight"] for part, given in asked.items()})

    Composed.__name__ = name
    Composed.__doc__ = method.composition.description
    return Composed

"""Names of the objective axis: losses, transforms, merges and compositions; their settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from xbench.api import Objective
from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.configs import configured
from xbench.catalogue.discovery import Plugin, PluginTable
from xbench.errors import UnknownName, XbenchError
from xbench.spec.configs import parse, resolve_objectives
from xbench.spec.methods import find_method
from xbench.spec.request import make_spec

from ..toys import ToyDiscovery, registry

PARTS = {"everything": {"variant": "contrast", "weight": 0.5}, "linked": {"weight": 2}}


class After(Objective):
    phases = frozenset({"after"})


class Early(Objective):
    phases = frozenset({"before"})


class Tuned(Objective):
    @dataclass(frozen=True)
    class Config:
        scale: float = 1.0


def catalogue(**parts: Mapping[str, Any]) -> Catalogue:
    """The toy plugins, two of this file, and a composition ``both`` (of PARTS by default)."""
    discovery = ToyDiscovery()
    mine = [
        Plugin("objectives", name, f"{__name__}:{plugin.__name__}", "x", "1")
        for name, plugin in {"after": After, "early": Early}.items()
    ]
    discovery.table = PluginTable([*discovery.table, *mine])
    made = registry({}, {}, changes={"compositions": {"both": {"parts": parts or PARTS}}})
    return Catalogue(made, discovery)  # type: ignore[arg-type]


def settings(objective: Any, here: Catalogue | None = None, **options: Any) -> Any:
    dotted = {f"objective.{name.replace('__', '.')}": value for name, value in options.items()}
    spec = make_spec({"suite": "toy", "objective": objective, "options": dotted}, "the test")
    return resolve_objectives(spec, here or catalogue())


class TestKinds:
    @pytest.mark.parametrize(
        ("name", "kind", "phases", "pairs"),
        [
            ("everything", "objective", ("before", "during"), True),
            ("linked", "objective", ("before", "during"), True),
            ("smooth", "objective", ("during",), False),
            ("translating", "objective", ("during",), True),
            ("early", "objective", ("before",), True),
            ("centre", "transform", (), False),
            ("latest", "merge", (), False),
            ("both", "objective", ("before", "during"), True),
        ],
    )
    def test_what_a_name_stands_for(
        self, name: str, kind: str, phases: tuple[str, ...], pairs: bool
    ) -> None:
        method = find_method(name, catalogue())
        assert (method.kind, method.phases, method.uses_pairs) == (kind, phases, pairs)

    def test_a_composition_needs_what_any_part_needs(self) -> None:
        assert find_method("both", catalogue()).needs == {"pairs", "links"}

    def test_a_composition_acts_when_all_parts_can(self) -> None:
        here = catalogue(everything={}, early={})
        assert find_method("both", here).phases == ("before",)

    @pytest.mark.parametrize(
        ("here", "name", "message"),
        [
            (catalogue(), "after", "'after' can act in no phase .before, during.: after after"),
            (catalogue(early={}, smooth={}), "both", "early before; smooth during"),
            (
                catalogue(everything={}, centre={}),
                "both",
                "'centre' is no loss and cannot be a part",
            ),
            (
                catalogue(everything={}, latest={}),
                "both",
                "'latest' is no loss and cannot be a part",
            ),
        ],
        ids=["unknown phase", "no phase in common", "a transform as part", "a merge as part"],
    )
    def test_what_cannot_act_is_refused(self, here: Catalogue, name: str, message: str) -> None:
        with pytest.raises(XbenchError, match=message):
            find_method(name, here)

    def test_a_part_that_is_not_there_is_an_unknown_name(self) -> None:
        with pytest.raises(UnknownName, match=r"evrything.*Did you mean 'everything'"):
            find_method("both", catalogue(evrything={}))

    def test_a_name_of_both_sorts_is_refused(self) -> None:
        both = {"linked": {"parts": {"everything": {}}}}
        made = registry({}, {}, changes={"compositions": both})
        with pytest.raises(XbenchError, match="'linked' is both a composition"):
            find_method("linked", Catalogue(made, ToyDiscovery()))  # type: ignore[arg-type]

    def test_unknown_names_are_compared_with_compositions_too(self) -> None:
        with pytest.raises(UnknownName, match="Did you mean 'both'"):
            find_method("boht", catalogue())


class TestNames:
    def test_variants_of_all_kinds(self) -> None:
        tokens = ["everything:contrast", "all", "both", "centre", "latest"]
        assert parse(tokens, catalogue()) == {
            "everything": ("contrast", "all"),
            "both": ("default",),
            "centre": ("default",),
            "latest": ("default",),
        }

    @pytest.mark.parametrize("token", ["both:all", "centre:x", "latest:x"])
    def test_a_variant_that_there_is_not(self, token: str) -> None:
        with pytest.raises(UnknownName, match=f"variant of {token.split(':')[0]}"):
            parse([token], catalogue())


class TestCompositions:
    def test_parts_have_their_variant_weight_and_defaults(self) -> None:
        assert settings(["both"]) == {
            "both": {
                "default": {
                    "everything": {"weight": 0.5, "config": {"only": "contrast"}},
                    "linked": {"weight": 2.0, "config": {}},
                }
            }
        }

    def test_fields_of_the_registry_change_the_variant(self) -> None:
        here = catalogue(everything={"variant": "contrast", "config": {"only": "mlm"}})
        found = settings(["both"], here)["both"]["default"]
        assert found == {"everything": {"weight": 1.0, "config": {"only": "mlm"}}}

    def test_an_option_reaches_its_part_and_no_other(self) -> None:
        found = settings(["both"], both__everything__only="joint", both__linked__weight=3)
        assert found["both"]["default"] == {
            "everything": {"weight": 0.5, "config": {"only": "joint"}},
            "linked": {"weight": 3.0, "config": {}},
        }

    def test_an_option_of_the_plugin_does_not_reach_the_part(self) -> None:
        """A part is not the objective of that name."""
        found = settings(["both", "everything:all"], everything__only="mlm")
        assert found["everything"]["all"] == {"only": "mlm"}
        assert found["both"]["default"]["everything"]["config"] == {"only": "contrast"}

    def test_a_resolved_composition_resolves_to_itself(self) -> None:
        once = settings(["both"], both__everything__only="joint")
        assert settings(once) == once
        changed = settings(once, both__everything__weight=7)
        assert changed["both"]["default"]["everything"] == {
            "weight": 7.0,
            "config": {"only": "joint"},
        }

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"both__evrything__only": 1}, "part of objective both 'evrything'.*'everything'"),
            ({"both__everything__onyl": 1}, "objective both, part everything 'onyl'.*'only'"),
            ({"both__everything": 5}, r"has settings below it, as -O objective.both.everything"),
            ({"both__only": "mlm"}, "part of objective both 'only'"),
            ({"both__everything__weight": 0}, "weight is 0, not a number above zero"),
            ({"both__everything__weight": "much"}, "weight is 'much'"),
            ({"both__everything__weight": float("inf")}, "weight is inf"),
            ({"both__everything__weight": float("nan")}, "weight is nan"),
            ({"both__everything__a__b": 1}, "expected objective.FIELD=VALUE"),
            ({"linked__a__b": 1}, "expected objective.FIELD=VALUE"),
            ({"lniked__only": 1}, "objective in -O objective.lniked.only"),
        ],
    )
    def test_mistakes_in_options(self, options: dict[str, Any], message: str) -> None:
        with pytest.raises(XbenchError, match=message):
            settings(["both", "linked"], **options)

    @pytest.mark.parametrize(
        ("parts", "message"),
        [
            ({"everything": 5}, "part everything has settings below it"),
            ({"everything": {"config": 5}}, "part everything has settings below it"),
            ({"everything": {"wieght": 5}}, "field of both.everything 'wieght'.*'weight'"),
        ],
    )
    def test_mistakes_in_a_spec(self, parts: dict[str, Any], message: str) -> None:
        with pytest.raises(XbenchError, match=message):
            settings({"both": {"default": parts}})

    def test_a_variant_that_the_registry_has_wrong(self) -> None:
        here = catalogue(everything={"variant": "contrats"})
        with pytest.raises(UnknownName, match=r"part everything: 'contrats'.*'contrast'"):
            settings(["both"], here)

    def test_only_what_a_method_has_identifies_it(self) -> None:
        here = catalogue()
        found = find_method("both", here).identity(
            settings(["both"])["both"]["default"], here.discovery
        )
        assert found.name == "both"
        assert {name: part.weight for name, part in found.parts.items()} == {
            "everything": 0.5,
            "linked": 2.0,
        }
        assert found.parts["everything"].distribution == "toys"
        assert found.parts["everything"].version == 1


class TestOtherKinds:
    def test_a_transforms_fields_are_set_as_an_objectives(self) -> None:
        found = settings(["centre", "latest"], centre__factor=0.5, latest__count=2)
        assert found["centre"]["default"] == {"factor": 0.5, "spoilt": False}
        assert found["latest"]["default"] == {"count": 2}

    def test_a_wrong_value_names_the_field(self) -> None:
        with pytest.raises(XbenchError, match=r"objective centre: factor.*'much'"):
            settings(["centre"], centre__factor="much")

    def test_a_field_of_an_aligner_is_not_explained_by_objectives(self) -> None:
        with pytest.raises(UnknownName) as error:
            configured("aligner toy", Tuned, {"scael": 1})
        assert "field of aligner toy 'scael'. Did you mean 'scale'?" in str(error.value)
        assert "objective.NAME" not in str(error.value)

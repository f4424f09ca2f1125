"""Requests become complete specs: names found, defaults filled in, mistakes told before any work."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.registry import load_registry, plain
from xbench.catalogue.settings import (
    AlignSettings,
    EvaluateSettings,
    FinetuneSettings,
    as_json,
    known_fields,
)
from xbench.errors import UnknownName, XbenchError
from xbench.spec.request import ResolvedSpec, make_spec, read_spec
from xbench.spec.resolve import reads_pairs, resolve
from xbench_plugins.objectives.hictl import HiCTL

from ..command import plan_of, request, roles

MINI = load_registry().suite("mini")


def resolved(**values: Any) -> ResolvedSpec:
    return resolve(make_spec(values, "the test"), Catalogue.installed())


def finetune(task: str, mode: str, **options: Any) -> Mapping[str, Any]:
    dotted = {name.replace("__", "."): value for name, value in options.items()}
    spec = resolved(task="pos,topic", options=dotted)
    return as_json(spec.finetune[task][mode])


class TestRepeating:
    def test_a_resolved_spec_leaves_nothing_open(self) -> None:
        spec = resolved(objective="hictl")
        written = spec.request()
        unset = {name for name, value in written.model_dump().items() if value is None}
        assert unset == {"data", "launcher"}  # this machine computes
        assert set(written.align) == set(known_fields("align"))
        assert set(written.evaluate) == set(known_fields("evaluate"))
        assert set(written.finetune["pos"]["full"]) == set(known_fields("finetune"))
        assert list(spec.objective) == ["hictl"]  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"objective": None, "arm": None},
            {"arm": ["shuffled", "mlm"], "task": "topic"},
            {"align_step": [2, 4], "options": {"objective.temperature": 0.3}},
            {"options": {"finetune.steps": None, "finetune.epochs": 2}},
            # one that acts beside the task's loss only, and one that need not
            {"objective": ["xtune_r1", "hictl:S1W0M0"], "mode": ["full"]},
            {"objective": ["hictl:S1W0M0"], "mode": ["full"], "phase": ["before", "during"]},
            {"objective": ["infoxlm"], "options": {"objective.infoxlm.xlco.queue": 64}},
            {"suite": "mini", "pair": "all", "seed": [1, 2], "align_seed": [7]},
        ],
    )
    def test_written_as_yaml_and_run_again_it_gives_the_same_keys(
        self, changes: dict[str, Any], tmp_path: Path
    ) -> None:
        first = plan_of(request(**changes))
        path = tmp_path / "spec.yaml"
        path.write_text(first.spec.to_yaml(), encoding="utf-8")
        again = plan_of(read_spec(path))
        assert again.spec == first.spec
        assert roles(again) == roles(first)
        assert list(again.stages) == list(first.stages)

    def test_folders_are_kept_as_full_paths(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "my-model").mkdir()
        (tmp_path / "mini-encoder").mkdir()
        monkeypatch.chdir(tmp_path)
        spec = resolved(model="my-model", data=".")
        assert spec.model == str(tmp_path / "my-model")
        assert spec.data == str(tmp_path)
        assert resolved(model="mini-encoder").model == "mini-encoder"


class TestPairs:
    @pytest.mark.parametrize(
        "changes",
        [{}, {"arm": "none", "objective": "hictl"}, {"objective": "mean_center"}],
    )
    def test_there_are_none_where_nothing_reads_them(self, changes: dict[str, Any]) -> None:
        spec = resolved(**changes)
        assert spec.pair == ()
        assert not reads_pairs(spec, Catalogue.installed())

    @pytest.mark.parametrize("objective", ["hictl:S1W0M0", ["mean_center", "hictl:S1W0M0"]])
    def test_an_aligned_arm_has_those_of_the_suite(self, objective: Any) -> None:
        spec = resolved(objective=objective)
        assert spec.pair == tuple(MINI.default_pairs or ())
        assert reads_pairs(spec, Catalogue.installed())


class TestObjectives:
    def test_without_variants_all_are_meant(self) -> None:
        spec = resolved(objective="hictl")
        assert list(spec.objective["hictl"]) == list(HiCTL.variants)  # type: ignore[index, call-overload]

    @pytest.mark.parametrize(
        "asked",
        ["hictl:S1W0M0,S1W1M1", "hictl:S1W0M0,hictl:S1W1M1", "hictl:S1W0M0,S1W1M1,S1W0M0"],
    )
    def test_variants_follow_their_objective(self, asked: str) -> None:
        spec = resolved(objective=asked)
        assert list(spec.objective["hictl"]) == ["S1W0M0", "S1W1M1"]  # type: ignore[index, call-overload]

    def test_options_change_all_objectives_or_one(self) -> None:
        general = {"objective.temperature": 0.5}
        own = {"objective.hictl.temperature": 0.7}
        for options, expected in ((general, 0.5), (own, 0.7), (own | general, 0.7)):
            spec = resolved(objective="hictl:S1W0M0", options=options)
            assert spec.objective["hictl"]["S1W0M0"]["temperature"] == expected  # type: ignore[index, call-overload]

    def test_a_variant_of_ones_own_needs_fields(self) -> None:
        spec = resolved(objective={"hictl": {"mine": {"temperature": 0.9}}})
        assert spec.objective["hictl"]["mine"]["temperature"] == 0.9  # type: ignore[index, call-overload]
        with pytest.raises(UnknownName, match=r"'S1WOM0'. Did you mean"):
            resolved(objective={"hictl": {"S1WOM0": {}}})

    def test_settings_of_a_named_variant_are_completed_from_it(self) -> None:
        spec = resolved(objective={"hictl": {"S1W0M0": {"temperature": 0.9}}})
        config = spec.objective["hictl"]["S1W0M0"]  # type: ignore[index, call-overload]
        assert (config["sentence"], config["word"], config["mlm"]) == (1, 0, 0)

    @pytest.mark.parametrize(
        ("objective", "options", "message"),
        [
            ("hictk", {}, "Did you mean 'hictl'"),
            ("hictl:S1W0M9", {}, "Unknown variant of hictl 'S1W0M9'. Did you mean"),
            ("hictl:S1W0M0,hictk", {}, "Unknown variant of hictl 'hictk'"),
            ("hictl", {"objective.temprature": 1}, "Did you mean 'temperature'"),
            ("hictl", {"objective.temperature": -1}, "temperature: Input should be greater than 0"),
            ("hictl", {"objective.temperature": "warm"}, "temperature"),
            ("hictl", {"objective.temperature": float("inf")}, "temperature"),
            ("hictl", {"objective.hitcl.temperature": 1}, "Did you mean 'hictl'"),
            ("hictl", {"objective.hictl.a.b": 1}, "expected objective.FIELD=VALUE"),
            ("hictl", {"objective": 1}, "expected objective.FIELD=VALUE"),
            ("hictl:S1W0M0", {"objective.sentence": 0}, "switch on at least one"),
        ],
    )
    def test_mistakes_are_told(self, objective: str, options: Any, message: str) -> None:
        with pytest.raises(XbenchError) as error:
            resolved(objective=objective, options=options)
        assert message in str(error.value)


class TestArms:
    def test_without_an_objective_only_the_untouched_encoder_is_left(self) -> None:
        assert resolved().arm == ("none",)
        assert resolved(objective="hictl").arm == ("none", "aligned", "shuffled")

    @pytest.mark.parametrize("arm", ["aligned", "shuffled", "none,aligned"])
    def test_an_arm_that_needs_an_objective_says_so(self, arm: str) -> None:
        with pytest.raises(XbenchError, match=r"needs an objective: --objective NAME"):
            resolved(arm=arm)

    @pytest.mark.parametrize(
        ("objective", "arm", "arms", "variants"),
        [
            (None, "mlm", ("aligned",), ["S0W0M1"]),
            (None, "none,mlm", ("none", "aligned"), ["S0W0M1"]),
            ("hictl:S1W0M0", "none,mlm", ("none", "aligned"), ["S0W0M1"]),
            ("hictl:S1W0M0", "aligned,mlm", ("aligned",), ["S1W0M0", "S0W0M1"]),
            ("hictl:S0W0M1", "aligned,mlm", ("aligned",), ["S0W0M1"]),
            ({"hictl": {"mine": {"zeta": 0.5}}}, "aligned,mlm", ("aligned",), ["mine", "S0W0M1"]),
        ],
    )
    def test_the_mlm_control_is_an_aligned_variant(
        self, objective: Any, arm: str, arms: tuple[str, ...], variants: list[str]
    ) -> None:
        spec = resolved(objective=objective, arm=arm)
        assert spec.arm == arms
        assert list(spec.objective["hictl"]) == variants  # type: ignore[index, call-overload]

    def test_a_placebo_asked_for_by_name_is_run_for_every_variant(self) -> None:
        assert resolved(objective="hictl").shuffled_variants == "first"
        assert resolved(objective="hictl", arm="shuffled").shuffled_variants == "all"

    def test_unknown_ones_are_told_with_the_controls_among_the_known(self) -> None:
        with pytest.raises(UnknownName, match=r"Unknown arm 'mln'\. Did you mean 'mlm'"):
            resolved(arm="mln")
        with pytest.raises(UnknownName, match=r"Unknown mode 'ful'\. Did you mean 'full'"):
            resolved(mode="ful")


class TestNames:
    def test_an_alias_stands_for_its_task_everywhere(self) -> None:
        spec = resolved(task="sib200,topic", options={"finetune.sib200.steps": 7})
        assert spec.task == ("topic",)
        assert spec.finetune["topic"]["full"].steps == 7
        assert resolved(finetune={"sib200": {"steps": 7}}, task="topic") == spec

    @pytest.mark.parametrize("typed", ["de-en", "en-de", "eng-deu", "deu-eng", "deu_Latn-en"])
    def test_a_pair_has_the_order_of_the_suite(self, typed: str) -> None:
        assert resolved(suite="paper", pair=typed).pair == ("deu-eng",)

    def test_a_pair_that_the_suite_has_not_keeps_its_order(self) -> None:
        assert resolved(suite="paper", pair="fr-de").pair == ("fra-deu",)

    def test_all_pairs_of_the_suite(self) -> None:
        assert len(resolved(pair="all").pair or ()) == 4
        assert resolved(objective="hictl").pair == ("qaa-qac",)

    def test_languages_may_be_typed_in_short(self) -> None:
        assert resolved(suite="paper", language="de,kas,kas_Deva,zh").language == (
            "deu",
            "kas_Deva",
            "zho",
        )

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"suite": "papre"}, "Unknown suite 'papre'. Did you mean 'paper'"),
            ({"task": "poss"}, "Unknown task 'poss'. Did you mean 'pos'"),
            ({"language": "qaz"}, "Unknown language 'qaz'. Did you mean"),
            ({"suite": "paper", "pair": "de-eng-fr"}, "A pair is two languages"),
            ({"suite": "paper", "pair": "de"}, "A pair is two languages"),
            ({"suite": "paper", "pair": "de-xx"}, "'xx' is no language here"),
            ({"suite": "paper", "pair": "de-deu"}, "the same language"),
        ],
    )
    def test_unknown_ones_come_with_suggestions(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(UnknownName) as error:
            resolved(**values)
        assert message in str(error.value)


class TestSettings:
    def test_the_more_specific_setting_wins(self) -> None:
        options = {
            "finetune__batch_size": 2,
            "finetune__full__batch_size": 3,
            "finetune__pos__batch_size": 4,
            "finetune__pos__full__batch_size": 5,
        }
        sizes = {
            (task, mode): finetune(task, mode, **options)["batch_size"]
            for task in ("pos", "topic")
            for mode in ("full", "linear")
        }
        assert sizes == {
            ("pos", "full"): 5,
            ("pos", "linear"): 4,
            ("topic", "full"): 3,
            ("topic", "linear"): 2,
        }

    def test_an_option_wins_over_the_spec_and_the_spec_over_the_suite(self) -> None:
        assert resolved().align.steps == plain(MINI.align)["steps"]
        assert resolved(align={"steps": 60}).align.steps == 60
        assert resolved(align={"steps": 60}, options={"align.steps": 70}).align.steps == 70

    def test_one_budget_clears_the_other(self) -> None:
        def budget(**options: Any) -> tuple[Any, Any]:
            settings = finetune("pos", "full", **options)
            return settings["epochs"], settings["steps"]

        assert budget() == (None, plain(MINI.finetune)["steps"])
        assert budget(finetune__epochs=3) == (3, None)
        assert budget(finetune__pos__epochs=3) == (3, None)
        assert budget(finetune__epochs=3, finetune__steps=9) == (None, 9)
        assert budget(finetune__steps=9, finetune__epochs=3) == (3, None)
        assert budget(finetune__epochs=3, finetune__pos__steps=9) == (None, 9)
        assert budget(finetune__epochs=3, finetune__steps=None) == (3, None)
        spec = resolved(
            finetune={"epochs": 3}, options={"finetune.topic.steps": 5}, task="pos,topic"
        )
        assert spec.finetune["pos"]["full"].epochs == 3
        assert spec.finetune["topic"]["full"].steps == 5

    def test_checkpoints_are_the_steps_asked_for_and_the_last(self) -> None:
        paper = resolved(suite="paper")
        assert (paper.align.checkpoints, paper.align_step) == ((3000, 6000), (6000,))
        both = resolved(suite="paper", align_step="6000,3000")
        assert (both.align.checkpoints, both.align_step) == ((3000, 6000), (3000, 6000))
        short = resolved(suite="paper", options={"align.steps": 50})
        assert (short.align.checkpoints, short.align_step) == ((50,), (50,))

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"align_step": 10**6}, "--align-step 1000000: alignment runs for "),
            ({"align_step": 0}, "--align-step 0"),
            (
                {"options": {"align.stesp": 1}},
                "Unknown align setting 'stesp'. Did you mean 'steps'",
            ),
            ({"align": {"stesp": 1}}, "Did you mean 'steps'"),
            ({"options": {"algin.steps": 1}}, "Did you mean 'align'"),
            ({"options": {"align": 1}}, "name a setting of align"),
            ({"options": {"align.": 1}}, "name a setting of align"),
            ({"options": {"align.steps": 0}}, "steps: Input should be greater than 0 (got 0)"),
            ({"options": {"align.steps": 1, "align.steps.x": 2}}, "nothing below it"),
            ({"options": {"align.learning_rate": float("inf")}}, "learning_rate"),
            ({"options": {"finetune.stesp": 1}}, "Did you mean 'steps'"),
            ({"options": {"finetune.fulll.steps": 1}}, "Did you mean 'full'"),
            ({"options": {"finetune.pos.stesp": 1}}, "finetune.pos: 'stesp'. Did you mean 'steps'"),
            ({"options": {"finetune.topic.full.stesp": 1}, "task": "pos"}, "Did you mean 'steps'"),
            ({"options": {"finetune.pos.topic.steps": 1}}, "Unknown setting in finetune.pos"),
            ({"options": {"finetune.full.pos.steps": 1}}, "Unknown setting in finetune.full"),
            ({"options": {"finetune.steps.x": 1}}, "nothing below it"),
            ({"finetune": {"pos": 3}}, "finetune.pos has settings below it"),
            ({"options": {"finetune.precision": "fp8"}}, "precision"),
            ({"options": {"evaluate.max_items": 0}}, "max_items"),
            ({"options": {"evaluate.maxitems": 1}}, "Did you mean 'max_items'"),
        ],
    )
    def test_mistakes_are_told(self, values: dict[str, Any], message: str) -> None:
        with pytest.raises(XbenchError) as error:
            resolved(objective="hictl:S1W0M0", **values)
        assert message in str(error.value)

    def test_a_budget_is_needed(self) -> None:
        with pytest.raises(XbenchError, match="give epochs or steps"):
            resolved(options={"finetune.steps": None})

    @pytest.mark.parametrize("settings", [AlignSettings, FinetuneSettings, EvaluateSettings])
    def test_infinity_is_no_setting(self, settings: Any) -> None:
        for name, value in settings.__annotations__.items():
            if value is float:
                with pytest.raises(ValueError, match=name):
                    settings(steps=1, **{name: float("inf")})

"""Keys and cells of word links, transforms, merges, retrieval and objectives beside the task's loss."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from xbench.errors import UnknownName, XbenchError
from xbench.plan import KINDS, Plan
from xbench.store import Store

from ..toys import World, model_folder

Suite = dict[str, Any]
Make = Callable[..., Plan]
DURING = ("finetune", "evaluate", "score")
BELOW_LINKS = ("links", "align", *DURING)
BOTH = {"both": {"parts": {"everything": {"variant": "contrast"}, "linked": {"weight": 0.5}}}}
LINKED: dict[str, Any] = {"objective": ("linked",), "arm": ("aligned",), "mode": ("full",)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture
def make(folder: Path, tmp_path: Path) -> Make:
    """The plan of a spec; ``suite``, ``corpus`` and ``text`` change the toy suite."""

    def make(**spec: Any) -> Plan:
        world = {name: spec.pop(name, {}) for name in ("suite", "corpus", "data", "text")}
        made = World(spec.pop("folder", folder), Store(tmp_path), **world)
        return made.plan(**spec)

    return make


def keys(plan: Plan, kind: str) -> set[str]:
    return set(plan.of_kind(kind))


def differing(one: Plan, other: Plan) -> tuple[str, ...]:
    """The kinds of stages of which the plans share none; each kind changes wholly or not at all."""
    found = []
    for kind in KINDS:
        if keys(one, kind) != keys(other, kind):
            assert not keys(one, kind) & keys(other, kind), f"some {kind} stages are the same"
            found.append(kind)
    return tuple(found)


def specs(plan: Plan, kind: str) -> Iterator[dict[str, Any]]:
    return (plan.stages[key].to_json()["spec"] for key in plan.of_kind(kind))


class TestAnObjectiveWithoutExtras:
    """What is new must not change a key of a run that does not use it."""

    def test_the_parts_of_its_keys(self, make: Make) -> None:
        plan = make(objective=("hictl:S1W0M0",), arm=("none", "aligned"), mode=("full", "linear"))
        (align,) = specs(plan, "align")
        assert set(align) == {"model", "objective", "arm", "corpus", "settings", "seed"}
        assert set(align["settings"]) == {
            *("steps", "batch_size", "accumulate", "learning_rate", "schedule", "warmup"),
            *("weight_decay", "clip", "max_length", "max_pairs", "mlm_probability", "precision"),
        }
        for finetune in specs(plan, "finetune"):
            assert set(finetune) == {"encoder", "task", "data", "mode", "settings", "seed"}
            assert not {"joint_weight", "selection"} & set(finetune["settings"])
        for evaluate in specs(plan, "evaluate"):
            assert set(evaluate) == {"finetune", "language", "data", "settings"}
            assert set(evaluate["settings"]) == {"split", "max_items", "batch_size"}
        for score in specs(plan, "score"):
            assert set(score) == {"evaluate", "metrics"}

    @pytest.mark.parametrize(
        "changes",
        [
            {"align": {"aligner": "argmax", "aligner_options": {"depth": 0.5}}},
            {"align": {"fit_sentences": 7}},
            {"finetune": {"joint_weight": 0.3}},
            {"evaluate": {"retrieval_depth": 0.5, "retrieval_similarity": "csls"}},
            {"phase": ("before",)},
            {"suite": {"text": None, "dictionary": ()}},
        ],
        ids=str,
    )
    def test_settings_of_others_change_nothing(self, changes: dict[str, Any], make: Make) -> None:
        names = {"objective": ("hictl:S1W0M0",), "arm": ("none", "aligned", "shuffled")}
        assert differing(make(**names), make(**names, **changes)) == ()

    def test_company_changes_nothing(self, make: Make) -> None:
        alone = make(objective=("hictl:S1W0M0",), arm=("none", "aligned"))
        names = ("hictl:S1W0M0", "linked", "centre", "latest", "smooth")
        together = make(objective=names, arm=("none", "aligned"), task=("tags", "finding"))
        for kind in KINDS:
            assert keys(alone, kind) <= keys(together, kind)


class TestLinks:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"align": {"aligner": "argmax"}}, BELOW_LINKS),
            ({"align": {"aligner": "dictionary"}}, BELOW_LINKS),
            ({"align": {"max_pairs": 9}}, BELOW_LINKS),
            ({"align": {"max_length": 9}}, BELOW_LINKS),
            ({"corpus": {"count": 30}}, BELOW_LINKS),
            ({"arm": ("shuffled",)}, BELOW_LINKS),
            ({"align": {"batch_size": 5}}, ("align", *DURING)),
            ({"align": {"learning_rate": 0.5}}, ("align", *DURING)),
            ({"align": {"precision": "bf16"}}, ("align", *DURING)),  # links given need no encoder
            ({"align": {"mlm_probability": 0.5}}, ("align", *DURING)),
            ({"align_seed": (7,)}, ("align", *DURING)),
            ({"seed": (7,)}, DURING),
            ({"align": {"fit_sentences": 9}}, ()),
            ({"finetune": {"joint_weight": 0.5}}, ()),
            ({"suite": {"dictionary": {"source": "lexicon", "options": {"count": 3}}}}, ()),
        ],
        ids=str,
    )
    def test_what_changes_their_keys(
        self, changes: dict[str, Any], expected: tuple[str, ...], make: Make
    ) -> None:
        assert differing(make(**LINKED), make(**{**LINKED, **changes})) == expected

    @pytest.mark.parametrize(
        ("aligner", "changes"),
        [
            ("argmax", {"align": {"aligner": "argmax", "aligner_options": {"depth": 0.5}}}),
            ("argmax", {"align": {"aligner": "argmax", "precision": "bf16"}}),
            (
                "dictionary",
                {
                    "align": {"aligner": "dictionary"},
                    "suite": {"dictionary": {"source": "lexicon", "options": {"count": 3}}},
                },
            ),
        ],
    )
    def test_what_only_some_aligners_read(
        self, aligner: str, changes: dict[str, Any], make: Make
    ) -> None:
        base = make(**LINKED, align={"aligner": aligner})
        assert "links" in differing(base, make(**LINKED, **changes))

    def test_another_model_is_another_corpus_whatever_the_aligner(
        self, make: Make, tmp_path: Path
    ) -> None:
        other = model_folder(tmp_path / "other", hidden_size=18, num_heads=3)
        assert "links" in differing(make(**LINKED), make(**LINKED, folder=other))

    def test_all_that_read_a_pair_share_them(self, make: Make) -> None:
        plan = make(
            objective=("linked", "both"),
            arm=("aligned", "shuffled"),
            phase=("before", "during"),
            align_seed=(1, 2),
            mode=("full",),
            suite={"compositions": BOTH},
        )
        assert len(plan.of_kind("links")) == 2  # the right partners' and the wrong ones'
        assert len(plan.of_kind("align")) == 8
        for kind in ("align", "finetune"):
            for key in plan.of_kind(kind):
                parents = [plan.stages[parent].kind for parent in plan.stages[key].parents]
                assert parents == (
                    ["links"] if getattr(plan.stages[key].spec, "joint", None) else parents
                )
                assert kind == "finetune" or parents == ["links"]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"align": {"aligner": "agrmax"}}, "Unknown aligner 'agrmax'. Did you mean 'argmax'"),
            (
                {"align": {"aligner": "argmax", "aligner_options": {"detph": 1}}},
                "field of aligner argmax 'detph'. Did you mean 'depth'",
            ),
            ({"align": {"aligner": "argmax", "aligner_options": {"depth": 9}}}, "argmax: depth"),
            (
                {"align": {"aligner": "dictionary"}, "suite": {"dictionary": ()}},
                "'dictionary' needs a dictionary, and the suite 'toy' has none for aaa-bbb",
            ),
            (
                {
                    "align": {"aligner": "dictionary"},
                    "suite": {"dictionary": {"source": "lexicon", "options": {"missing": ["bbb"]}}},
                },
                "has none for aaa-bbb; choose one that needs none: -O align.aligner=NAME",
            ),
        ],
    )
    def test_mistakes(self, changes: dict[str, Any], message: str, make: Make) -> None:
        with pytest.raises(XbenchError, match=message):
            make(**LINKED, **changes)


class TestTransforms:
    NAMES: dict[str, Any] = {
        "objective": ("centre",),
        "arm": ("none", "aligned"),
        "task": ("topics",),
        "language": ("aaa", "bbb", "ccc"),
    }

    def fits(self, make: Make, **changes: Any) -> set[str]:
        return keys(make(**{**self.NAMES, "mode": ("linear",), **changes}), "fit")

    @pytest.mark.parametrize(
        ("changes", "same"),
        [
            ({"align": {"fit_sentences": 9}}, False),
            ({"language": ("aaa", "bbb")}, False),
            ({"language": ("bbb", "ccc")}, True),  # the source language is always there
            ({"task": ("tags",)}, False),  # tokens
            ({"task": ("pairs",)}, True),  # sentences again
            ({"finetune": {"sentence_pooling": "cls"}}, False),
            ({"finetune": {"max_length": 20}}, False),
            ({"finetune": {"precision": "bf16"}}, False),
            ({"objective": {"centre": {"default": {"factor": 0.5}}}}, False),
            ({"text": {"count": 30}}, False),
            ({"suite": {"text": {"source": "bitext", "split": "test"}}}, False),
            ({"seed": (1, 2)}, True),
            ({"finetune": {"head_learning_rate": 0.5}}, True),
            ({"align": {"max_pairs": 9}}, True),
            ({"pair": ("bbb-aaa",)}, True),
        ],
        ids=str,
    )
    def test_what_changes_the_key_of_a_fit(
        self, changes: dict[str, Any], same: bool, make: Make
    ) -> None:
        base = self.fits(make)
        assert len(base) == 1
        assert (self.fits(make, **changes) == base) is same

    def test_the_pooling_of_sentences_plays_no_part_for_tokens(self, make: Make) -> None:
        tokens = {"task": ("tags",)}
        pooled = {**tokens, "finetune": {"sentence_pooling": "cls"}}
        assert self.fits(make, **pooled) == self.fits(make, **tokens)

    def test_in_mode_linear_it_comes_before_the_head(self, make: Make) -> None:
        plan = make(**{**self.NAMES, "mode": ("linear",), "seed": (1, 2)})
        (fit,) = plan.of_kind("fit")
        assert plan.stages[fit].parents == ()
        heads = [plan.stages[key] for key in plan.of_kind("finetune")]
        assert [stage.parents for stage in heads] == [(), (), (fit,), (fit,)]
        assert [stage.spec.transform for stage in heads] == [None, None, fit, fit]
        for cell in plan.cells:
            evaluate = plan.stages[str(cell.evaluate)]
            assert evaluate.spec.transform == cell.fit
            assert (fit in evaluate.parents) is (cell.coordinates["arm"] == "aligned")

    def test_in_mode_full_it_is_fitted_on_the_untouched_arms_model(self, make: Make) -> None:
        plan = make(**{**self.NAMES, "mode": ("full",), "seed": (1, 2)})
        assert len(plan.of_kind("finetune")) == 2  # no fine-tuning of its own
        fits = [plan.stages[key] for key in plan.of_kind("fit")]
        assert [stage.parents for stage in fits] == [(k,) for k in plan.of_kind("finetune")]
        for cell in plan.cells:
            evaluate = plan.stages[str(cell.evaluate)]
            wanted = (cell.finetune, *([cell.fit] if cell.fit else []))
            assert evaluate.parents == wanted

    def test_it_has_no_pair_no_step_and_no_placebo(self, make: Make) -> None:
        plan = make(**{**self.NAMES, "arm": ("none", "aligned", "shuffled")})
        arms = {cell.coordinates["arm"] for cell in plan.cells}
        assert arms == {"none", "aligned"}
        for cell in plan.cells:
            assert not {"pair", "align_step", "align_seed"} & set(cell.coordinates)
            assert (cell.align, cell.links) == (None, None)

    def test_a_language_without_text_to_fit_on_is_a_cell_that_says_so(self, make: Make) -> None:
        lacking = {"text": {"missing": ["ccc"]}, "task": ("topics", "finding")}
        plan = make(**{**self.NAMES, "mode": ("full", "linear"), **lacking})
        for cell in plan.cells:
            there = cell.coordinates["arm"] == "none" or cell.coordinates["language"] != "ccc"
            reason = "" if there else "the transform was not fitted: there is no text in ccc"
            assert (cell.unavailable, cell.score is None) == (reason, not there)

    @pytest.mark.parametrize(
        "changes",
        [{"language": ("aaa",)}, {"text": {"missing": ["bbb", "ccc"]}}],
        ids=["the source language alone", "no text at all"],
    )
    def test_without_any_text_all_its_cells_say_so(
        self, changes: dict[str, Any], make: Make
    ) -> None:
        plan = make(**{**self.NAMES, "task": ("topics", "finding"), **changes})
        own = [cell for cell in plan.cells if cell.coordinates["arm"] == "aligned"]
        assert own
        assert not plan.of_kind("fit")
        for cell in own:
            assert "of the languages asked for, bitext has none beside aaa" in cell.unavailable
            assert (cell.score, cell.finetune, cell.fit) == (None, None, None)
        others = [cell for cell in plan.cells if cell.coordinates["arm"] == "none"]
        assert {cell.unavailable for cell in others} == {""}

    @pytest.mark.parametrize("task", ["topics", "finding"])
    def test_a_suite_without_text_is_refused(self, task: str, make: Make) -> None:
        with pytest.raises(XbenchError, match=r"centre is fitted.*'toy' binds none \(text:\)"):
            make(**{**self.NAMES, "task": (task,), "suite": {"text": None}})


class TestMerges:
    NAMES: dict[str, Any] = {"objective": ("latest",), "arm": ("aligned",)}

    def test_its_settings_are_keyed(self, make: Make) -> None:
        plan = make(**self.NAMES)
        changed = make(**{**self.NAMES, "objective": {"latest": {"default": {"count": 2}}}})
        assert differing(plan, changed) == DURING
        assert differing(plan, make(arm=("none",))) == DURING

    def test_it_has_no_pair_and_both_modes(self, make: Make) -> None:
        plan = make(**self.NAMES, mode=("full", "linear"))
        assert [cell.coordinates["mode"] for cell in plan.cells] == ["full", "linear"]
        assert all("pair" not in cell.coordinates for cell in plan.cells)
        assert all(spec["merge"]["config"] == {"count": 3} for spec in specs(plan, "finetune"))

    def test_selection_is_refused(self, make: Make) -> None:
        with pytest.raises(XbenchError, match="latest merges several steps: it needs --selection"):
            make(**self.NAMES, finetune={"selection": "best"})


class TestRetrieval:
    NAMES: dict[str, Any] = {
        "task": ("finding",),
        "objective": ("hictl:S1W0M0", "centre", "latest", "smooth"),
        "arm": ("none", "aligned", "shuffled"),
        "mode": ("full", "linear"),
        "seed": (1, 2),
        "language": ("aaa", "bbb", "ccc"),
    }

    def test_nothing_is_trained_and_each_language_is_searched_once(self, make: Make) -> None:
        plan = make(**self.NAMES)
        assert not plan.of_kind("finetune")
        found = [
            (c.coordinates["arm"], c.coordinates.get("objective"), c.coordinates["language"])
            for c in plan.cells
        ]
        assert found == [
            (arm, name, code)
            for arm, name in [
                ("none", None),
                ("aligned", "hictl"),
                ("shuffled", "hictl"),
                ("aligned", "centre"),  # neither a merge nor what acts during fine-tuning
            ]
            for code in ("bbb", "ccc")
        ]
        for cell in plan.cells:
            assert (cell.coordinates["mode"], cell.coordinates["seed"]) == (None, None)
            metrics = [m.name for m in plan.stages[str(cell.score)].spec.metrics]
            assert metrics == ["retrieval_accuracy", "retrieval_forward", "retrieval_backward"]

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"evaluate": {"retrieval_depth": 0.5}}, ("evaluate", "score")),
            ({"evaluate": {"retrieval_pooling": "cls"}}, ("evaluate", "score")),
            ({"evaluate": {"retrieval_similarity": "margin"}}, ("evaluate", "score")),
            ({"evaluate": {"max_items": 5}}, ("evaluate", "score")),
            ({"evaluate": {"split": "dev"}}, ("evaluate", "score")),
            ({"data": {"count": 9}}, ("evaluate", "score")),
            ({"evaluate": {"max_length": 9}}, ("evaluate", "score")),
            ({"evaluate": {"precision": "bf16"}}, ("evaluate", "score")),
            ({"align": {"max_length": 9, "precision": "bf16", "learning_rate": 0.5}}, ()),
            ({"finetune": {"max_length": 9, "sentence_pooling": "cls"}}, ()),
            ({"seed": (7,), "mode": ("full",)}, ()),
        ],
        ids=str,
    )
    def test_what_changes_its_keys(
        self, changes: dict[str, Any], expected: tuple[str, ...], make: Make
    ) -> None:
        names = {"task": ("finding",), "arm": ("none",)}
        assert differing(make(**names), make(**{**names, **changes})) == expected

    def test_a_transform_is_fitted_as_the_search_sees_sentences(self, make: Make) -> None:
        names = {"task": ("finding",), "arm": ("aligned",), "objective": ("centre",)}
        every = ("fit", "evaluate", "score")
        base = make(**names)
        for changes in ({"retrieval_depth": 0.5}, {"retrieval_pooling": "cls"}):
            assert differing(base, make(**names, evaluate=changes)) == every
        changes = {"retrieval_similarity": "csls"}
        assert differing(base, make(**names, evaluate=changes)) == every[1:]

    def test_a_language_without_pairs_is_a_cell_that_says_so(self, make: Make) -> None:
        plan = make(**{**self.NAMES, "data": {"missing": ["ccc"]}})
        reasons = {cell.coordinates["language"]: cell.unavailable for cell in plan.cells}
        assert reasons == {"bbb": "", "ccc": "there is no text in ccc"}


class TestBesideTheTasksLoss:
    NAMES: dict[str, Any] = {"arm": ("aligned",), "mode": ("full",), "phase": ("during",)}

    @pytest.mark.parametrize(
        ("name", "changes", "expected"),
        [
            ("hictl:S1W0M0", {"finetune": {"joint_weight": 0.5}}, DURING),
            ("hictl:S1W0M0", {"corpus": {"count": 30}}, DURING),
            ("hictl:S1W0M0", {"arm": ("shuffled",)}, DURING),
            ("hictl:S1W0M0", {"align": {"max_pairs": 9}}, DURING),
            ("hictl:S1W0M0", {"align": {"max_length": 9}}, DURING),
            ("hictl:S1W0M0", {"align": {"batch_size": 5}}, DURING),
            ("hictl:S1W0M0", {"align": {"mlm_probability": 0.5}}, DURING),
            ("hictl:S1W0M0", {"align": {"steps": 5, "learning_rate": 0.5, "accumulate": 2}}, ()),
            ("hictl:S1W0M0", {"align_seed": (7,)}, ()),
            ("hictl:S1W0M0", {"align": {"aligner": "argmax"}}, ()),
            ("linked", {"align": {"aligner": "argmax"}}, ("links", *DURING)),
            ("smooth", {"corpus": {"count": 30}, "align": {"batch_size": 5}}, ()),
            ("smooth", {"finetune": {"joint_weight": 0.5}}, DURING),
            ("translating", {"arm": ("shuffled",)}, DURING),
            ("translating", {"pair": ("bbb-aaa",)}, ()),  # the same translations
            ("translating", {"data": {"count": 30}}, DURING),
            ("translating", {"corpus": {"count": 30}}, ()),
        ],
    )
    def test_what_changes_its_keys(
        self, name: str, changes: dict[str, Any], expected: tuple[str, ...], make: Make
    ) -> None:
        suite = {"pairs": ["aaa-bbb", "bbb-aaa"], "default_pairs": ["aaa-bbb"]}
        names = {**self.NAMES, "objective": (name,), "suite": suite}
        assert differing(make(**names), make(**{**names, **changes})) == expected

    def test_both_phases_are_two_encoders(self, make: Make) -> None:
        names = {**self.NAMES, "phase": ("before", "during"), "arm": ("none", "aligned")}
        plan = make(**{**names, "objective": ("everything:all",)})
        found = [
            (c.coordinates.get("variant"), c.coordinates.get("align_step"), c.align is not None)
            for c in plan.cells
        ]
        assert found == [(None, None, False), ("all", 12, True), ("all@during", None, False)]
        assert len(plan.of_kind("align")) == 1
        assert len(set(plan.of_kind("finetune"))) == 3

    def test_pairs_are_told_apart_where_the_objective_reads_them(self, make: Make) -> None:
        suite = {"pairs": ["aaa-bbb", "bbb-aaa"]}
        names = {**self.NAMES, "suite": suite, "pair": ("aaa-bbb", "bbb-aaa")}
        pairs = [
            [cell.coordinates["pair"] for cell in make(**names, objective=(name,)).cells]
            for name in ("hictl:S1W0M0", "smooth")
        ]
        assert pairs == [["aaa-bbb", "bbb-aaa"], [None]]

    def test_one_that_reads_no_pairs_has_no_placebo(self, make: Make) -> None:
        plan = make(**{**self.NAMES, "objective": ("smooth",), "arm": ("aligned", "shuffled")})
        assert [cell.coordinates["arm"] for cell in plan.cells] == ["aligned"]

    def test_it_acts_in_its_only_phase_unasked(self, make: Make) -> None:
        plan = make(**{**self.NAMES, "phase": None, "objective": ("smooth",)})
        assert [cell.coordinates["variant"] for cell in plan.cells] == ["default@during"]

    def test_a_frozen_encoder_is_left_out_of_both_modes(self, make: Make) -> None:
        plan = make(**{**self.NAMES, "objective": ("smooth",), "mode": ("full", "linear")})
        assert [cell.coordinates["mode"] for cell in plan.cells] == ["full"]

    def test_translations_are_of_the_pairs_other_language(self, make: Make) -> None:
        suite = {"pairs": ["bbb-aaa"]}
        plan = make(**{**self.NAMES, "objective": ("translating",), "suite": suite})
        (spec,) = specs(plan, "finetune")
        assert spec["joint"]["translated"]["content"]["codes"] == ["bbb"]
        assert spec["data"]["content"]["codes"] == ["aaa"]
        assert "corpus" not in spec["joint"]

    def test_a_pair_without_the_source_language_is_a_cell_that_says_so(self, make: Make) -> None:
        suite = {"pairs": ["bbb-ccc"]}
        plan = make(**{**self.NAMES, "objective": ("translating",), "suite": suite})
        (cell,) = plan.cells
        assert "bbb-ccc has not aaa on one side" in cell.unavailable
        assert not plan.stages

    @pytest.mark.parametrize(
        ("changes", "error", "message"),
        [
            ({"phase": ("after",)}, UnknownName, "phase 'after'. Known: before, during"),
            ({"phase": ("durign",)}, UnknownName, "Did you mean 'during'"),
            ({"phase": ("before",)}, XbenchError, "smooth acts during fine-tuning: --phase during"),
            ({"mode": ("linear",)}, XbenchError, "smooth acts during.*mode linear: --mode full"),
            (
                {"finetune": {"accumulate": 2}},
                XbenchError,
                "smooth acts beside the loss of tags.*-O finetune.tags.accumulate=1",
            ),
        ],
    )
    def test_mistakes(
        self, changes: dict[str, Any], error: type[XbenchError], message: str, make: Make
    ) -> None:
        with pytest.raises(error, match=message):
            make(**{**self.NAMES, "objective": ("smooth",), **changes})


class TestCompositions:
    @pytest.mark.parametrize(
        "parts",
        [
            {"everything": {"variant": "contrast"}, "linked": {"weight": 0.6}},
            {"everything": {"variant": "all"}, "linked": {"weight": 0.5}},
            {"everything": {"variant": "contrast"}},
        ],
        ids=["weight", "variant", "one part less"],
    )
    def test_parts_and_weights_are_keyed(self, parts: dict[str, Any], make: Make) -> None:
        names = {"objective": ("both",), "arm": ("aligned",)}
        base = make(**names, suite={"compositions": BOTH})
        changed = make(**names, suite={"compositions": {"both": {"parts": parts}}})
        assert not keys(base, "align") & keys(changed, "align")

    def test_its_description_is_not(self, make: Make) -> None:
        names = {"objective": ("both",), "arm": ("aligned",)}
        said = {"both": {**BOTH["both"], "description": "Two losses.", "source": "somebody"}}
        base = make(**names, suite={"compositions": BOTH})
        assert differing(base, make(**names, suite={"compositions": said})) == ()

    def test_one_of_its_parts_is_another_encoder(self, make: Make) -> None:
        suite = {"compositions": {"both": {"parts": {"linked": {}}}}}
        plan = make(objective=("both", "linked"), arm=("aligned",), suite=suite)
        assert len(plan.of_kind("align")) == 2
        assert len(plan.of_kind("links")) == 1


def test_parents_come_before_children(make: Make) -> None:
    plan = make(
        objective=("linked", "centre", "latest", "smooth", "translating", "everything:all"),
        arm=("none", "aligned", "shuffled"),
        mode=("full", "linear"),
        phase=None,
        task=("tags", "topics", "finding"),
        language=("aaa", "bbb", "ccc"),
    )
    seen: set[str] = set()
    for key, stage in plan.stages.items():
        assert key == stage.key
        assert set(stage.parents) <= seen
        seen.add(key)
    assert {stage.kind for stage in plan.stages.values()} == set(KINDS) - {"probe"}

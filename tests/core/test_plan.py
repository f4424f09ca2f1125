"""Keys: every change of a spec changes the keys of what it influences, and no others."""

import json
from collections.abc import Mapping
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from xbench import plan as planning
from xbench.catalogue import identity
from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.identity import component
from xbench.catalogue.settings import AlignSettings, EvaluateSettings, FinetuneSettings
from xbench.plan import Plan
from xbench_plugins.clones.sources import CloneBitext, CloneTopics, CloneTreebank
from xbench_plugins.metrics.accuracy import Accuracy
from xbench_plugins.metrics.macro_f1 import MacroF1
from xbench_plugins.objectives.hictl import HiCTL
from xbench_tasks.pos import PartOfSpeech

from ..command import (
    NAMES,
    TUNED,
    Test,
    below,
    changed,
    facts_of,
    nothing,
    plan_of,
    request,
    roles,
    where,
)

Facts = Mapping[str, Any]
MATRIX = {
    "objective": ["hictl:S1W0M0", "S1W1M1"],
    "task": ["pos", "topic"],
    "pair": ["qaa-qac", "qab-qaa"],
    "arm": ["none", "aligned", "shuffled"],
    "seed": [15, 33],
    "align_seed": [42, 43],
    "align_step": [2, 4],
}


def matrix(**changes: Any) -> Plan:
    options = {"finetune.steps": 4} | changes.pop("options", {})
    return plan_of(request(**{**MATRIX, **changes}, options=options))


@pytest.fixture(scope="module")
def base() -> Plan:
    return matrix()


def aligned(facts: Facts) -> bool:
    return facts["arm"] != "none"


# A value that differs from the base, for every setting; and who is to notice.
ALIGN: dict[str, tuple[Any, Test]] = {
    "steps": (5, aligned),
    "checkpoints": ([1, 3], nothing),
    "batch_size": (7, aligned),
    "accumulate": (2, aligned),
    "learning_rate": (1.23e-3, aligned),
    "schedule": ("constant", aligned),
    "warmup": (0.123, aligned),
    "weight_decay": (0.123, aligned),
    "clip": (0.123, aligned),
    "max_length": (31, aligned),
    "max_pairs": (123, aligned),
    "mlm_probability": (0.123, aligned),
    "exclude_overlap": (True, aligned),  # the run's own test sets are guarded
    # while no objective reads word links, and none is a transform
    "aligner": ("itermax", nothing),
    "aligner_options": ({"depth": 0.5}, nothing),
    "fit_sentences": (100, nothing),
    "precision": ("bf16", aligned),
}
FINETUNE: dict[str, tuple[Any, Test]] = {
    "epochs": (2, below(*TUNED)),
    "steps": (5, below(*TUNED)),
    "batch_size": (7, below(*TUNED)),
    "accumulate": (2, below(*TUNED)),
    "encoder_learning_rate": (1.23e-3, below(*TUNED, mode="full")),
    "head_learning_rate": (1.23e-4, below(*TUNED)),
    "schedule": ("constant", below(*TUNED)),
    "warmup": (0.123, below(*TUNED)),
    "weight_decay": (0.123, below(*TUNED)),
    "clip": (0.123, below(*TUNED)),
    "head_dropout": (0.123, below(*TUNED)),
    "sentence_pooling": ("cls", below(*TUNED, task="topic")),
    "max_length": (31, below(*TUNED)),
    "max_train": (25, below(*TUNED)),
    "selection": ("best", below(*TUNED)),
    "selection_every": (3, nothing),  # while the last step's weights are kept
    "joint_weight": (0.5, nothing),  # while the objective acts before fine-tuning
    "precision": ("bf16", below(*TUNED)),
}
EVALUATE: dict[str, tuple[Any, Test]] = {
    "split": ("dev", below("evaluate", "score")),
    "max_items": (9, below("evaluate", "score")),
    "batch_size": (77, below("evaluate", "score")),
    # while no task is a retrieval
    "retrieval_depth": (0.5, nothing),
    "retrieval_pooling": ("cls", nothing),
    "retrieval_similarity": ("csls", nothing),
    "max_length": (9, nothing),
    "precision": ("bf16", nothing),
}
OBJECTIVE: dict[str, Any] = {
    "sentence": 0,
    "word": 0,
    "mlm": 0,
    "temperature": 0.3,
    "similarity": "dot",
    "pooling": "cls",
    "depth": 0.5,
    "query": "cls_of_joint",
    "query_depth": 0.5,
    "bag": "multiset",
    "exclude_special": False,
    "negatives": 9,
    "detach_embeddings": True,
    "mlm_input": "joint",
    "share_masked_forward": True,
    "smoothed_hard_negatives": True,
    "zeta": 0.5,
}


def test_the_base_has_every_sort_of_role(base: Plan) -> None:
    count = {kind: len(base.of_kind(kind)) for kind in planning.KINDS}
    # 2 pairs x 2 alignment seeds x (2 variants aligned + 2 shuffled)
    assert count["align"] == 16
    # (16 x 2 checkpoints + untouched) x 2 tasks x 2 modes x 2 seeds
    assert count["finetune"] == 33 * 8
    assert count["evaluate"] == count["score"] == 33 * 8 * 2 == len(base.cells)
    assert len(set(roles(base).values())) == sum(count.values())


@pytest.mark.parametrize(
    ("phase", "settings", "table"),
    [
        ("align", AlignSettings, ALIGN),
        ("finetune", FinetuneSettings, FINETUNE),
        ("evaluate", EvaluateSettings, EVALUATE),
    ],
)
def test_the_tables_above_name_every_setting(phase: str, settings: Any, table: Any) -> None:
    assert {field.name for field in fields(settings)} == set(table), phase
    # negative_sampler has one value only
    assert {field.name for field in fields(HiCTL.Config)} - {"negative_sampler"} == set(OBJECTIVE)


@pytest.mark.parametrize(
    ("name", "value", "noticed"),
    [
        (f"{phase}.{name}", value, noticed)
        for phase, table in (("align", ALIGN), ("finetune", FINETUNE), ("evaluate", EVALUATE))
        for name, (value, noticed) in table.items()
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_a_setting_changes_its_phase_and_what_lies_below(
    base: Plan, name: str, value: Any, noticed: Test
) -> None:
    assert changed(base, matrix(options={name: value})) == where(base, noticed)


@pytest.mark.parametrize("field", OBJECTIVE)
def test_a_field_of_the_objective_changes_its_alignments_and_what_lies_below(
    base: Plan, field: str
) -> None:
    own: dict[str, Any] = {**base.spec.objective["hictl"]["S1W1M1"], field: OBJECTIVE[field]}  # type: ignore[index, call-overload]
    other = base.spec.objective["hictl"]["S1W0M0"]  # type: ignore[index, call-overload]
    after = matrix(objective={"hictl": {"S1W0M0": other, "S1W1M1": own}})
    assert changed(base, after) == where(base, lambda f: f["variant"] == "S1W1M1")


@pytest.mark.parametrize(
    ("name", "noticed"),
    [
        ("finetune.pos.batch_size", below(*TUNED, task="pos")),
        ("finetune.linear.batch_size", below(*TUNED, mode="linear")),
        ("finetune.topic.full.batch_size", below(*TUNED, task="topic", mode="full")),
        ("finetune.topic.linear.encoder_learning_rate", nothing),
        ("finetune.pos.sentence_pooling", nothing),
    ],
)
def test_a_setting_of_one_task_or_mode_leaves_the_others(
    base: Plan, name: str, noticed: Test
) -> None:
    value = {"sentence_pooling": "cls"}.get(name.split(".")[-1], 7)
    assert changed(base, matrix(options={name: value})) == where(base, noticed)


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "cpu:0"},
        {"options": {"align.precision": "fp32", "finetune.precision": "fp32"}},
        {"mode": ["linear", "full"], "seed": [33, 15], "language": ["qac", "qaa"]},
        {"task": ["topic"]},
        {"arm": ["shuffled"]},
        {"pair": ["qab-qaa"]},
        {"align_step": [4]},
        {"language": ["qac", "qae"]},
        {"seed": [33, 34]},
        {"align_seed": [43]},
        {"objective": ["hictl:S1W1M1"]},
    ],
    ids=str,
)
def test_what_plays_no_part_changes_no_key(base: Plan, changes: dict[str, Any]) -> None:
    assert changed(base, matrix(**changes)) == set()


@pytest.mark.parametrize(
    ("axis", "old", "new", "noticed"),
    [
        ("seed", 15, 16, below(*TUNED)),
        ("align_seed", 42, 44, aligned),
        ("align_step", 2, 3, lambda f: aligned(f) and f["kind"] != "align"),
        ("mode", "full", "linear", below(*TUNED)),
        ("arm", "aligned", "shuffled", aligned),
        ("pair", "qaa-qac", "qab-qaa", aligned),
        ("task", "pos", "topic", below(*TUNED)),
        ("language", "qaa", "qac", below("evaluate", "score")),
        ("variant", "S1W0M0", "S1W1M1", aligned),
    ],
)
def test_a_coordinate_is_part_of_the_keys_of_its_kind_and_below(
    base: Plan, axis: str, old: Any, new: Any, noticed: Test
) -> None:
    """Roles that differ in this coordinate alone have different keys."""
    plan = matrix(**{axis: [old, new]}) if axis in MATRIX and axis != "variant" else base
    keys = roles(plan)
    compared = 0
    for role, key in keys.items():
        facts = facts_of(role)
        if facts[axis] != old or not noticed(facts):
            continue
        names = NAMES[: len(role) - 1]
        twin = (role[0], *(new if name == axis else facts[name] for name in names))
        assert keys[twin] != key
        compared += 1
    assert compared


@pytest.mark.parametrize(
    ("plugin", "noticed"),
    [
        (HiCTL, aligned),
        (CloneBitext, aligned),
        (CloneTreebank, below(*TUNED, task="pos")),
        (CloneTopics, below(*TUNED, task="topic")),
        (PartOfSpeech, below(*TUNED, task="pos")),
        (Accuracy, below("score")),
        (MacroF1, below("score", task="topic")),
    ],
)
def test_the_version_of_a_plugin_changes_what_it_computes(
    base: Plan, plugin: Any, noticed: Test, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin, "version", 99)
    assert changed(base, matrix()) == where(base, noticed)


@pytest.mark.parametrize(
    ("module", "noticed"),
    [
        ("xbench_plugins.objectives.hictl", aligned),
        ("xbench_tasks.pos", below(*TUNED, task="pos")),
        ("xbench_plugins.metrics.accuracy", below("score")),
    ],
)
def test_so_does_its_code(
    base: Plan, module: str, noticed: Test, monkeypatch: pytest.MonkeyPatch
) -> None:
    hictl = Catalogue.installed().discovery.table.get("objectives", "hictl")
    assert component(hictl).code, "the tests need an editable install"
    true = identity.code_digest
    monkeypatch.setattr(identity, "code_digest", lambda m: "changed" if m == module else true(m))
    assert changed(base, matrix()) == where(base, noticed)


@pytest.mark.parametrize(
    ("kind", "noticed"),
    [
        ("align", aligned),
        ("finetune", below(*TUNED)),
        ("evaluate", below("evaluate", "score")),
        ("score", below("score")),
    ],
)
def test_so_does_the_schema_of_a_stage(
    base: Plan, kind: str, noticed: Test, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning.KINDS[kind], "schema", 99)
    assert changed(base, matrix()) == where(base, noticed)


@pytest.mark.parametrize(
    ("binding", "noticed"),
    [
        (("corpus",), aligned),
        (("tasks", "pos"), below(*TUNED, task="pos")),
        (("tasks", "topic"), below(*TUNED, task="topic")),
    ],
)
def test_so_do_the_options_of_a_source(base: Plan, binding: Any, noticed: Test) -> None:
    registry = Catalogue.installed().registry.model_dump(mode="json")
    place = registry["suites"]["mini"]
    for name in binding:
        place = place[name]
    place["options"] = {"train": 300}
    here = Catalogue(
        type(Catalogue.installed().registry).model_validate(registry),
        Catalogue.installed().discovery,
    )
    spec = request(**MATRIX, options={"finetune.steps": 4})
    assert changed(base, plan_of(spec, here)) == where(base, noticed)


def test_a_worker_gives_a_stage_the_same_key(base: Plan) -> None:
    """Stages travel to workers as JSON."""
    for stage in base.stages.values():
        received = planning.read_stage(json.loads(json.dumps(stage.to_json())))
        assert received.key == stage.key


def test_parents_come_before_children_and_are_in_the_plan(base: Plan) -> None:
    seen: set[str] = set()
    for key, stage in base.stages.items():
        assert key == stage.key
        assert seen.issuperset(stage.parents)
        seen.add(key)


def test_no_path_is_in_any_key(base: Plan) -> None:
    folder = str(Path(str(files("xbench_plugins"))).parent)
    assert all(folder not in json.dumps(stage.to_json()["spec"]) for stage in base.stages.values())
    assert any(folder in json.dumps(stage.to_json()["places"]) for stage in base.stages.values())

"""What a run computes: all that is missing, and nothing else. Stages run in this process."""

import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from xbench.catalogue.catalogue import Catalogue
from xbench.cli.session import open_session
from xbench.engine.job import JobRunner
from xbench.engine.todo import find_work
from xbench.plan import Stage
from xbench.stages.resources import Resources
from xbench.store import Store
from xbench.store.rows import read_rows
from xbench.store.runs import RunRecord

from ..command import Outcome, compute, kinds, plan_of, request, roles, work_off

# The small matrix: an aligned encoder and the untouched one, two modes, two languages.
ALL = {"align": 1, "finetune": 4, "evaluate": 8, "score": 8}
ENCODER = "encoder/model.safetensors"


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory, finished: tuple[Path, Outcome]) -> Store:
    store = Store(tmp_path_factory.mktemp("work") / "store")
    shutil.copytree(finished[0] / "cache", store.root / "cache")  # the tokenised text
    assert kinds(compute(request(), store)) == ALL
    return store


@pytest.fixture
def store(computed: Store, tmp_path: Path) -> Store:
    """A copy of the computed store, to change."""
    return Store(Path(shutil.copytree(computed.root, tmp_path / "store")))


def values(store: Store, **changes: Any) -> list[Any]:
    plan = plan_of(request(**changes))
    frame = read_rows(store, RunRecord.of(plan))
    assert set(frame["status"]) == {"done"}
    return list(frame["value"])


def test_a_run_again_computes_nothing(store: Store) -> None:
    assert kinds(compute(request(), store)) == {}


def test_every_predicted_word_has_its_gold_tag(computed: Store) -> None:
    for path in computed.root.glob("evaluate/*/predictions.parquet"):
        table = pq.read_table(path).to_pydict()
        assert len(table["id"]) == 8
        assert [len(g) for g in table["gold"]] == [len(p) for p in table["predicted"]]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"options": {"objective.temperature": 0.3}}, [1, 2, 4, 4]),
        ({"options": {"align.learning_rate": 1.23e-3}}, [1, 2, 4, 4]),
        ({"options": {"finetune.full.clip": 0.5}}, [0, 2, 4, 4]),
        ({"options": {"finetune.linear.clip": 0.5}}, [0, 2, 4, 4]),
        ({"options": {"evaluate.max_items": 7}}, [0, 4, 8, 8]),
        ({"language": ["qaa", "qae"]}, [0, 4, 4, 4]),
        ({"seed": [15, 16], "mode": ["linear"]}, [0, 2, 4, 4]),
        ({"arm": ["none"], "seed": [16], "mode": ["linear"]}, [0, 1, 2, 2]),
        ({"language": ["qac"]}, [0, 0, 0, 0]),
        ({"options": {"finetune.linear.encoder_learning_rate": 1e-3}}, [0, 0, 0, 0]),
    ],
    ids=str,
)
def test_a_change_of_one_field_computes_what_lies_below_it(
    changes: dict[str, Any], expected: list[int], computed: Store
) -> None:
    """Full fine-tunings whose weights were freed are trained again where predictions are missing;
    heads of linear probes are small and stay."""
    plan = plan_of(request(**changes))
    todo = find_work(plan, computed).counts(plan)
    found = [todo[kind]["todo"] for kind in ALL]
    if changes in ({"options": {"evaluate.max_items": 7}}, {"language": ["qaa", "qae"]}):
        expected = [0, 2, *expected[2:]]  # the two full ones
    assert found == expected


def test_an_edited_field_is_really_computed_and_the_rest_is_left_alone(store: Store) -> None:
    before = {path: path.stat().st_mtime_ns for path in store.root.glob("*/*/status.json")}
    old = values(store)
    changes = {"options": {"finetune.linear.head_learning_rate": 0.5}}
    assert kinds(compute(request(**changes), store)) == {"finetune": 2, "evaluate": 4, "score": 4}
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert values(store) == old
    assert values(store, **changes) != old


class TestFreedWeights:
    def test_weights_of_full_fine_tunings_are_freed_and_heads_and_alignments_kept(
        self, computed: Store
    ) -> None:
        for role, key in roles(plan_of(request())).items():
            if role[0] == "finetune":
                assert computed.has_file("finetune", key, "head.safetensors")
                assert not computed.has_file("finetune", key, ENCODER)
            if role[0] == "align":
                assert computed.has_file("align", key, "step-4/model.safetensors")

    def test_demand_for_them_trains_again_with_the_same_result(self, store: Store) -> None:
        old = values(store)
        gone = 0
        for role, key in roles(plan_of(request())).items():
            if role[0] in ("evaluate", "score") and role[-1] == "qac":
                shutil.rmtree(store.folder(role[0], key))
                gone += 1
        assert gone == 8
        assert kinds(compute(request(), store)) == {"finetune": 2, "evaluate": 4, "score": 4}
        assert values(store) == old

    def test_a_checkpoint_that_is_gone_is_aligned_again_only_if_it_is_needed(
        self, store: Store
    ) -> None:
        (align,) = plan_of(request()).of_kind("align")
        store.free("align", align, "step-4/model.safetensors")
        assert kinds(compute(request(), store)) == {}
        # a linear probe with a trained head needs its encoder to predict in a new language
        more = request(mode=["linear"], language=["qae"], arm=["aligned"])
        assert kinds(compute(more, store)) == {"align": 1, "evaluate": 1, "score": 1}
        assert store.has_file("align", align, "step-4/model.safetensors")

    def test_a_checkpoint_in_between_is_aligned_again(self, store: Store) -> None:
        expected = {"align": 1, "finetune": 1, "evaluate": 2, "score": 2}
        session = compute(request(align_step=[2], mode=["linear"], arm=["aligned"]), store)
        assert kinds(session) == expected
        (align,) = session.plan.of_kind("align")
        for step in (2, 4):
            assert store.has_file("align", align, f"step-{step}/model.safetensors")


class TestDamage:
    @pytest.mark.parametrize("kind", ["score", "evaluate", "finetune", "align"])
    def test_a_damaged_status_is_computed_again(self, kind: str, store: Store) -> None:
        plan = plan_of(request(mode=["linear"], arm=["aligned"], language=["qac"]))
        (key,) = plan.of_kind(kind)
        old = values(store)
        (store.folder(kind, key) / "status.json").write_text("{")
        # Nobody asks for what lies above a score that is there.
        asked = request(mode=["linear"], arm=["aligned"], language=["qac"])
        expected = {"score": 1} if kind == "score" else {}
        assert kinds(compute(asked, store)) == expected
        for needing in ("evaluate", "score"):
            (child,) = plan.of_kind(needing)
            shutil.rmtree(store.folder(needing, child), ignore_errors=True)
        assert kinds(compute(asked, store)).get(kind) == 1
        assert values(store) == old

    def test_altered_predictions_fail_their_score_and_are_predicted_again(
        self, store: Store
    ) -> None:
        asked = request(mode=["linear"], arm=["none"], language=["qac"])
        old = values(store)
        (evaluate,) = plan_of(asked).of_kind("evaluate")
        (score,) = plan_of(asked).of_kind("score")
        shutil.rmtree(store.folder("score", score))
        path = store.folder("evaluate", evaluate) / "predictions.parquet"
        path.write_bytes(path.read_bytes()[:-1])
        compute(asked, store)
        assert "predictions.parquet is damaged" in str(store.error("score", score))
        assert kinds(compute(asked, store)) == {"evaluate": 1, "score": 1}
        assert values(store) == old


def test_linear_probes_of_one_encoder_are_one_job(tmp_path: Path) -> None:
    plan = plan_of(request(seed=[15, 16, 17]))
    work = find_work(plan, Store(tmp_path))
    sizes = sorted(
        sum(plan.stages[key].kind == "finetune" for key in job.stages) for job in work.jobs
    )
    assert sizes == [0, *[1] * 6, 3, 3]  # the alignment, full ones, linear ones of two encoders
    (align,) = plan.of_kind("align")
    waiting = [job for job in work.jobs if align in job.after]
    assert len(waiting) == 4
    assert {key for job in work.jobs for key in job.stages} == set(plan.stages)


class TestAnotherRun:
    """Two runs have planned the same work, and the other one was quicker."""

    def test_what_it_has_done_and_freed_is_not_done_again(
        self, computed: Store, tmp_path: Path
    ) -> None:
        store = Store(tmp_path / "store")
        session = open_session(request(), store, offline=True)
        shutil.copytree(computed.root, store.root, dirs_exist_ok=True)
        before = {path: path.stat().st_mtime_ns for path in store.root.glob("*/*/status.json")}
        assert set(session.work.todo) == {path.parent.name for path in before}
        work_off(session, store)
        after = {path: path.stat().st_mtime_ns for path in store.root.glob("*/*/status.json")}
        assert after == before

    def test_a_model_that_it_has_freed_too_early_is_trained_again(self, store: Store) -> None:
        """It wanted one language, and this run wants two."""
        old = values(store)
        asked = request(mode=["full"], arm=["none"])
        plan = plan_of(asked)
        (finetune,) = plan.of_kind("finetune")
        for kind in ("evaluate", "score"):
            for key in plan.of_kind(kind):
                shutil.rmtree(store.folder(kind, key))
        session = open_session(asked, store, offline=True)

        def frees(event: str, stage: Stage, details: Any) -> None:
            if (event, stage.kind) == ("done", "finetune"):
                runner._tuned.clear()
                assert store.free("finetune", finetune, ENCODER) > 0

        runner = JobRunner(
            session.plan.stages, Resources(store, Catalogue.installed()), frees, keep=True
        )
        (job,) = session.work.jobs
        runner.run(job.stages)
        assert store.has_file("finetune", finetune, ENCODER)
        assert values(store) == old

"""Demand and jobs with word links, transforms, merges and objectives beside the task's loss."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xbench.engine.todo import Work, find_work, free_alignments, only_failed
from xbench.plan import Plan
from xbench.report.run.stored import StoredRun
from xbench.stages import finetune
from xbench.store import Store
from xbench.store.runs import record_run

from ..toys import Centre, Linked, World, model_folder

Worlds = Callable[..., World]
LINKED: dict[str, Any] = {"objective": ("linked",), "arm": ("none", "aligned")}
CENTRED: dict[str, Any] = {
    "objective": ("centre",),
    "arm": ("none", "aligned"),
    "task": ("topics",),
    "language": ("bbb", "ccc"),
}
EVERYTHING: dict[str, Any] = {
    "objective": ("linked", "centre", "latest", "smooth"),
    "arm": ("none", "aligned", "shuffled"),
    "mode": ("full", "linear"),
    "task": ("topics", "finding"),
    "language": ("bbb", "ccc"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture
def world(model: Path, tmp_path: Path) -> World:
    store = Store(tmp_path / "store")
    store.prepare()
    return World(model, store, corpus={"links": True})


def todo(plan: Plan, store: Store) -> dict[str, int]:
    work = find_work(plan, store)
    counts = work.counts(plan, store)
    return {kind: n["todo"] for kind, n in counts.items() if n["todo"]}


def forget(world: World, plan: Plan, *kinds: str) -> None:
    """Lose all stages of some kinds."""
    for kind in kinds:
        for key in plan.of_kind(kind):
            shutil.rmtree(world.store.folder(kind, key))


def place_of(work: Work, plan: Plan) -> dict[str, int]:
    """key -> the number of its job."""
    return {key: number for number, job in enumerate(work.jobs) for key in job.stages}


class TestOrder:
    def test_every_stage_is_in_one_job_and_waits_for_its_parents(self, world: World) -> None:
        plan = world.plan(**EVERYTHING)
        work = find_work(plan, world.store)
        assert Counter(k for job in work.jobs for k in job.stages) == Counter(list(plan.stages))
        for number, job in enumerate(work.jobs):
            done: set[str] = set()
            for key in job.stages:
                parents = set(plan.stages[key].parents)
                assert parents <= done | job.after
                done.add(key)
            own = place_of(work, plan)
            assert all(own[parent] != number for parent in job.after)

    def test_links_are_jobs_of_their_own_and_come_first(self, world: World) -> None:
        plan = world.plan(**{**LINKED, "arm": ("none", "aligned", "shuffled")})
        work = find_work(plan, world.store)
        kinds = [[plan.stages[key].kind for key in job.stages] for job in work.jobs]
        assert sorted(kinds[:4]) == [["align"], ["align"], ["links"], ["links"]]
        for job in work.jobs[:4]:
            (key,) = job.stages
            assert job.after == set(plan.stages[key].parents)

    def test_heads_on_transformed_features_wait_for_the_fit(self, world: World) -> None:
        plan = world.plan(**CENTRED, mode=("linear",), seed=(1, 2))
        work = find_work(plan, world.store)
        (fit,) = plan.of_kind("fit")
        assert [job.stages for job in work.jobs if fit in job.stages] == [[fit]]
        waiting = [job for job in work.jobs if fit in job.after]
        assert len(waiting) == 1  # both seeds share the features
        kinds = Counter(plan.stages[key].kind for key in waiting[0].stages)
        assert kinds == {"finetune": 2, "evaluate": 4, "score": 4}

    def test_a_fit_on_a_fine_tuned_encoder_is_in_its_job(self, world: World) -> None:
        plan = world.plan(**CENTRED, mode=("full",))
        (job,) = find_work(plan, world.store).jobs
        kinds = Counter(plan.stages[key].kind for key in job.stages)
        assert kinds == {"finetune": 1, "fit": 1, "evaluate": 4, "score": 4}
        assert job.after == set()


class TestOnce:
    def test_a_second_run_computes_nothing(self, world: World) -> None:
        plan = world.plan(**EVERYTHING)
        heard = world.finish(plan)
        assert {line.split()[1] for line in heard} == {"done"}
        assert len(heard) == len(plan.stages)
        assert todo(plan, world.store) == {}
        assert world.finish(plan) == []

    def test_one_fine_tuning_serves_all_and_its_weights_are_freed_once(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trained, freed = [], []
        run, free = finetune.run, Store.free

        def counted(stage: Any, *others: Any) -> Any:
            trained.append(stage.key)
            return run(stage, *others)

        def watched(self: Store, kind: str, key: str, name: str) -> int:
            there = {k for k in plan.of_kind("fit") if self.state("fit", k) == "done"}
            freed.append((key, len(there)))
            return free(self, kind, key, name)

        monkeypatch.setattr(finetune, "run", counted)
        monkeypatch.setattr(Store, "free", watched)
        plan = world.plan(**CENTRED, mode=("full",))
        world.finish(plan)
        (key,) = plan.of_kind("finetune")
        assert trained == [key]
        assert freed == [(key, 1)]  # not before the transform was fitted
        assert not world.store.has_file("finetune", key, "encoder/model.safetensors")

    def test_another_set_of_languages_is_fitted_anew_beside_the_first(self, world: World) -> None:
        first = world.plan(**{**CENTRED, "language": ("bbb",)}, mode=("linear",))
        both = world.plan(**CENTRED, mode=("linear",))
        world.finish(first)
        # the untouched encoder's head stays, and so do its results for the first language
        assert todo(both, world.store) == {"fit": 1, "finetune": 1, "evaluate": 3, "score": 3}
        world.finish(both)
        assert todo(first, world.store) == todo(both, world.store) == {}
        assert len(list((world.store.root / "fit").glob("*"))) == 2

    def test_another_set_of_languages_needs_the_fine_tuned_encoder_again(
        self, world: World
    ) -> None:
        world.finish(world.plan(**{**CENTRED, "language": ("bbb",)}, mode=("full",)))
        both = world.plan(**CENTRED, mode=("full",))
        assert todo(both, world.store) == {"fit": 1, "finetune": 1, "evaluate": 3, "score": 3}


class TestWhatIsLost:
    def test_links_that_nobody_needs_are_not_found_again(self, world: World) -> None:
        plan = world.plan(**LINKED)
        world.finish(plan)
        forget(world, plan, "links")
        assert todo(plan, world.store) == {}

    def test_links_are_found_again_with_the_alignment_that_needs_them(self, world: World) -> None:
        plan = world.plan(**LINKED, mode=("linear",))
        world.finish(plan)
        forget(world, plan, "links", "align", "evaluate", "score")
        expected = {"links": 1, "align": 1, "evaluate": 2, "score": 2}
        assert todo(plan, world.store) == expected
        world.finish(plan)
        assert todo(plan, world.store) == {}

    def test_an_alignment_alone_finds_its_links_where_they_are(self, world: World) -> None:
        plan = world.plan(**LINKED, mode=("linear",))
        world.finish(plan)
        forget(world, plan, "align", "evaluate", "score")
        assert todo(plan, world.store) == {"align": 1, "evaluate": 2, "score": 2}

    def test_what_a_transform_learnt_is_learnt_again_for_predictions(self, world: World) -> None:
        plan = world.plan(**CENTRED, mode=("linear",))
        world.finish(plan)
        (fit,) = plan.of_kind("fit")
        shutil.rmtree(world.store.folder("fit", fit))
        assert todo(plan, world.store) == {}
        forget(world, plan, "evaluate", "score")
        assert todo(plan, world.store) == {"fit": 1, "evaluate": 4, "score": 4}
        world.finish(plan)
        assert todo(plan, world.store) == {}

    @pytest.mark.parametrize(
        ("kind", "name", "child", "spec"),
        [
            ("links", "links.parquet", "align", LINKED),
            ("fit", "fitted.safetensors", "evaluate", {**CENTRED, "mode": ("linear",)}),
        ],
    )
    def test_a_damaged_file_fails_what_reads_it_and_is_made_anew(
        self, kind: str, name: str, child: str, spec: dict[str, Any], world: World
    ) -> None:
        plan = world.plan(**{**spec, "arm": ("aligned",)})
        world.finish(plan)
        before = {key: world.store.result("score", key) for key in plan.of_kind("score")}
        forget(world, plan, *({"align", "evaluate", "score"} & set(_kinds(plan))))
        (key,) = plan.of_kind(kind)
        path = world.store.folder(kind, key) / name
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        heard = world.finish(plan)
        message = f"{child} failed DamagedArtefact: {path} is damaged"
        assert any(line.startswith(message) for line in heard)
        heard = world.finish(plan)
        assert heard[0] == f"{kind} done"
        assert todo(plan, world.store) == {}
        assert {key: world.store.result("score", key) for key in plan.of_kind("score")} == before

    def test_alignments_are_freed_when_nothing_lacks_them(self, world: World) -> None:
        plan = world.plan(**LINKED, task=("topics", "finding"), mode=("full", "linear"))
        world.finish(plan)
        (align,) = plan.of_kind("align")
        assert free_alignments(plan, world.store) > 0
        assert not world.store.has_file("align", align, "step-12/model.safetensors")
        assert todo(plan, world.store) == {}
        assert free_alignments(plan, world.store) == 0
        more = world.plan(**LINKED, task=("finding",), language=("ccc",))
        assert todo(more, world.store) == {"align": 1, "evaluate": 2, "score": 2}

    def test_alignments_that_are_needed_are_not(self, world: World) -> None:
        plan = world.plan(**LINKED, task=("finding",))
        world.finish(plan)
        forget(world, plan, "evaluate", "score")
        assert free_alignments(plan, world.store) == 0


def _kinds(plan: Plan) -> set[str]:
    return {stage.kind for stage in plan.stages.values()}


class TestFailures:
    def rows(self, world: World, plan: Plan) -> tuple[dict[Any, str], list[str], Any]:
        """(objective, mode, language) -> status; the failures in words; the table."""
        run = StoredRun(record_run(plan, world.store))
        frame = run.rows
        status = {
            (row["objective"], row["mode"], row["language"]): row["status"]
            for row in frame.astype(object).where(frame.notna(), None).to_dict("records")
        }
        return status, [str(each) for each in run.failures], frame

    def test_links_that_fail_cost_their_own_cells_only(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from xbench_plugins.aligners.given import Given

        def broken(self: Given, pair: Any) -> Any:
            raise RuntimeError("the words are lost")

        monkeypatch.setattr(Given, "align", broken)
        plan = world.plan(
            objective=("linked", "hictl:S1W0M0"),
            arm=("none", "aligned"),
            mode=("linear",),
            task=("topics",),
        )
        heard = world.finish(plan)
        assert heard[0] == "links failed RuntimeError: the words are lost"
        status, lines, frame = self.rows(world, plan)
        assert status[None, "linear", "bbb"] == status["hictl", "linear", "bbb"] == "done"
        assert status["linked", "linear", "bbb"] == "blocked"
        assert [line for line in lines if "(aaa-bbb aligned): RuntimeError: the words" in line]
        (reason,) = frame[frame["objective"] == "linked"]["reason"]
        assert "the words are lost" in reason
        monkeypatch.undo()
        failed = only_failed(find_work(plan, world.store), plan, world.store)
        kinds = Counter(plan.stages[key].kind for key in failed.todo)
        assert kinds == {"links": 1, "align": 1, "finetune": 1, "evaluate": 1, "score": 1}
        world.finish(plan)
        assert set(self.rows(world, plan)[0].values()) == {"done"}

    @pytest.mark.parametrize("mode", ["linear", "full"])
    def test_a_fit_that_fails_costs_its_own_cells_only(
        self, mode: str, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(self: Centre, view: Any) -> None:
            raise RuntimeError("nothing to learn")

        monkeypatch.setattr(Centre, "fit", broken)
        plan = world.plan(**CENTRED, mode=(mode,))
        heard = world.finish(plan)
        assert "fit failed RuntimeError: nothing to learn" in heard
        status, lines, _ = self.rows(world, plan)
        assert status == {
            (None, mode, "bbb"): "done",
            (None, mode, "ccc"): "done",
            ("centre", mode, "bbb"): "blocked",
            ("centre", mode, "ccc"): "blocked",
        }
        (line,) = lines
        assert line.startswith("fit ")
        assert "(centre default aligned" in line
        monkeypatch.undo()
        world.finish(plan)
        assert set(self.rows(world, plan)[0].values()) == {"done"}
        for key in plan.of_kind("finetune"):  # kept for the fit that failed, and then freed
            assert not world.store.has_file("finetune", key, "encoder/model.safetensors")

    def test_blocked_stages_are_counted(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Centre, "fit", lambda self, view: 1 / 0)
        plan = world.plan(**CENTRED, mode=("full",))
        world.finish(plan)
        counts = find_work(plan, world.store).counts(plan, world.store)
        assert {kind: (n["todo"], n["blocked"]) for kind, n in counts.items() if n["todo"]} == {
            "fit": (1, 0)
        }
        assert (counts["evaluate"]["blocked"], counts["score"]["blocked"]) == (2, 2)
        assert counts["evaluate"]["cached"] == 2

    def test_an_objective_that_fails_beside_the_task_costs_its_own_cells(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Linked, "terms", lambda self, batch: 1 / 0)
        plan = world.plan(**LINKED, phase=("during",), mode=("full",), task=("topics",))
        world.finish(plan)
        status, lines, _ = self.rows(world, plan)
        assert status == {(None, "full", "bbb"): "done", ("linked", "full", "bbb"): "blocked"}
        assert any("ZeroDivisionError" in line for line in lines)

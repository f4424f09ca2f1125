"""What a plan still needs: which stages to compute, and how they are bundled into jobs.

Demand runs backwards from the scores: a model is trained only where a prediction is missing, and
an alignment only where a checkpoint is missing that somebody is about to start from.
"""

from collections import defaultdict
from collections.abc import Iterator, Set
from dataclasses import dataclass, field

from xbench.plan import KINDS, Plan, Stage
from xbench.store import Store


@dataclass
class Job:
    """Stages that one worker computes one after the other; ``after`` are keys it must wait for."""

    stages: list[str]
    after: Set[str] = field(default_factory=set)


@dataclass
class Work:
    """The keys of all stages to compute, and the jobs that compute them."""

    todo: set[str]
    jobs: list[Job]

    def counts(self, plan: Plan, store: Store | None = None) -> dict[str, dict[str, int]]:
        """For each kind of stage how many there are, are cached, are to do, and are blocked.

        Blocked are those that wait for a stage that failed when it was last tried; a run tries it
        again. They are not counted as to do. Without a store, none is known to be blocked.
        """
        blocked = self._blocked(plan, store) if store else set()
        result = {}
        for kind in KINDS:
            keys = plan.of_kind(kind)
            wanting = [key for key in keys if key in self.todo]
            held_up = sum(key in blocked for key in wanting)
            result[kind] = {
                "total": len(keys),
                "cached": len(keys) - len(wanting),
                "todo": len(wanting) - held_up,
                "blocked": held_up,
            }
        return result

    def _blocked(self, plan: Plan, store: Store) -> set[str]:
        lost: set[str] = set()
        failed: set[str] = set()
        for key, stage in plan.stages.items():  # parents come before children
            if any(parent in lost or parent in failed for parent in stage.parents):
                lost.add(key)
            elif key in self.todo and store.state(stage.kind, key) == "failed":
                failed.add(key)
        return lost


def find_work(plan: Plan, store: Store) -> Work:
    """Compare a plan with a store. Reads only; a damaged status file is set aside."""
    demand = _Demand(plan, store)
    todo = demand.todo()
    return Work(todo, _jobs(plan, todo))


def only_failed(work: Work, plan: Plan, store: Store) -> Work:
    """The part of the work that failed when it was last tried, with all stages that depend on it.

    Stages that these read, and that are to be computed as well, belong to it.
    """
    failed = {k for k in work.todo if store.state(plan.stages[k].kind, k) == "failed"}
    wanted = set(failed)
    for key, stage in plan.stages.items():  # parents come before children
        if key in work.todo and any(parent in wanted for parent in stage.parents):
            wanted.add(key)
    for key in reversed(list(plan.stages)):
        if key in wanted:
            wanted |= {parent for parent in plan.stages[key].parents if parent in work.todo}
    return Work(wanted, _jobs(plan, wanted))


def stacked(work: Work, plan: Plan, most: int, workers: int) -> Work:
    """The same work, with jobs put together whose fine-tunings can be trained as one program.

    At most ``most`` go together, none with 0, and no more than leave each of the ``workers`` its part.
    Which do follows from what is to be computed alone.
    """
    if not most:
        return work
    names = [_stack_of(job, plan) for job in work.jobs]
    alike: dict[str, list[Job]] = defaultdict(list)
    for name, job in zip(names, work.jobs, strict=True):
        if name is not None:
            alike[name].append(job)
    jobs: list[Job] = []
    for name, job in zip(names, work.jobs, strict=True):
        if name is None:
            jobs.append(job)
        elif name in alike:  # all of them take the place of the first
            together = alike.pop(name)
            size = max(1, min(most, -(-len(together) // workers)))
            jobs += _merged(together, size)
    return Work(work.todo, jobs)


def stack_sizes(work: Work, plan: Plan) -> list[int]:
    """How many fine-tunings each job has that can be a stack's."""
    jobs = ([plan.stages[key] for key in job.stages] for job in work.jobs)
    sizes = (sum(stage.stack() is not None for stage in job) for job in jobs)
    return [size for size in sizes if size]


def _stack_of(job: Job, plan: Plan) -> str | None:
    """The name of a job's stack: of its only fine-tuning."""
    found = {plan.stages[key].stack() for key in job.stages if plan.stages[key].kind == "finetune"}
    return found.pop() if len(found) == 1 else None


def _merged(jobs: list[Job], size: int) -> Iterator[Job]:
    for start in range(0, len(jobs), size):
        part = jobs[start : start + size]
        stages = [key for job in part for key in job.stages]
        yield Job(stages, {key for job in part for key in job.after})


def free_alignments(plan: Plan, store: Store) -> int:
    """Delete the weights of alignments that nothing of this plan lacks; returns the bytes freed."""
    left = find_work(plan, store).todo
    needed = {parent for key in left for parent in plan.stages[key].parents}
    freed = 0
    for key in plan.of_kind("align"):
        if key in left or key in needed:
            continue
        for name in list(store.status("align", key).get("files", {})):
            if name.endswith("model.safetensors"):
                freed += store.free("align", key, name)
    return freed


class _Demand:
    def __init__(self, plan: Plan, store: Store) -> None:
        self.plan = plan
        self.store = store
        self.children: dict[str, list[str]] = defaultdict(list)
        for key, stage in plan.stages.items():
            for parent in stage.parents:
                self.children[parent].append(key)

    def todo(self) -> set[str]:
        todo: set[str] = set()
        # Children come before parents, so that whether anybody lacks what a stage gives is known when
        # the stage is looked at: a model whose predictions are all there is not trained again, even
        # where its weights were freed.
        for key in reversed(list(self.plan.stages)):
            if self._needed(self.plan.stages[key], key, todo):
                todo.add(key)
        return todo

    def _needed(self, stage: Stage, key: str, todo: set[str]) -> bool:
        if stage.asked:
            return self.store.state(stage.kind, key) != "done"
        wanting = [self.plan.stages[child] for child in self.children[key] if child in todo]
        files = {name for child in wanting for name in stage.lends(child, self.plan.stages)}
        return any(not self.store.has_file(stage.kind, key, name) for name in files)


def _jobs(plan: Plan, todo: set[str]) -> list[Job]:
    """Stages that share an encoder go together, in the order of the plan: parents first."""
    bundles: dict[str, Job] = {}
    for key, stage in plan.stages.items():
        if key in todo:
            bundle = bundles.setdefault(stage.job(plan.stages), Job([]))
            bundle.stages.append(key)
    for job in bundles.values():
        job.stages = _by_model(job.stages, plan)
        own = set(job.stages)
        # Only what is still to do is waited for; what the store has is read from there.
        job.after = {p for k in own for p in plan.stages[k].parents if p in todo and p not in own}
    # Alignments go first: they take longest, and with one of them late at the end workers would idle.
    first = [job for job in bundles.values() if plan.stages[job.stages[0]].alone]
    return first + [job for job in bundles.values() if job not in first]


def _by_model(keys: list[str], plan: Plan) -> list[str]:
    """All that one model is needed for together, so that it can be let go of."""
    order: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        order[plan.stages[key].model(plan.stages) or key].append(key)
    return [key for group in order.values() for key in group]

"""Table B2 of the study: what a run took, by kind of stage and device: time, device hours, memory."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import fsum
from statistics import median

from xbench.plan import KINDS
from xbench.report.results.provenance import ORDER, StageRecord
from xbench.report.table import Column, Table, TableCell, TableRow
from xbench.report.tables.wording import ABSENT

EVERYTHING = "all stages"
HOUR = 3600.0
GIB = 2**30
Name = tuple[str, str]
"""(device, what was computed)."""


def compute_table(stages: Iterable[StageRecord], suite: str = "", model: str = "") -> list[Table]:
    """The table; none where no stage says what it took.

    ``stages`` are all that a run's results rest on, each once, such as the values of
    ``Provenance.stages``. A stage that was computed for an earlier run counts like any other.
    """
    stages = list(stages)
    measured = [stage for stage in stages if stage.seconds is not None]
    if not measured:
        return []
    groups: dict[Name, list[StageRecord]] = defaultdict(list)
    by_key = {stage.key: stage for stage in stages}
    for stage in measured:
        groups[_device(stage), _what(stage, by_key)].append(stage)
    order = {KINDS[kind].title: place for place, kind in enumerate(ORDER)}
    names = sorted(groups, key=lambda name: (name[0], order.get(name[1].split(":")[0], 0), name[1]))
    lines = [(TableRow(what, (device,)), groups[device, what]) for device, what in names]
    for device in dict.fromkeys(device for device, _ in names):
        of_device = [stage for name in names if name[0] == device for stage in groups[name]]
        lines.append((TableRow(EVERYTHING, (device,)), of_device))
    lines.sort(key=lambda line: line[0].group)
    gpu, cpu = (any(_on_gpu(stage) is there for stage in measured) for there in (True, False))
    return [
        Table(
            name="compute",
            label="tab:compute",
            title="Table B2: what the run took",
            caption=(
                "Stages, the time of one (median, and from the shortest to the longest), the time of "
                f"all, device hours and the peak of memory.{_about(suite, model)}"
            ),
            columns=tuple(Column(name) for name in _columns(gpu, cpu)),
            rows=tuple(row for row, _ in lines),
            cells=tuple(
                tuple(_cells(members, gpu, cpu, row.label != EVERYTHING)) for row, members in lines
            ),
            stub="stage",
            column_stub="measure",
            notes=tuple(_notes(stages, measured)),
        )
    ]


def _about(suite: str, model: str) -> str:
    return f" Suite {suite}, model {model}." if suite and model else ""


def _columns(gpu: bool, cpu: bool) -> Iterator[str]:
    yield from ("stages", "time of one", "time of all")
    if gpu:
        yield "GPU hours"
    if cpu:
        yield "processor hours"
    yield "peak memory, GiB"


def _cells(stages: Sequence[StageRecord], gpu: bool, cpu: bool, alike: bool) -> Iterator[TableCell]:
    """One line; of stages that are not ``alike`` there is no time of one."""
    seconds = [stage.seconds or 0.0 for stage in stages]
    keys = tuple(stage.key for stage in stages)
    total, middle = fsum(seconds), median(seconds)
    ends = f"{duration(min(seconds))} to {duration(max(seconds))}"
    details = (ends,) if len(seconds) > 1 else ()
    yield TableCell(str(len(stages)), value=float(len(stages)), keys=keys)
    if alike:
        yield TableCell(duration(middle), value=middle, n=len(stages), keys=keys, details=details)
    else:
        yield TableCell(ABSENT, "absent")
    yield TableCell(duration(total), value=total, n=len(stages), keys=keys)
    if gpu:
        yield _hours([stage for stage in stages if _on_gpu(stage)])
    if cpu:
        yield _hours([stage for stage in stages if not _on_gpu(stage)])
    memory = [stage.memory for stage in stages if stage.memory is not None]
    if not memory:
        yield TableCell(ABSENT, "absent")
        return
    peak = max(memory) / GIB
    yield TableCell(f"{peak:.2f}", value=peak, keys=keys)


def _hours(stages: Sequence[StageRecord]) -> TableCell:
    """Time times devices: one GPU a stage, or as many processors as it had threads."""
    if not stages:
        return TableCell(ABSENT, "absent")
    hours = fsum((stage.seconds or 0.0) * _devices(stage) for stage in stages) / HOUR
    digits = 1 if hours >= 10 else 3
    return TableCell(f"{hours:.{digits}f}", value=hours, keys=tuple(stage.key for stage in stages))


def _devices(stage: StageRecord) -> int:
    return 1 if _on_gpu(stage) else int(stage.environment.get("threads") or 1)


def _on_gpu(stage: StageRecord) -> bool:
    return not str(stage.environment.get("device", "cpu")).startswith("cpu")


def _device(stage: StageRecord) -> str:
    """``NVIDIA H100``, or ``cpu, 1 thread``."""
    if _on_gpu(stage):
        return str(stage.environment.get("gpu") or stage.environment["device"])
    threads = stage.environment.get("threads")
    if threads is None:
        return "cpu"
    return f"cpu, {threads} thread{'' if threads == 1 else 's'}"


def _what(stage: StageRecord, stages: Mapping[str, StageRecord]) -> str:
    """``align: hictl``, ``fine-tune: pos, full``: stages of one line cost much the same."""
    parent = stages.get(str(stage.spec.get("finetune", "")))
    spec = parent.spec if stage.kind == "evaluate" and parent else stage.spec
    parts = [
        *(_name(spec, part) for part in ("probe", "objective", "aligner", "task")),
        str(spec.get("mode") or ""),
    ]
    words = ", ".join(part for part in parts if part)
    kind = KINDS[stage.kind].title
    return f"{kind}: {words}" if words and stage.kind != "score" else kind


def _name(spec: Mapping[str, object], part: str) -> str:
    found = spec.get(part)
    return str(found["name"]) if isinstance(found, dict) and "name" in found else ""


def duration(seconds: float) -> str:
    """``0.05 s``, ``12 s``, ``3.4 min`` or ``5.6 h``."""
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"


def _notes(stages: Sequence[StageRecord], measured: Sequence[StageRecord]) -> Iterator[str]:
    yield (
        "Each distinct stage is computed once and counted once, whichever run it was computed for: "
        "these are the costs of all that the results rest on, not of the last call."
    )
    yield (
        "Linear probes of one encoder share its features, whose time is in the first of them. "
        "Loading and tokenising are in the stage that first needed them."
    )
    if any(not _on_gpu(stage) for stage in measured):
        yield (
            "Processor hours are time times threads. On a CPU the peak of memory is that of the "
            "process, up to the end of the stage."
        )
    lacking = [stage for stage in stages if stage.seconds is None]
    by_state: dict[str, int] = defaultdict(int)
    for stage in lacking:
        by_state["done" if stage.state == "done" else stage.state] += 1
    if by_state:
        counts = ", ".join(f"{count} {state}" for state, count in sorted(by_state.items()))
        yield f"Not in these numbers, for want of a measured time: {counts} (failed attempts cost too)."
    kinds = [KINDS[kind].title for kind in ORDER if any(s.kind == kind for s in lacking)]
    if kinds:
        yield f"They are of: {', '.join(kinds)}."

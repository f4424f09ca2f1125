"""What a plan lacks, in a few lines: what is not on this machine and how to get it, and gaps."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from xbench.errors import XbenchError
from xbench.files import documentation

if TYPE_CHECKING:
    from xbench.catalogue.catalogue import Catalogue
    from xbench.plan import Plan

MOST_CODES = 8
WAYS = (
    "Two ways to get it:",
    "  xbench fetch, with the options of this plan, brings what is on the hub (HF_ENDPOINT: a mirror)",
    "  --model DIR and --data DIR (or XBENCH_DATA) read folders here; their layout is in",
    f"  {documentation('data.md')}",
)


def lacking(plan: "Plan", catalogue: "Catalogue") -> Iterator[str]:
    """Lines for a person: one for each thing that is not here, and one for each kind of gap."""
    if plan.unresolved:
        yield "Not on this machine:"
        names = [what.partition(": ")[0].split()[1:] for what in plan.unresolved]
        lines = [_model(name, catalogue) for kind, *_, name in names if kind == "model"]
        lines += [_data(name, plan, catalogue) for kind, *_, name in names if kind != "model"]
        widths = [max(len(line[column]) for line in lines) for column in (0, 1)]
        for name, use, where in lines:
            yield f"  {name:<{widths[0]}}  {use:<{widths[1]}}  {where}"
        yield from WAYS
    yield from _gaps("no data for {}", _by_first(plan.gaps))
    yield from _gaps("not looked for in the alignment text: {}", _by_first(plan.unguarded))


def require_cells(plan: "Plan") -> None:
    """Raises :class:`XbenchError` where there is nothing that could be computed, saying why."""
    if any(not cell.unavailable for cell in plan.cells):
        return
    if not plan.cells:
        raise XbenchError(
            "This run has no cell: no task, arm and language that were asked for go together. "
            "A retrieval task trains nothing: it has cells for encoders before fine-tuning alone."
        )
    reasons: dict[str, dict[str, str]] = defaultdict(dict)
    for cell in plan.cells:
        names = cell.coordinates
        reasons[names.get("task") or names["probe"]][names.get("language", "")] = cell.unavailable
    lines = "\n".join(f"  {line}" for line in _gaps("{}", reasons, " (and alike for the others)"))
    raise XbenchError(f"Nothing of this run can be computed, for want of data:\n{lines}")


Line = tuple[str, str, str]
"""Name, what it is for, where it comes from."""


def _model(name: str, catalogue: "Catalogue") -> Line:
    model = catalogue.registry.models.get(name)
    return name, "model", f"hub: {(model.hub_id if model else None) or name}"


def _data(name: str, plan: "Plan", catalogue: "Catalogue") -> Line:
    suite = catalogue.registry.suite(plan.spec.suite)
    asked = {task: suite.tasks[task] for task in plan.spec.task}
    uses = [task for task, binding in asked.items() if binding.source == name]
    if suite.corpus.source == name:
        uses.append("text to align on")
    dataset = catalogue.registry.datasets.get(name)
    where = "a folder"
    if dataset is not None:
        reads_hub = catalogue.load("sources", name).reads_hub
        is_fetched = reads_hub and dataset.hub_id and dataset.files
        where = f"hub: {dataset.hub_id}" if is_fetched else f"a folder: {dataset.homepage}"
    return name, ", ".join(uses) or "test sentences to keep out", where


def _by_first(reasons: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """``pos: deu`` -> reason, as pos -> deu -> reason."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for what, why in reasons.items():
        first, _, rest = what.partition(": ")
        found[first][rest] = why
    return found


def _gaps(
    sentence: str,
    found: Mapping[str, Mapping[str, str]],
    others: str = " (--format json has the others)",
) -> Iterator[str]:
    for name, reasons in found.items():
        first = next(iter(reasons.values()))
        more = "" if len(set(reasons.values())) == 1 else others
        yield f"{sentence.format(name)} in {_listed(list(reasons))}: {first}{more}"


def _listed(codes: Sequence[str]) -> str:
    more = f" and {len(codes) - MOST_CODES} more" if len(codes) > MOST_CODES else ""
    return ", ".join(codes[:MOST_CODES]) + more

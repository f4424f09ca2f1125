"""A request -> a resolved spec: every name found, every setting concrete, nothing left to defaults.

A resolved spec is itself a spec; running it again repeats the run.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.registry import Registry, SuiteEntry, plain
from xbench.catalogue.settings import (
    PHASES,
    AlignSettings,
    FinetuneSettings,
    known_fields,
)
from xbench.catalogue.validation import explain
from xbench.errors import UnknownName, XbenchError
from xbench.spec.configs import resolve_objectives, resolve_probes
from xbench.spec.launchers import resolve_launcher
from xbench.spec.methods import PHASES as OBJECTIVE_PHASES
from xbench.spec.methods import find_method
from xbench.spec.request import ResolvedSpec, RunSpec

ARMS = ("none", "aligned", "shuffled")
MODES = ("full", "linear")
PROBED = ("encoder", "finetuned")
# One of the two budgets: a later layer that sets one clears the other.
BUDGETS = frozenset({"epochs", "steps"})


def resolve(spec: RunSpec, catalogue: Catalogue) -> ResolvedSpec:
    """Fill in the suite's defaults and check every name and setting.

    Raises :class:`XbenchError` (with a suggestion for unknown names) before any work is done.
    """
    suite = catalogue.registry.suite(spec.suite)
    aliases = catalogue.registry.aliases.get("tasks", {})
    spec = _with_controls(_without_aliases(spec, aliases), catalogue.registry)
    objectives = resolve_objectives(spec, catalogue)
    arms = _arms(spec, suite, catalogue.registry.controls, bool(objectives))
    tasks = _tasks(spec, suite, catalogue)
    probes = resolve_probes(spec, catalogue)
    align, steps = _checkpoints(_phase_settings("align", spec, suite), spec)
    return ResolvedSpec(
        suite=spec.suite,
        model=_place(spec.model or suite.model, known=catalogue.registry.models),
        data=_place(spec.data) if spec.data else None,
        objective=objectives,
        task=tasks,
        pair=_pairs(spec, suite, catalogue, _reads_pairs(arms, objectives, catalogue)),
        arm=arms,
        # Asked for by name, the placebo is run for every variant; by default the suite decides.
        shuffled_variants=spec.shuffled_variants
        or ("all" if spec.arm else suite.shuffled_variants),
        phase=_phases(spec, objectives, catalogue),
        mode=_modes(spec, suite),
        seed=unique(spec.seed or suite.seeds),
        align_seed=unique(spec.align_seed or suite.align_seeds),
        align_step=steps,
        probe=probes,
        probe_at=_probe_at(spec),
        language=_languages(spec, suite, catalogue),
        align=align,
        finetune=_finetune_settings(spec, suite, tasks),
        evaluate=_phase_settings("evaluate", spec, suite),
        probing=_phase_settings("probing", spec, suite),
        device=spec.device,
        launcher=resolve_launcher(
            spec.launcher, dotted(spec.options).get("launcher", {}), catalogue
        ),
    )


def reads_pairs(spec: ResolvedSpec, catalogue: Catalogue) -> bool:
    """Whether some arm of a spec depends on the pair of languages."""
    return _reads_pairs(spec.arm, spec.objective, catalogue)


def _reads_pairs(arms: Iterable[str], objectives: Iterable[str], catalogue: Catalogue) -> bool:
    tuned = any(arm != "none" for arm in arms)
    return tuned and any(find_method(name, catalogue).uses_pairs for name in objectives)


def replace_spec(spec: RunSpec, **changes: Any) -> RunSpec:
    """A copy with changes, validated again."""
    return RunSpec.model_validate(spec.model_dump() | changes)


def unique(values: Iterable[Any]) -> tuple[Any, ...]:
    """The values in order, each once."""
    return tuple(dict.fromkeys(values))


def _place(typed: str, known: Iterable[str] = ()) -> str:
    """A folder's full path, so that a resolved spec means the same from anywhere; else as typed."""
    folder = Path(typed).expanduser()
    return str(folder.resolve()) if typed not in known and folder.is_dir() else typed


def _without_aliases(spec: RunSpec, aliases: Mapping[str, str]) -> RunSpec:
    """Tasks under their own names, in ``--task``, in ``finetune:`` and in ``-O finetune.TASK``."""
    options = {}
    for name, value in spec.options.items():
        section, *path = name.split(".")
        if section == "finetune" and path:
            path[0] = aliases.get(path[0], path[0])
        options[".".join([section, *path])] = value
    return replace_spec(
        spec,
        task=spec.task and [aliases.get(task, task) for task in spec.task],
        finetune={aliases.get(name, name): value for name, value in spec.finetune.items()},
        options=options,
    )


def _with_controls(spec: RunSpec, registry: Registry) -> RunSpec:
    """``--arm mlm`` means the objective that the registry names for it, as an ``aligned`` arm."""
    asked = spec.arm or ()
    extra = [registry.controls[arm] for arm in asked if arm in registry.controls]
    if not extra:
        return spec
    arms = unique("aligned" if arm in registry.controls else arm for arm in asked)
    if not {"aligned", "shuffled"} & set(asked):  # nothing but the control was asked for
        return replace_spec(spec, objective=extra, arm=arms)
    if not isinstance(spec.objective, dict):
        return replace_spec(spec, objective=[*(spec.objective or ()), *extra], arm=arms)
    objective = {name: dict(variants) for name, variants in spec.objective.items()}
    for name, _, variant in (control.partition(":") for control in extra):
        objective.setdefault(name, {}).setdefault(variant, {})
    return replace_spec(spec, objective=objective, arm=arms)


def _arms(
    spec: RunSpec, suite: SuiteEntry, controls: Iterable[str], has_objective: bool
) -> tuple[str, ...]:
    """The arms asked for; those of the suite by default, as far as they need no objective."""
    for arm in spec.arm or ():
        if arm not in ARMS:
            raise UnknownName("arm", arm, (*ARMS, *controls))
        if arm != "none" and not has_objective:
            raise XbenchError(f"The arm {arm!r} needs an objective: --objective NAME.")
    return unique(spec.arm or (arm for arm in suite.arms if has_objective or arm == "none"))


def _phases(spec: RunSpec, objectives: Iterable[str], catalogue: Catalogue) -> tuple[str, ...]:
    """When objectives act, if that was asked; else none: each acts in the first phase that it can."""
    for phase in spec.phase or ():
        if phase not in OBJECTIVE_PHASES:
            raise UnknownName("phase", phase, OBJECTIVE_PHASES)
    for name in objectives if spec.phase else ():
        able = find_method(name, catalogue).phases
        if able and not set(able) & set(spec.phase or ()):
            raise XbenchError(f"{name} acts {' or '.join(able)} fine-tuning: --phase {able[0]}.")
    return unique(spec.phase or ())


def _probe_at(spec: RunSpec) -> tuple[str, ...]:
    """Which encoders are probed."""
    for place in spec.probe_at or ():
        if place not in PROBED:
            raise UnknownName("place to probe", place, PROBED)
    return unique(spec.probe_at or PROBED[:1])


def _modes(spec: RunSpec, suite: SuiteEntry) -> tuple[str, ...]:
    for mode in spec.mode or ():
        if mode not in MODES:
            raise UnknownName("mode", mode, MODES)
    return unique(spec.mode or suite.modes)


def _tasks(spec: RunSpec, suite: SuiteEntry, catalogue: Catalogue) -> tuple[str, ...]:
    if spec.task == ():  # asked for none: only probes
        return ()
    asked = spec.task or suite.default_tasks or suite.tasks
    for task in asked:
        if task not in suite.tasks:
            catalogue.discovery.table.get("tasks", task)  # an unknown task says so itself
            bound = ", ".join(suite.tasks)
            raise XbenchError(
                f"Suite {spec.suite!r} binds no data to task {task!r}; it has {bound}."
            )
    return unique(asked)


def _pairs(spec: RunSpec, suite: SuiteEntry, catalogue: Catalogue, read: bool) -> tuple[str, ...]:
    """The pairs asked for; those of the suite by default, where something reads them."""
    by_default = suite.default_pairs or suite.pairs if read else ()
    asked: Iterable[str] = spec.pair or by_default
    if list(asked) == ["all"]:
        asked = suite.pairs
    return unique(catalogue.languages.find_pair(typed, suite.pairs) for typed in asked)


def _languages(spec: RunSpec, suite: SuiteEntry, catalogue: Catalogue) -> tuple[str, ...]:
    asked = spec.language or suite.languages
    return unique(catalogue.languages.find(typed, suite.languages) for typed in asked)


def _phase_settings(phase: str, spec: RunSpec, suite: SuiteEntry) -> Any:
    """The settings of a phase: the suite's, then the spec's, then those of ``-O``."""
    options = dotted(spec.options).get(phase, {})
    return check(phase, _merge(plain(getattr(suite, phase)), getattr(spec, phase), options))


def _finetune_settings(
    spec: RunSpec, suite: SuiteEntry, tasks: Iterable[str]
) -> dict[str, dict[str, FinetuneSettings]]:
    """task -> mode -> settings."""
    options = dotted(spec.options)
    layers = (plain(suite.finetune), spec.finetune, options)
    for given in (spec.finetune, options.get("finetune", {})):
        _check_sections(given, (*MODES, *suite.tasks))
    return {
        task: {mode: finetune_settings(task, mode, *layers) for mode in MODES} for task in tasks
    }


def _check_sections(finetune: Mapping[str, Any], sections: tuple[str, ...], path: str = "") -> None:
    """``finetune`` holds settings, modes and tasks; a task settings and modes; a mode settings."""
    for name, value in finetune.items():
        where = f"finetune{path}.{name}"
        if name in sections and isinstance(value, Mapping):
            _check_sections(value, () if name in MODES else MODES, f"{path}.{name}")
        elif name in sections:
            raise XbenchError(f"{where} has settings below it, as {where}.batch_size=16.")
        elif name not in known_fields("finetune"):
            known = {*known_fields("finetune"), *sections}
            raise UnknownName(f"setting in finetune{path}:", name, known)
        elif isinstance(value, Mapping):
            raise XbenchError(f"{where} is a setting and has nothing below it.")


def _checkpoints(settings: AlignSettings, spec: RunSpec) -> tuple[AlignSettings, tuple[int, ...]]:
    """Which steps of phase I are used (the last one by default), and hence saved."""
    steps = unique(sorted(spec.align_step or (settings.steps,)))
    for step in steps:
        if not 0 < step <= settings.steps:
            raise XbenchError(
                f"--align-step {step}: alignment runs for {settings.steps} steps "
                f"(change that with -O align.steps=N)"
            )
    # Of the suite's checkpoints those fall away that a shorter alignment never reaches.
    reached = {step for step in settings.checkpoints if 0 < step < settings.steps}
    saved = sorted({*steps, *reached, settings.steps})
    return replace(settings, checkpoints=tuple(saved)), steps


def finetune_settings(task: str, mode: str, *layers: Mapping[str, Any]) -> FinetuneSettings:
    """Phase II settings of one task and mode: each layer's general values, then its specific ones."""
    *layers_, options = layers
    merged: dict[str, Any] = {}
    for layer in [*layers_, options.get("finetune", {})]:
        specific = layer.get(task, {})
        for part in (layer, layer.get(mode, {}), specific, specific.get(mode, {})):
            merged = _merge(merged, {k: v for k, v in part.items() if not isinstance(v, Mapping)})
    settings = check("finetune", merged)
    assert isinstance(settings, FinetuneSettings)
    return settings


def _merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for layer in layers:
        given = {name for name in BUDGETS & set(layer) if layer[name] is not None}
        if given:
            merged = {k: v for k, v in merged.items() if k not in BUDGETS}
        merged.update(layer)
    return merged


def check(phase: str, values: Mapping[str, Any]) -> Any:
    """Values -> the phase's settings. Raises with the field's name and, if unknown, a suggestion."""
    for name in values:
        if name not in known_fields(phase):
            raise UnknownName(f"{phase} setting", name, known_fields(phase))
    try:
        return TypeAdapter(PHASES[phase]).validate_python(dict(values))
    except ValidationError as error:
        raise XbenchError(explain(error, phase)) from error


def dotted(options: Mapping[str, Any]) -> dict[str, Any]:
    """``{"align.steps": 9}`` -> ``{"align": {"steps": 9}}``; the first part must be a known section.

    Of two budgets in one place, the one that comes later counts.
    """
    sections = [*PHASES, "objective", "probe", "launcher"]
    tree: dict[str, Any] = {}
    for name, value in options.items():
        head, *path = name.split(".")
        if head not in sections:
            raise UnknownName(f"section in -O {name}:", head, sections, "As in align.steps=100.")
        if not all(path) or not path:
            raise XbenchError(f"-O {name}: name a setting of {head}, as in align.steps=100.")
        node = tree.setdefault(head, {})
        for part in path[:-1]:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise XbenchError(f"-O {name}: {part!r} is a setting and has nothing below it.")
        if path[-1] in BUDGETS and value is not None:
            for budget in BUDGETS:
                node.pop(budget, None)
        node[path[-1]] = value
    return tree

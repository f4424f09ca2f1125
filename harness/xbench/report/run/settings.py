"""Tables B1 of a run: every setting as it was, and who stated the value."""

from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.registry import plain, sources
from xbench.errors import XbenchError
from xbench.report.run.stored import StoredRun
from xbench.report.table import Table
from xbench.report.tables.settings_table import flat, settings_table
from xbench.spec.methods import find_method
from xbench.spec.request import RunSpec

SET_HERE = "set for this run"


def settings_tables(run: StoredRun) -> list[Table]:
    """A table for each phase and objective.

    A value that is not the suite's was set for the run; an objective says itself where its come from.
    """
    spec = run.spec
    suite = run.catalogue.registry.suites.get(spec.suite)
    tables = []
    for phase in ("align", "finetune", "evaluate"):
        given = getattr(suite, phase) if suite else {}
        own, stated = flat(plain(given)), sources(given)
        values = flat(getattr(spec, phase))
        origin = {}
        for name, value in values.items():
            of_suite = next((n for n in _candidates(name) if n in own), None)
            if of_suite is None:
                continue
            same = own[of_suite] == value or of_suite == "checkpoints"
            origin[name] = stated.get(of_suite, f"the suite {spec.suite}") if same else SET_HERE
        tables.append(settings_table(spec.suite, phase, values, origin))
    return tables + _objective_tables(spec, run.catalogue)


def _candidates(name: str) -> list[str]:
    """Where a suite may state ``task.mode.setting``: the most special place first."""
    *path, setting = name.split(".")
    places = [path, path[:1], path[1:], []]
    return list(dict.fromkeys(".".join([*place, setting]) for place in places))


def _objective_tables(spec: RunSpec, catalogue: Catalogue) -> list[Table]:
    tables = []
    objectives = spec.objective if isinstance(spec.objective, dict) else {}
    for name, variants in objectives.items():
        first = next(iter(variants.values()), {})
        varying = {field for config in variants.values() for field in config}
        shared = {f: v for f, v in first.items() if all(c.get(f) == v for c in variants.values())}
        values = {f: shared.get(f, "by variant") for f in sorted(varying)}
        try:
            origin = find_method(name, catalogue).sources()
        except XbenchError:  # the plugin is not here any more; what it was set to is
            origin = {}
        tables.append(settings_table(spec.suite, f"objective {name}", values, origin))
    return tables

"""Which data a run reads, worked out without looking at any: for fetching it beforehand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from xbench.api.source import MissingData
from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.registry import Binding
from xbench.plan.data import Data, written
from xbench.plan.graph import Plan
from xbench.plan.records import DataId, DataPlace

GUARD = "test sentences to keep out"


@dataclass
class Need:
    """A source that a run reads: what for, and for each split which languages.

    A run goes on without what is not ``required``, and says so.
    """

    binding: Binding
    roles: list[str] = field(default_factory=list)
    reads: dict[str, list[str]] = field(default_factory=dict)
    required: bool = False

    def note(self, roles: Sequence[str], codes: Sequence[str], split: str, required: bool) -> None:
        """One thing more that is read from it."""
        self.roles += [role for role in roles if role not in self.roles]
        known = self.reads.setdefault(split, [])
        known += [code for code in codes if code not in known]
        self.required = self.required or required


class Needs(Data):
    """Notes what a plan asks for, and gives a name in place of all of it."""

    def __init__(self, plan: Plan, catalogue: Catalogue) -> None:
        super().__init__(plan, catalogue, offline=True, tentative=True)
        self._suite = catalogue.registry.suite(plan.spec.suite)
        self.found: dict[str, Need] = {}

    def identity(self, binding: Binding, codes: Sequence[str], split: str) -> DataId:
        """A stand-in; raises :class:`MissingData` where the registry knows of none."""
        return self._noted(binding, codes, split, list(self._roles(binding)))

    def guard(self, binding: Binding, codes: Sequence[str]) -> DataId:
        """As :meth:`identity`: test data that the alignment text is cleared of."""
        return self._noted(binding, codes, "test", [GUARD], required=False)

    def dictionary(
        self, bindings: Sequence[Binding], codes: Sequence[str]
    ) -> tuple[DataId, DataPlace] | None:
        """The first dictionary that may have the pair."""
        for binding in bindings:
            try:
                found = self._noted(binding, codes, "train", ["dictionary"])
            except MissingData:
                continue
            return found, self.where(binding, codes)
        return None

    def _noted(
        self,
        binding: Binding,
        codes: Sequence[str],
        split: str,
        roles: Sequence[str],
        required: bool = True,
    ) -> DataId:
        languages = [self._catalogue.languages.get(code) for code in codes]
        self.require_known(binding, languages)
        need = self.found.setdefault(written(binding), Need(binding))
        need.note(roles, codes, split, required)
        return DataId(split=split, unresolved=binding.source, languages=tuple(codes))

    def _roles(self, binding: Binding) -> Iterator[str]:
        suite, asked = self._suite, written(binding)
        if asked == written(suite.corpus):
            yield "parallel text"
        for task in self._plan.spec.task:
            if asked == written(suite.tasks[task]):
                yield f"task {task}"
        if suite.text is not None and asked == written(suite.text):
            yield "text to fit on"
        if self._plan.spec.probe and suite.retrieval and asked == written(suite.retrieval):
            yield "text to probe with"

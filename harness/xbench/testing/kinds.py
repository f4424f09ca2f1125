"""Which contract a plugin has to keep."""

from xbench.catalogue.discovery import Plugin
from xbench.testing.aligner import AlignerContract
from xbench.testing.claim import ClaimContract
from xbench.testing.composition import CompositionContract, composed
from xbench.testing.contract import Contract
from xbench.testing.language import LanguageContract
from xbench.testing.launcher import LauncherContract
from xbench.testing.merge import MergeContract
from xbench.testing.metric import MetricContract
from xbench.testing.objective import ObjectiveContract
from xbench.testing.probe import ProbeContract
from xbench.testing.source import SourceContract
from xbench.testing.task import TaskContract
from xbench.testing.transform import TransformContract

_BY_GROUP: dict[str, type[Contract]] = {
    "aligners": AlignerContract,
    "claims": ClaimContract,
    "languages": LanguageContract,
    "launchers": LauncherContract,
    "metrics": MetricContract,
    "probes": ProbeContract,
    "sources": SourceContract,
    "tasks": TaskContract,
}
# At an objective's place there may stand a transform or a merge: told by the method it offers.
_BY_METHOD: dict[str, type[Contract]] = {
    "terms": ObjectiveContract,
    "fit": TransformContract,
    "combine": MergeContract,
}


def contract_of(plugin: Plugin) -> type[Contract]:
    """The contract class of an installed plugin, with the plugin filled in.

    Raises :class:`~xbench.catalogue.discovery.PluginError` where it cannot be imported or is no kind known.
    """
    loaded = plugin.load()
    contract = _BY_GROUP.get(plugin.kind) or next(
        kind for method, kind in _BY_METHOD.items() if hasattr(loaded, method)
    )
    return type(f"Test_{plugin.name}", (contract,), {contract.kind: plugin.name})


def contract_of_composition(name: str) -> type[Contract]:
    """The contract class of a composition of the registry, with the composition filled in.

    Raises :class:`xbench.errors.XbenchError` where one of its parts is not installed.
    """
    return type(f"Test_{name}", (CompositionContract,), {"objective": composed(name)})

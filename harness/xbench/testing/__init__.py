"""Contracts that every plugin of a kind keeps, as classes for tests, and small things to test with.

::

    from xbench.testing import ObjectiveContract

    class TestMine(ObjectiveContract):
        objective = "mine"

``xbench check mine`` runs the same. Everything is made in memory, on the CPU, in seconds. Toys for
tests of one's own: :func:`toy_encoder`, :func:`clone_pairs`, :func:`toy_batch`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xbench.testing.aligner import AlignerContract
    from xbench.testing.claim import ClaimContract
    from xbench.testing.composition import CompositionContract
    from xbench.testing.contract import Contract, Result, examine
    from xbench.testing.kinds import contract_of, contract_of_composition
    from xbench.testing.language import LanguageContract
    from xbench.testing.launcher import LauncherContract
    from xbench.testing.merge import MergeContract
    from xbench.testing.metric import MetricContract
    from xbench.testing.objective import ObjectiveContract
    from xbench.testing.probe import ProbeContract
    from xbench.testing.source import SourceContract
    from xbench.testing.task import TaskContract
    from xbench.testing.toys.batches import Layout, chunked, toy_batch, toy_encoder
    from xbench.testing.toys.clones import Pair, Sentence, clone_pairs, wrongly_paired
    from xbench.testing.toys.probe_view import ToyProbeView
    from xbench.testing.transform import TransformContract

_HOME = {
    "AlignerContract": "aligner",
    "ClaimContract": "claim",
    "CompositionContract": "composition",
    "Contract": "contract",
    "LanguageContract": "language",
    "LauncherContract": "launcher",
    "Layout": "toys.batches",
    "MergeContract": "merge",
    "MetricContract": "metric",
    "ObjectiveContract": "objective",
    "Pair": "toys.clones",
    "ProbeContract": "probe",
    "Result": "contract",
    "Sentence": "toys.clones",
    "SourceContract": "source",
    "TaskContract": "task",
    "ToyProbeView": "toys.probe_view",
    "TransformContract": "transform",
    "chunked": "toys.batches",
    "clone_pairs": "toys.clones",
    "contract_of": "kinds",
    "contract_of_composition": "kinds",
    "examine": "contract",
    "toy_batch": "toys.batches",
    "toy_encoder": "toys.batches",
    "wrongly_paired": "toys.clones",
}

__all__ = [
    "AlignerContract",
    "ClaimContract",
    "CompositionContract",
    "Contract",
    "LanguageContract",
    "LauncherContract",
    "Layout",
    "MergeContract",
    "MetricContract",
    "ObjectiveContract",
    "Pair",
    "ProbeContract",
    "Result",
    "Sentence",
    "SourceContract",
    "TaskContract",
    "ToyProbeView",
    "TransformContract",
    "chunked",
    "clone_pairs",
    "contract_of",
    "contract_of_composition",
    "examine",
    "toy_batch",
    "toy_encoder",
    "wrongly_paired",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'xbench.testing' has no attribute {name!r}")
    return getattr(import_module(f"xbench.testing.{_HOME[name]}"), name)

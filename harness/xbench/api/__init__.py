"""What a plugin author imports: ``from xbench.api import Objective, Term``.

Names are resolved on first use, so that listing plugins or printing help never loads torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xbench.api.batch import MaskedView, PairBatch, View, Vocabulary
    from xbench.api.examples import LabelledText, ParallelText, TaggedSentence
    from xbench.api.language import Language
    from xbench.api.metric import Metric
    from xbench.api.objective import Objective, Term
    from xbench.api.probe import Probe
    from xbench.api.source import MissingData, Source
    from xbench.api.task import Task

_HOME = {
    "Language": "language",
    "LabelledText": "examples",
    "MaskedView": "batch",
    "Metric": "metric",
    "MissingData": "source",
    "Objective": "objective",
    "PairBatch": "batch",
    "ParallelText": "examples",
    "Probe": "probe",
    "Source": "source",
    "TaggedSentence": "examples",
    "Task": "task",
    "Term": "objective",
    "View": "batch",
    "Vocabulary": "batch",
}

__all__ = [
    "LabelledText",
    "Language",
    "MaskedView",
    "Metric",
    "MissingData",
    "Objective",
    "PairBatch",
    "ParallelText",
    "Probe",
    "Source",
    "TaggedSentence",
    "Task",
    "Term",
    "View",
    "Vocabulary",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'xbench.api' has no attribute {name!r}")
    return getattr(import_module(f"xbench.api.{_HOME[name]}"), name)

"""What a plugin author imports: ``from xbench.api import Objective, Term``.

Names are resolved on first use, so that listing plugins or printing help never loads torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xbench.api.aligner import Aligner, WordPair, WordSide
    from xbench.api.batch import MaskedView, PairBatch, TaskBatch, View, Vocabulary
    from xbench.api.claim import Average, Claim, ClaimView, Effect, Part
    from xbench.api.copies import FrozenCopy
    from xbench.api.examples import LabelledPair, LabelledText, ParallelText, TaggedSentence
    from xbench.api.language import Language
    from xbench.api.launcher import Job, Launcher, LauncherError, Submission
    from xbench.api.merge import Merge
    from xbench.api.metric import Metric
    from xbench.api.objective import Objective, Term
    from xbench.api.probe import Gradients, Probe, ProbeView, Row
    from xbench.api.registration import hookimpl, register
    from xbench.api.source import MissingData, Source
    from xbench.api.task import Task
    from xbench.api.transform import FitView, Transform

_HOME = {
    "Aligner": "aligner",
    "Average": "claim",
    "Claim": "claim",
    "ClaimView": "claim",
    "Effect": "claim",
    "Part": "claim",
    "FitView": "transform",
    "FrozenCopy": "copies",
    "Job": "launcher",
    "Language": "language",
    "Launcher": "launcher",
    "LauncherError": "launcher",
    "LabelledPair": "examples",
    "LabelledText": "examples",
    "MaskedView": "batch",
    "Merge": "merge",
    "Metric": "metric",
    "MissingData": "source",
    "Objective": "objective",
    "PairBatch": "batch",
    "ParallelText": "examples",
    "Gradients": "probe",
    "Probe": "probe",
    "ProbeView": "probe",
    "Row": "probe",
    "Source": "source",
    "Submission": "launcher",
    "TaggedSentence": "examples",
    "Task": "task",
    "TaskBatch": "batch",
    "Term": "objective",
    "Transform": "transform",
    "View": "batch",
    "Vocabulary": "batch",
    "hookimpl": "registration",
    "register": "registration",
    "WordPair": "aligner",
    "WordSide": "aligner",
}

__all__ = [
    "Aligner",
    "Average",
    "Claim",
    "ClaimView",
    "Effect",
    "FitView",
    "FrozenCopy",
    "Gradients",
    "Job",
    "LabelledPair",
    "LabelledText",
    "Language",
    "Launcher",
    "LauncherError",
    "MaskedView",
    "Merge",
    "Metric",
    "MissingData",
    "Objective",
    "PairBatch",
    "ParallelText",
    "Part",
    "Probe",
    "ProbeView",
    "Row",
    "Source",
    "Submission",
    "TaggedSentence",
    "Task",
    "TaskBatch",
    "Term",
    "Transform",
    "View",
    "Vocabulary",
    "WordPair",
    "WordSide",
    "hookimpl",
    "register",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'xbench.api' has no attribute {name!r}")
    return getattr(import_module(f"xbench.api.{_HOME[name]}"), name)

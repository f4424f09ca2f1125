"""XNLI, does a premise entail a hypothesis, ``<place>/extra/xnli/dev-de.tsv``."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from xbench.api import LabelledPair, Language
from xbench.data.labelled_pairs import pair_rows, read_pairs
from xbench_plugins.sources.split_files import SplitFiles

_CLASSES = ("entailment", "neutral", "contradiction")
_SPELLINGS = {"contradictory": "contradiction"}  # in the machine translations of MultiNLI


class Xnli(SplitFiles):
    """Premise and hypothesis in 15 languages, translated by people (Conneau et al. 2018).

    ``train`` is MultiNLI: English, and machine translations on the hub. dev and test are parallel
    row by row; a premise stands in three rows, which stay in one part of a cut.
    The hub numbers the classes.
    """

    name = "xnli"
    reads_hub = True
    parallel = True
    hub_splits = {"dev": "validation"}
    folder = "extra/xnli"
    rows_together = 3

    def records(
        self, files: Sequence[Path], languages: Sequence[Language]
    ) -> Iterator[LabelledPair]:
        if self.hub_files:
            numbered = {str(number): label for number, label in enumerate(_CLASSES)}
            return pair_rows(files, ("premise", "hypothesis", "label"), numbered)
        known = {label: label for label in (*_CLASSES, *self.options["labels"])}
        return read_pairs(files[0], known | _SPELLINGS)

"""PAWS-X, do two sentences say the same, ``<place>/extra/pawsx/dev-de.tsv``."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from xbench.api import LabelledPair, Language
from xbench.data.labelled_pairs import pair_rows, read_pairs
from xbench_plugins.sources.split_files import SplitFiles

_LABELS = {"0": "different", "1": "paraphrase"}


class PawsX(SplitFiles):
    """Pairs of sentences that share most words, in 7 languages (Yang et al. 2019, arXiv 1908.11828).

    dev and test are translated by people, ``train`` by machine but for English. Rows are parallel,
    with a label that differs from the English one here and there. A sentence is part of several
    pairs, so that the parts of a cut share sentences.
    """

    name = "pawsx"
    reads_hub = True
    parallel = True
    hub_splits = {"dev": "validation"}
    folder = "extra/pawsx"

    def records(
        self, files: Sequence[Path], languages: Sequence[Language]
    ) -> Iterator[LabelledPair]:
        if self.hub_files:
            return pair_rows(files, ("sentence1", "sentence2", "label"), _LABELS)
        return read_pairs(files[0], {label: label for label in self.options["labels"]} | _LABELS)

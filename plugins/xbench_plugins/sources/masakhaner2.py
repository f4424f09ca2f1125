"""MasakhaNER 2.0, named entities of African news, ``<place>/extra/masakhaner2/swa.test.txt``."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from xbench.api import Language, TaggedSentence
from xbench.data.iob2 import read_iob2
from xbench_plugins.sources.split_files import SplitFiles


class MasakhaNer2(SplitFiles):
    """Persons, organisations and places as IOB2 tags, annotated by hand (Adelani et al. 2022).

    Its dates are read as ``O``, since WikiANN, which tasks are trained on, has none.
    """

    name = "masakhaner2"
    folder = "extra/masakhaner2"
    names = ("{id}.{split}.txt",)
    types = {"PER": "PER", "ORG": "ORG", "LOC": "LOC"}

    def records(
        self, files: Sequence[Path], languages: Sequence[Language]
    ) -> Iterator[TaggedSentence]:
        return read_iob2(files[0], " ", self.types)

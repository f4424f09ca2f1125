"""KazNERD, named entities of Kazakh television news, ``<place>/extra/kaznerd/IOB2_test.txt``."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from xbench.api import Language, TaggedSentence
from xbench.data.iob2 import read_iob2
from xbench_plugins.sources.split_files import SplitFiles


class KazNerd(SplitFiles):
    """Kazakh sentences as IOB2 tags, annotated by hand (Yeshpanov et al. 2022, arXiv 2111.13419).

    Of its 25 types those that WikiANN has are kept, and the others are read as ``O``: a person, an
    organisation, and for a place a location or a geopolitical entity.
    """

    name = "kaznerd"
    folder = "extra/kaznerd"
    names = ("IOB2_{split}.txt",)
    file_splits = {"dev": "valid"}
    types = {"PERSON": "PER", "ORGANISATION": "ORG", "LOCATION": "LOC", "GPE": "LOC"}

    def records(
        self, files: Sequence[Path], languages: Sequence[Language]
    ) -> Iterator[TaggedSentence]:
        return read_iob2(files[0], " ", self.types)

"""WikiANN, named entities of Wikipedia, ``<place>/extra/panx/train-en.tsv`` (XTREME calls it PAN-X)."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from xbench.api import Language, TaggedSentence
from xbench.data.iob2 import language_prefix, read_iob2, tagged_rows
from xbench_plugins.sources.split_files import SplitFiles


class WikiAnn(SplitFiles):
    """Sentences with persons, organisations and places as IOB2 tags, annotated automatically.

    Pan et al. 2017, in the balanced splits of Rahimi et al. 2019 (arXiv 1902.00193). A language's
    id is its ISO 639-1 code. A file may be the first sentences of a split, ``dev-de.first1000.tsv``.
    Japanese and Chinese are split into characters, and some of their spans begin with ``I-``. Words
    are ``de:Anton`` in the corpus' own files; the language is taken off, and a note says so.
    """

    version = 2

    name = "wikiann"
    reads_hub = True
    hub_splits = {"dev": "validation"}
    folder = "extra/panx"
    names = ("{split}-{id}.tsv", "{split}-{id}.first*.tsv")

    def records(
        self, files: Sequence[Path], languages: Sequence[Language]
    ) -> Iterator[TaggedSentence]:
        if self.hub_files:
            return tagged_rows(files, words="tokens", tags="ner_tags")
        return read_iob2(files[0])

    def notes(self, languages: Sequence[Language], split: str) -> list[str]:
        if self.hub_files:
            return []
        files = self._checked_files(self._root(), languages, self._cut.file_of(split))
        prefixes = {path.name: language_prefix(path) for path in files}
        return [
            f"{name}: every word begins with {prefix!r}, which was taken off"
            for name, prefix in prefixes.items()
            if prefix
        ]

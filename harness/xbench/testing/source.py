"""What a data source must keep to."""

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice, permutations
from pathlib import Path
from typing import Any, ClassVar

from xbench.api.examples import LabelledPair, LabelledText, ParallelText, TaggedSentence
from xbench.api.language import Language
from xbench.api.source import MissingData, Source
from xbench.catalogue.catalogue import Catalogue
from xbench.keys import canonical
from xbench.testing.contract import expect, fail, skip
from xbench.testing.definition import Documented

RECORDS = (LabelledPair, LabelledText, ParallelText, TaggedSentence)
SPLITS = ("train", "dev", "test")
MOST = 200  # records that are read
STRANGER = Language("qzz", "A language that no source has", "Latn")


class SourceContract(Documented):
    """``class TestMine(SourceContract): source = "mine"``.

    ``place`` is the data folder, by default that of the variable ``XBENCH_DATA``. ``languages``
    are codes of languages that the source has; by default they are searched for.
    """

    kind = "source"
    group = "sources"
    source: ClassVar[str | type[Source]]
    place: ClassVar[Path | None] = None
    languages: ClassVar[tuple[str, ...]] = ()

    def test_declaration(self) -> None:
        """It says how many languages it reads at a time."""
        count = self.loaded.languages_per_read
        expect(
            count in (1, 2), f"languages_per_read is {count!r}", "it is 1, or 2 for parallel text"
        )

    def test_missing_language(self) -> None:
        """A language that it does not have is MissingData, with a message."""
        source = self._open()
        strangers = [STRANGER, Language("qzy", "Another", "Latn")][: source.languages_per_read]
        _expect_missing(source, strangers, "train")

    def test_missing_split(self) -> None:
        """A split that it does not have is MissingData, with a message."""
        languages, _ = self._found[0]
        _expect_missing(self._open(), languages, "no-such-split")

    def test_fingerprint(self) -> None:
        """The fingerprint is JSON, always the same, and another for other content."""
        seen: dict[str, str] = {}
        for languages, split in self._found:
            of = f"{'-'.join(language.code for language in languages)} {split}"
            one, other = (self._open().fingerprint(languages, split) for _ in range(2))
            try:
                text = canonical(dict(one))
            except (TypeError, ValueError) as error:
                fail(
                    f"the fingerprint of {of} cannot be part of a key: {error}",
                    "use strings, numbers, lists and dicts with names",
                )
            expect(
                text == canonical(dict(other)),
                f"the fingerprint of {of} is another the second time",
                "take it from the content (a digest) or the settings, not from times and places",
            )
            expect(
                text not in seen,
                f"{of} has the same fingerprint as {seen.get(text)}",
                "put languages and split into it, or the digests of their files",
            )
            seen[text] = of

    def test_read(self) -> None:
        """It yields records of xbench.api, and the same ones again."""
        for languages, split in self._found:
            of = f"{'-'.join(language.code for language in languages)} {split}"
            one, other = (list(islice(self._open().read(languages, split), MOST)) for _ in range(2))
            expect(one, f"{of} has no record", "raise MissingData where there is nothing")
            for record in one:
                expect(
                    isinstance(record, RECORDS),
                    f"{of} yields a {type(record).__name__}",
                    f"yield one of {', '.join(kind.__name__ for kind in RECORDS)}",
                )
            expect(
                one == other,
                f"the records of {of} are others the second time",
                "keep the order of the corpus; draw nothing without a fixed seed",
            )

    def _open(self) -> Source:
        place = self.place or os.environ.get("XBENCH_DATA")
        if not self.loaded.needs_place:
            place = None
        elif place is None:
            skip("it reads a data folder: name one in the variable XBENCH_DATA")
        source: Source = self.loaded(Path(place) if place else None)
        return source

    @cached_property
    def _found(self) -> list[tuple[list[Language], str]]:
        """Up to two choices of languages, each with every split that there is."""
        found: list[tuple[list[Language], str]] = []
        source, lacking = self._open(), ""
        for languages in self._choices(source.languages_per_read):
            for split in SPLITS:
                try:
                    source.fingerprint(languages, split)
                except MissingData as missing:
                    lacking = lacking or str(missing)
                else:
                    found.append((languages, split))
            if len({tuple(language.code for language in each) for each, _ in found}) == 2:
                break
        if not found and source.needs_place and self.place is None:
            skip(f"nothing of it is in that folder: {lacking}")
        expect(
            found,
            f"no language that is known here has data in it: {lacking}",
            'name some in the test: languages = ("deu", "eng")',
        )
        return found

    def _choices(self, count: int) -> Iterator[list[Language]]:
        known = Catalogue.installed().languages
        languages = [known.get(code) for code in self.languages or known.codes()]
        yield from map(list, permutations(languages, count))


def _expect_missing(source: Source, languages: Sequence[Language], split: str) -> None:
    of = f"{'-'.join(language.code for language in languages)} {split}"
    attempts: dict[str, Any] = {
        "fingerprint": lambda: source.fingerprint(languages, split),
        "read": lambda: next(iter(source.read(languages, split)), None),
    }
    for name, attempt in attempts.items():
        try:
            given = attempt()
        except MissingData as missing:
            expect(
                str(missing).strip(),
                f"{name}() of {of} raises MissingData without a message",
                "say what is missing, and where it should be",
            )
        else:
            fail(
                f"{name}() of {of} gives {given!r}",
                "raise MissingData, which says what is missing and where",
            )
